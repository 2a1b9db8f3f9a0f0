/* dbcv.c - density-based cluster validity (Moulavi, Jaskowiak, Campello, Zimek, Sander 2014).
 *
 * A `density` stage finds what is inside the clusters, a `separation` stage the lightest edge from
 * each cluster's inner nodes to those of another: a round of `reach` over a plan of the inner nodes
 * alone, whose components are the clusters. Between the two nothing is kept but that stage's
 * "reach_in". docs/algorithms.md, 11. */
#include "coordinator/merge/steps.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAIRS_A_DENSITY_TASK 10000000u
#define PAIRS_A_SEPARATION_TASK 50000000u
#define QUERIES_A_SEGMENT 128u
/* Inner nodes are compared with all of other clusters: some minutes of one core. */
#define MEMBERS_LIMIT 200000u
#define BYTES_A_MEMBER 512u /* beside its vector and distances, room of eight threads counted */
#define COORDINATOR_BYTES (64u << 20)
#define KEPT_VECTORS ((uint64_t)512 << 20)

/* ---- before ---- */

/* All distances of a cluster, and its vectors. */
static uint64_t matrix_bytes(uint64_t members, uint64_t dimension)
{
    return members * (members - 1) / 2 * sizeof(float) +
           members * (dimension * sizeof(float) + BYTES_A_MEMBER);
}

/* What the clusters that take part (two members and more) have. */
typedef struct {
    uint32_t clusters;
    uint32_t members;
    uint32_t largest;
    uint64_t bytes; /* for the largest */
    uint64_t kept;  /* vectors that a worker keeps (worker/compute_thread.c) */
} extent_t;

static extent_t measure(const members_t *members, const plan_t *plan)
{
    extent_t extent = {0};
    for (uint32_t c = 0; c < members->clusters; c++) {
        uint32_t size = members_size(members, c);
        if (size < 2)
            continue;
        extent.clusters++;
        extent.members += size;
        extent.largest = size > extent.largest ? size : extent.largest;
    }
    extent.bytes = extent.largest > 0 ? matrix_bytes(extent.largest, plan->dimension) : 0;
    extent.kept = sizeof(float) * (uint64_t)plan->dimension * plan->count;
    extent.kept = extent.kept <= KEPT_VECTORS ? extent.kept : 0;
    return extent;
}

/* Of the process that the coordinator is in. */
static uint64_t memory_wanted(const step_t *self, const extent_t *extent)
{
    return COORDINATOR_BYTES + self->input->memory.workers * (extent->bytes + extent->kept);
}

/* Why the measure is left out, in words for the report; "" when it is not. A clustering that is done
 * is worth more than a number about it, so the job goes on. */
static void refuse(const step_t *self, const extent_t *extent, char reason[256])
{
    uint64_t limit = self->input->matrix_bytes ? self->input->matrix_bytes : MATRIX_BYTES_DEFAULT;
    uint64_t memory = self->input->memory.limit, wanted = memory_wanted(self, extent);
    reason[0] = 0;
    if (extent->clusters < 2)
        snprintf(reason, 256, "it takes two clusters of two members or more");
    else if (extent->bytes > limit)
        snprintf(reason, 256,
                 "the largest cluster has %u members, whose distances take %llu MiB; %llu MiB are "
                 "allowed (matrix_mib)",
                 extent->largest, (unsigned long long)(extent->bytes >> 20) + 1,
                 (unsigned long long)(limit >> 20));
    else if (memory > 0 && wanted > memory)
        snprintf(reason, 256,
                 "the largest cluster has %u members, whose distances take %llu MiB in all; "
                 "memory_limit_mib is %llu",
                 extent->largest, (unsigned long long)(wanted >> 20) + 1,
                 (unsigned long long)(memory >> 20));
    else if (extent->members > MEMBERS_LIMIT)
        snprintf(reason, 256, "the clusters have %u members; %u can be compared with each other",
                 extent->members, MEMBERS_LIMIT);
}

static void report_left_out(step_t *self, const char *reason)
{
    json_t *value = json_object();
    json_object_set_new(value, "left_out", json_string(reason));
    quality_report(self, "dbcv", value);
}

/* Said before the stage starts, where it is more than the clustering took. */
static void foresee(step_t *self, const extent_t *extent)
{
    json_int_t known =
        json_integer_value(json_object_get(self->checkpoint.report, "memory_foreseen_bytes"));
    json_int_t wanted = (json_int_t)memory_wanted(self, extent);
    if (wanted > known)
        step_report(self, "memory_foreseen_bytes", json_integer(wanted));
}

/* One segment a task: a task's results are those of clusters [begin, end), which are never cut. */
static void cut_clusters(const members_t *members, task_cutter_t *cutter)
{
    uint32_t begin = 0;
    uint64_t pairs = 0;
    for (uint32_t c = 0; c < members->clusters; c++) {
        uint64_t size = members_size(members, c), square = size * size;
        if (c > begin && pairs + square > PAIRS_A_DENSITY_TASK) {
            task_cutter_add(cutter, 0, begin, c, pairs);
            begin = c;
            pairs = 0;
        }
        pairs += square;
    }
    task_cutter_add(cutter, 0, begin, members->clusters, pairs);
}

static int leave_density(step_t *self, const members_t *members, const labelled_t *labelled,
                         advance_output_t *out, error_t *error)
{
    task_cutter_t cutter;
    task_cutter_init(&cutter, TASK_DENSITY, 1, UINT32_MAX);
    cut_clusters(members, &cutter);
    task_cutter_param(&cutter, "euclidean", self->input->spec->metric == METRIC_EUCLIDEAN);
    return summarise_leave(self, &cutter, labelled, "density", out, error);
}

int dbcv_begin(step_t *self, const labelled_t *labelled, advance_output_t *out, error_t *error)
{
    char reason[256] = "";
    members_t members = {0};
    if ((self->input->spec->quality & QUALITY_DBCV) == 0)
        return summarise_members(self, labelled, out, error);
    int code = members_open(&members, self->input, &labelled->members, error);
    if (code != OK)
        goto fail;
    extent_t extent = measure(&members, &self->checkpoint.plan);
    refuse(self, &extent, reason);
    if (reason[0] == 0) {
        foresee(self, &extent);
        code = leave_density(self, &members, labelled, out, error);
    } else {
        report_left_out(self, reason);
        code = summarise_members(self, labelled, out, error);
    }
fail:
    members_close(&members);
    return code;
}

/* ---- from the one stage to the other ---- */

/* The inner nodes of all clusters, in the order of clusters and slots. */
typedef struct {
    uint32_t count;
    uint32_t *row;   /* of the index */
    uint32_t *query; /* 0, 1, ... */
    uint32_t *cluster;
    float *core;
    float *floor;
    float *sparseness; /* by cluster */
} inner_t;

static int inner_init(inner_t *self, const members_t *members, error_t *error)
{
    size_t room = (size_t)members->count + 1;
    self->row = malloc(room * sizeof *self->row);
    self->query = malloc(room * sizeof *self->query);
    self->cluster = malloc(room * sizeof *self->cluster);
    self->core = malloc(room * sizeof *self->core);
    self->floor = malloc(room * sizeof *self->floor);
    self->sparseness = malloc(((size_t)members->clusters + 1) * sizeof *self->sparseness);
    if (self->row && self->query && self->cluster && self->core && self->floor && self->sparseness)
        return OK;
    return error_set(error, ERR_MEMORY, "out of memory for %u members", members->count);
}

static void inner_clear(inner_t *self)
{
    free(self->row);
    free(self->query);
    free(self->cluster);
    free(self->core);
    free(self->floor);
    free(self->sparseness);
}

/* A distance that makes sense; NaN does not. */
static int is_distance(float dist2) { return dist2 >= 0 && isfinite(dist2); }

/* Cluster `c` begins at `first` in the columns of its task. */
static int add_cluster(const step_t *self, inner_t *inner, const members_t *members, uint32_t c,
                       const float *core, const uint8_t *is_inner, error_t *error)
{
    uint32_t size = members_size(members, c), before = inner->count;
    for (uint32_t i = 0; i < size; i++) {
        if (!is_distance(core[i]) || is_inner[i] > 1)
            return error_set(error, ERR_SHAPE, "member %u of cluster %u has the core distance %g",
                             i, c, (double)core[i]);
        if (!is_inner[i])
            continue;
        uint32_t at = inner->count++;
        inner->row[at] = self->checkpoint.plan.rows[members->member[members->begin[c] + i]];
        inner->query[at] = at;
        inner->cluster[at] = c;
        inner->core[at] = core[i];
        inner->floor[at] = INFINITY;
    }
    if ((inner->count > before) != (size > 1) || !is_distance(inner->sparseness[c]))
        return error_set(error, ERR_SHAPE, "cluster %u of %u has %u inner nodes, sparseness %g", c,
                         size, inner->count - before, (double)inner->sparseness[c]);
    return OK;
}

static int take_density(const step_t *self, uint32_t task, const members_t *members, inner_t *inner,
                        error_t *error)
{
    const segment_t *segment = &self->stage.segments[self->stage.segment_begin[task]];
    const uint32_t *begin = members->begin;
    size_t clusters = segment->end - segment->begin;
    const float *core = NULL, *sparseness = NULL;
    const void *is_inner = NULL;
    payload_t result = {0};
    if (segment->end > members->clusters)
        return error_set(error, ERR_PROTOCOL, "a stage of clusters that are not there");
    size_t count = begin[segment->end] - begin[segment->begin];
    int code = result_open(&result, self->input, task, "density", error);
    if (code == OK)
        code = payload_f32(&result, "core", count, &core, error);
    if (code == OK)
        code = columns_get(result.columns, "inner", COLUMN_U8, count, &is_inner, NULL, error);
    if (code == OK)
        code = payload_f32(&result, "sparseness", clusters, &sparseness, error);
    for (uint32_t c = segment->begin; c < segment->end && code == OK; c++) {
        size_t first = begin[c] - begin[segment->begin];
        inner->sparseness[c] = sparseness[c - segment->begin];
        code = add_cluster(self, inner, members, c, core + first, (const uint8_t *)is_inner + first,
                           error);
    }
    payload_close(&result);
    return code == OK ? OK : result_blame(task, code, error);
}

/* Without windows or partitions: clusters of different ones are neighbours too. */
static int save_plan(const step_t *self, const inner_t *inner, sha256_t *out, error_t *error)
{
    uint32_t begin[] = {0, inner->count};
    int32_t window = -1;
    char name[] = "", *names[] = {name};
    uint8_t *bytes = NULL;
    size_t length = 0;
    plan_t plan = {.count = inner->count,
                   .rows = inner->row,
                   .partition_count = 1,
                   .partition_begin = begin,
                   .partition_window = &window,
                   .partition_name = names,
                   .dimension = self->checkpoint.plan.dimension};
    int code = plan_encode(&plan, &bytes, &length, error);
    return code == OK ? payload_save_bytes(self->input, bytes, length, out, error) : code;
}

static int save_reach(const step_t *self, const inner_t *inner, uint32_t clusters, sha256_t *out,
                      error_t *error)
{
    columns_writer_t *writer = columns_writer_new("reach_in");
    columns_put(writer, "query", COLUMN_U32, inner->query, inner->count);
    columns_put(writer, "core", COLUMN_F32, inner->core, inner->count);
    columns_put(writer, "component", COLUMN_U32, inner->cluster, inner->count);
    columns_put(writer, "floor", COLUMN_F32, inner->floor, inner->count);
    columns_put(writer, "sparseness", COLUMN_F32, inner->sparseness, clusters);
    return payload_save(self->input, &writer, out, error);
}

static int leave_separation(step_t *self, const inner_t *inner, uint32_t clusters,
                            const labelled_t *labelled, advance_output_t *out, error_t *error)
{
    task_cutter_t cutter;
    sha256_t plan, reach;
    int code = save_plan(self, inner, &plan, error);
    if (code == OK)
        code = save_reach(self, inner, clusters, &reach, error);
    if (code != OK)
        return code;
    task_cutter_init(&cutter, TASK_SEPARATION, PAIRS_A_SEPARATION_TASK, QUERIES_A_SEGMENT);
    task_cutter_add(&cutter, 0, 0, inner->count, (uint64_t)inner->count * inner->count);
    task_cutter_input(&cutter, "plan", &plan);
    task_cutter_input(&cutter, "reach_in", &reach);
    return summarise_leave_given(self, &cutter, labelled, "separation", out, error);
}

int dbcv_after_density(step_t *self, advance_output_t *out, error_t *error)
{
    labelled_t labelled;
    members_t members = {0};
    inner_t inner = {0};
    int code = summarise_labelled(self, &labelled, error);
    if (code == OK)
        code = members_open(&members, self->input, &labelled.members, error);
    if (code == OK)
        code = inner_init(&inner, &members, error);
    for (uint32_t t = 0; t < self->stage.task_count && code == OK; t++)
        code = take_density(self, t, &members, &inner, error);
    if (code == OK)
        code = leave_separation(self, &inner, members.clusters, &labelled, out, error);
    inner_clear(&inner);
    members_close(&members);
    return code;
}

/* ---- after the tasks ---- */

typedef struct {
    payload_t reach;
    const uint32_t *cluster;
    size_t count; /* inner nodes */
    const float *sparseness;
    float *separation; /* by cluster; INFINITY none is found */
} separation_t;

static int open_separation(separation_t *self, const step_t *step, uint32_t clusters,
                           error_t *error)
{
    const sha256_t *reach = step_input(step, "reach_in");
    if (reach == NULL)
        return error_set(error, ERR_PROTOCOL, "the stage names no reach_in");
    int code = payload_open(&self->reach, step->input, reach, "reach_in", error);
    if (code == OK)
        code = payload_list(&self->reach, "component", &self->cluster, &self->count, error);
    if (code == OK)
        code = payload_f32(&self->reach, "sparseness", clusters, &self->sparseness, error);
    if (code != OK)
        return code;
    self->separation = malloc(((size_t)clusters + 1) * sizeof *self->separation);
    if (self->separation == NULL)
        return error_set(error, ERR_MEMORY, "out of memory to measure %u clusters", clusters);
    for (uint32_t c = 0; c < clusters; c++)
        self->separation[c] = INFINITY;
    return OK;
}

static int take_separation(const step_t *step, uint32_t task, separation_t *self, error_t *error)
{
    const uint32_t *a = NULL, *b = NULL;
    const float *weight = NULL;
    size_t count = 0;
    payload_t result = {0};
    int code = result_open(&result, step->input, task, "edges", error);
    if (code == OK)
        code = payload_list(&result, "a", &a, &count, error);
    if (code == OK)
        code = payload_u32(&result, "b", count, &b, error);
    if (code == OK)
        code = payload_f32(&result, "weight", count, &weight, error);
    for (size_t i = 0; i < count && code == OK; i++) {
        if (a[i] >= self->count || b[i] >= self->count ||
            self->cluster[a[i]] == self->cluster[b[i]] || !is_distance(weight[i])) {
            code = error_set(error, ERR_SHAPE, "edge %zu between %u and %u of %zu weighs %g", i,
                             a[i], b[i], self->count, (double)weight[i]);
            break;
        }
        float *one = &self->separation[self->cluster[a[i]]];
        *one = fminf(*one, weight[i]);
    }
    payload_close(&result);
    return code == OK ? OK : result_blame(task, code, error);
}

static double validity_of(metric_t metric, float sparseness, float separation)
{
    double inside = metric_distance(metric, sparseness);
    double apart = metric_distance(metric, separation);
    double larger = inside > apart ? inside : apart;
    return larger > 0 ? (apart - inside) / larger : 0;
}

/* Clusters of one member count as noise. */
static int judge(const separation_t *self, const members_t *members, metric_t metric,
                 double *validity, error_t *error)
{
    for (uint32_t c = 0; c < members->clusters; c++) {
        validity[c] = NAN;
        if (members_size(members, c) < 2)
            continue;
        if (!isfinite(self->separation[c]))
            return error_set(error, ERR_PROTOCOL, "nothing separates cluster %u from others", c);
        validity[c] = validity_of(metric, self->sparseness[c], self->separation[c]);
    }
    return OK;
}

static void report(step_t *step, const members_t *members, const double *validity)
{
    double sum = 0, items = step->checkpoint.plan.count;
    uint32_t measured = 0;
    for (uint32_t c = 0; c < members->clusters; c++) {
        if (isnan(validity[c]))
            continue;
        sum += members_size(members, c) * validity[c];
        measured++;
    }
    json_t *value = json_object();
    json_object_set_new(value, "mean", json_real(sum / items));
    json_object_set_new(value, "clusters", json_integer(measured));
    json_object_set_new(value, "items", json_integer((json_int_t)items));
    quality_report(step, "dbcv", value);
}

static int keep(step_t *step, const separation_t *self, const members_t *members,
                labelled_t *labelled, error_t *error)
{
    double *validity = malloc(((size_t)members->clusters + 1) * sizeof *validity);
    if (validity == NULL)
        return error_set(error, ERR_MEMORY, "out of memory to measure %u clusters",
                         members->clusters);
    int code = judge(self, members, step->input->spec->metric, validity, error);
    if (code == OK) {
        report(step, members, validity);
        columns_writer_t *writer = columns_writer_new("validity");
        columns_put(writer, "dbcv", COLUMN_F64, validity, members->clusters);
        code = payload_save(step->input, &writer, &labelled->validity, error);
        labelled->has_validity = 1;
    }
    free(validity);
    return code;
}

int dbcv_after_separation(step_t *self, advance_output_t *out, error_t *error)
{
    labelled_t labelled;
    members_t members = {0};
    separation_t separation = {0};
    int code = summarise_labelled(self, &labelled, error);
    if (code == OK)
        code = members_open(&members, self->input, &labelled.members, error);
    if (code == OK)
        code = open_separation(&separation, self, members.clusters, error);
    for (uint32_t t = 0; t < self->stage.task_count && code == OK; t++)
        code = take_separation(self, t, &separation, error);
    if (code == OK)
        code = keep(self, &separation, &members, &labelled, error);
    if (code == OK)
        code = summarise_members(self, &labelled, out, error);
    free(separation.separation);
    payload_close(&separation.reach);
    members_close(&members);
    return code;
}
