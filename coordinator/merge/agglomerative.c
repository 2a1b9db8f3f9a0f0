/* agglomerative.c - the steps of agglomerative clustering: trees, then the cut.
 *
 * Average, complete and Ward's linkage: one `linkage` stage, a task for each large partition.
 * Single linkage is the minimum spanning tree of the distances themselves, that is HDBSCAN*'s with
 * min_samples = 1: the stages of hdbscan.c find it at any size, and its edges are the merges.
 * Average linkage over a sparse matrix: the stages of pairs.c, then `linkage` over the pairs. */
#include "coordinator/merge/dendrogram.h"
#include "coordinator/merge/hierarchy.h"
#include "coordinator/merge/steps.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Half a second of one core. A tree of more pairs is a task of its own. */
#define PAIRS_A_TASK 20000000u
/* What nn_chain and the task keep for a row beside its vector and distances. */
#define BYTES_A_ROW 96u
#define BYTES_A_PAIR 88u /* the task's own copy and its input too */
#define BYTES_A_SPARSE_ROW 112u

/* The merges of all partitions, growing. */
typedef struct {
    step_t *step;
    uint32_t *begin;
    uint32_t *a;
    uint32_t *b;
    double *distance;
    uint32_t count;
    uint32_t partition; /* those before it have their end */
} trees_t;

/* ---- before ---- */

static uint64_t matrix_bytes(uint64_t rows, uint64_t dimension)
{
    return rows * (rows - 1) / 2 * sizeof(double) +
           rows * (dimension * sizeof(float) + BYTES_A_ROW);
}

static uint32_t largest_that_fits(uint64_t limit, uint64_t dimension)
{
    uint32_t low = 1, high = 1u << 24;
    while (low + 1 < high) {
        uint32_t middle = low + (high - low) / 2;
        if (matrix_bytes(middle, dimension) <= limit)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* Said before a task is cut, so that no worker is asked for what it cannot hold. */
static int check_memory(const step_t *self, error_t *error)
{
    const plan_t *plan = &self->checkpoint.plan;
    uint64_t limit = self->input->matrix_bytes ? self->input->matrix_bytes : MATRIX_BYTES_DEFAULT;
    uint32_t rows = plan_largest_partition(plan);
    uint64_t needed = rows > 0 ? matrix_bytes(rows, plan->dimension) : 0;
    if (needed <= limit)
        return OK;
    return error_field(
        error, ERR_TOO_LARGE, "params.linkage",
        "%s linkage needs all distances at once: %llu MiB for a partition of %u "
        "items, and %llu MiB are allowed (matrix_mib), enough for %u items; divide "
        "with partition_by, filter or dates, use linkage=single or the algorithm "
        "two-stage or hdbscan, which need no matrix, or raise matrix_mib",
        linkage_name(self->input->spec->linkage), (unsigned long long)(needed >> 20) + 1, rows,
        (unsigned long long)(limit >> 20), largest_that_fits(limit, plan->dimension));
}

/* Links in both directions, and room for those of joined clusters (worker/tasks/sparse_chain.h). */
static int check_sparse_memory(const step_t *self, size_t pairs, error_t *error)
{
    uint64_t limit = self->input->matrix_bytes ? self->input->matrix_bytes : MATRIX_BYTES_DEFAULT;
    uint64_t rows = plan_largest_partition(&self->checkpoint.plan);
    uint64_t fixed = rows * BYTES_A_SPARSE_ROW, needed = fixed + pairs * BYTES_A_PAIR;
    if (needed <= limit)
        return OK;
    return error_field(error, ERR_TOO_LARGE, "params.min_weight",
                       "%zu pairs need %llu MiB, and %llu MiB are allowed (matrix_mib), enough for "
                       "%llu pairs; raise min_weight or matrix_mib",
                       pairs, (unsigned long long)(needed >> 20) + 1,
                       (unsigned long long)(limit >> 20),
                       (unsigned long long)(limit > fixed ? (limit - fixed) / BYTES_A_PAIR : 0));
}

/* `pairs`: NULL, all distances. */
static int leave_linkage(step_t *self, const sha256_t *pairs, advance_output_t *out, error_t *error)
{
    const plan_t *plan = &self->checkpoint.plan;
    const job_spec_t *spec = self->input->spec;
    task_cutter_t cutter;
    sha256_t weight;
    int code = pairs != NULL ? pairs_save_weight(self, &weight, error) : OK;
    if (code != OK)
        return code;
    task_cutter_init(&cutter, TASK_LINKAGE, PAIRS_A_TASK, UINT32_MAX); /* whole partitions */
    for (uint32_t p = 0; p < plan->partition_count; p++)
        if (plan_partition_size(plan, p) > 1)
            task_cutter_add(&cutter, p, plan->partition_begin[p], plan->partition_begin[p + 1],
                            (uint64_t)plan_partition_size(plan, p) * plan_partition_size(plan, p));
    task_cutter_input(&cutter, "plan", &self->checkpoint.plan_sha);
    if (pairs != NULL) {
        task_cutter_input(&cutter, "pairs", pairs);
        task_cutter_input(&cutter, "weight", &weight);
    }
    task_cutter_param(&cutter, "method", spec->linkage);
    task_cutter_param(&cutter, "metric", spec->metric);
    columns_writer_t *writer = checkpoint_writer(&self->checkpoint, "state");
    snprintf(out->phase, sizeof out->phase, "%s linkage", linkage_name(spec->linkage));
    return checkpoint_leave(self->input, &cutter, &writer, out, error);
}

/* ---- the merges together ---- */

static void trees_clear(trees_t *self)
{
    free(self->begin);
    free(self->a);
    free(self->b);
    free(self->distance);
}

/* Room for a merge a slot. */
static int trees_init(trees_t *self, step_t *step, error_t *error)
{
    size_t slots = step->checkpoint.plan.count, partitions = step->checkpoint.plan.partition_count;
    *self = (trees_t){.step = step};
    self->begin = calloc(partitions + 1, sizeof *self->begin);
    self->a = malloc((slots + 1) * sizeof *self->a);
    self->b = malloc((slots + 1) * sizeof *self->b);
    self->distance = malloc((slots + 1) * sizeof *self->distance);
    if (!self->begin || !self->a || !self->b || !self->distance)
        return error_set(error, ERR_MEMORY, "out of memory for the trees of %zu rows", slots);
    return OK;
}

/* The merges that follow are of that partition. */
static void trees_reach(trees_t *self, uint32_t partition)
{
    while (self->partition < partition)
        self->begin[++self->partition] = self->count;
}

static void trees_add(trees_t *self, uint32_t a, uint32_t b, double distance)
{
    self->a[self->count] = a;
    self->b[self->count] = b;
    self->distance[self->count++] = distance;
}

static merges_t trees_merges(const trees_t *self)
{
    return (merges_t){self->step->checkpoint.plan.partition_count, self->begin, self->a, self->b,
                      self->distance};
}

/* ---- the cut ---- */

static int save_merges(const trees_t *self, sha256_t *out, error_t *error)
{
    columns_writer_t *writer = columns_writer_new("merges");
    columns_put(writer, "merge_begin", COLUMN_U32, self->begin, (size_t)self->partition + 1);
    columns_put(writer, "a", COLUMN_U32, self->a, self->count);
    columns_put(writer, "b", COLUMN_U32, self->b, self->count);
    columns_put(writer, "distance", COLUMN_F64, self->distance, self->count);
    return payload_save(self->step->input, &writer, out, error);
}

static int cut_partition(const trees_t *self, uint32_t p, clustering_t *clustering,
                         double *persistence, error_t *error)
{
    const plan_t *plan = &self->step->checkpoint.plan;
    const job_spec_t *spec = self->step->input->spec;
    merges_t merges = trees_merges(self);
    uint32_t first = plan->partition_begin[p], kinds = 0;
    dendrogram_t tree;
    int code = dendrogram_build(&merges, p, first, plan_partition_size(plan, p), &tree, error);
    if (code != OK)
        return code;
    code = dendrogram_cut(&tree, dendrogram_kept(&tree, spec), spec->smallest_cluster,
                          clustering->label + first, persistence, &kinds, error);
    for (uint32_t i = first; i < plan->partition_begin[p + 1] && code == OK; i++)
        clustering->strength[i] = clustering->label[i] < 0 ? 0 : 1;
    if (code == OK)
        code = clustering_append(clustering, p, first, plan->partition_begin[p + 1], kinds,
                                 persistence, error);
    dendrogram_clear(&tree);
    return code;
}

static void report_trees(trees_t *self)
{
    double highest = 0;
    for (uint32_t m = 0; m < self->count; m++)
        highest = self->distance[m] > highest ? self->distance[m] : highest;
    step_report(self->step, "linkage", json_string(linkage_name(self->step->input->spec->linkage)));
    step_report(self->step, "merges", json_integer(self->count));
    step_report(self->step, "highest_merge", json_real(highest));
}

static int cut_trees(trees_t *self, advance_output_t *out, error_t *error)
{
    const plan_t *plan = &self->step->checkpoint.plan;
    double *persistence = malloc(((size_t)plan_largest_partition(plan) + 1) * sizeof *persistence);
    clustering_t clustering = {0};
    sha256_t side;
    trees_reach(self, plan->partition_count);
    int code = clustering_init(&clustering, plan->count, error);
    if (code == OK && persistence == NULL)
        code = error_set(error, ERR_MEMORY, "out of memory for %u rows", plan->count);
    for (uint32_t p = 0; p < plan->partition_count && code == OK; p++)
        code = cut_partition(self, p, &clustering, persistence, error);
    if (code == OK)
        code = save_merges(self, &side, error);
    if (code == OK) {
        report_trees(self);
        self->step->side = &side;
        self->step->side_count = 1;
        code = summarise_begin(self->step, &clustering, out, error);
        self->step->side = NULL;
    }
    clustering_clear(&clustering);
    free(persistence);
    return code;
}

int agglomerative_begin(step_t *self, advance_output_t *out, error_t *error)
{
    if (plan_largest_partition(&self->checkpoint.plan) < 2) { /* nothing to join */
        trees_t trees;
        int code = trees_init(&trees, self, error);
        if (code == OK)
            code = cut_trees(&trees, out, error);
        trees_clear(&trees);
        return code;
    }
    if (job_spec_sparse(self->input->spec))
        return pairs_begin(self, out, error);
    if (self->input->spec->linkage == LINKAGE_SINGLE)
        return hdbscan_begin(self, out, error);
    int code = check_memory(self, error);
    return code == OK ? leave_linkage(self, NULL, out, error) : code;
}

int agglomerative_after_encode(step_t *self, advance_output_t *out, error_t *error)
{
    return job_spec_sparse(self->input->spec) ? pairs_after_encode(self, out, error)
                                              : hdbscan_after_encode(self, out, error);
}

int agglomerative_after_pairs(step_t *self, const sha256_t *pairs, size_t count,
                              advance_output_t *out, error_t *error)
{
    int code = check_sparse_memory(self, count, error);
    return code == OK ? leave_linkage(self, pairs, out, error) : code;
}

/* ---- after the trees ---- */

static int take_segment(trees_t *self, const segment_t *segment, const merges_t *merges, uint32_t s,
                        error_t *error)
{
    dendrogram_t tree;
    uint32_t rows = segment->end - segment->begin;
    int code = dendrogram_build(merges, s, segment->begin, rows, &tree, error);
    if (code != OK)
        return code;
    dendrogram_clear(&tree);
    trees_reach(self, segment->partition);
    for (uint32_t m = merges->begin[s]; m < merges->begin[s + 1]; m++)
        trees_add(self, merges->a[m], merges->b[m], merges->distance[m]);
    return OK;
}

static int read_merges(const payload_t *payload, uint32_t segments, merges_t *out, error_t *error)
{
    size_t count = 0;
    int code = payload_u32(payload, "merge_begin", (size_t)segments + 1, &out->begin, error);
    if (code == OK)
        code = payload_list(payload, "a", &out->a, &count, error);
    if (code == OK)
        code = payload_u32(payload, "b", count, &out->b, error);
    if (code == OK)
        code = payload_f64(payload, "distance", count, &out->distance, error);
    if (code != OK)
        return code;
    out->partition_count = segments;
    int sound = out->begin[0] == 0 && out->begin[segments] == count;
    for (uint32_t s = 0; s < segments; s++)
        sound = sound && out->begin[s] <= out->begin[s + 1];
    return sound ? OK : error_set(error, ERR_SHAPE, "%zu merges do not fit their parts", count);
}

static int take_task(trees_t *self, uint32_t task, error_t *error)
{
    const stage_t *stage = &self->step->stage;
    uint32_t from = stage->segment_begin[task], segments = stage->segment_begin[task + 1] - from;
    payload_t result = {0};
    merges_t merges;
    int code = result_open(&result, self->step->input, task, "merges", error);
    if (code == OK)
        code = read_merges(&result, segments, &merges, error);
    for (uint32_t s = 0; s < segments && code == OK; s++)
        code = take_segment(self, &stage->segments[from + s], &merges, s, error);
    payload_close(&result);
    return code == OK ? OK : result_blame(task, code, error);
}

int agglomerative_after_linkage(step_t *self, advance_output_t *out, error_t *error)
{
    trees_t trees;
    int code = trees_init(&trees, self, error);
    for (uint32_t t = 0; t < self->stage.task_count && code == OK; t++) {
        code = advance_stopped(self->input, error);
        if (code == OK)
            code = take_task(&trees, t, error);
    }
    if (code == OK)
        code = cut_trees(&trees, out, error);
    trees_clear(&trees);
    return code;
}

int agglomerative_after_tree(step_t *self, edge_t *forest, size_t count, advance_output_t *out,
                             error_t *error)
{
    const plan_t *plan = &self->checkpoint.plan;
    edge_t *dealt = NULL;
    size_t *begin = NULL;
    trees_t trees;
    int code = trees_init(&trees, self, error);
    if (code == OK && count > plan->count)
        code = error_set(error, ERR_INTERNAL, "%zu edges of %u rows", count, plan->count);
    if (code == OK)
        code = hierarchy_deal_out(forest, count, plan->partition_begin, plan->partition_count,
                                  &dealt, &begin, error);
    if (code != OK || dealt == NULL || begin == NULL)
        goto fail;
    for (uint32_t p = 0; p < plan->partition_count; p++) {
        trees_reach(&trees, p);
        for (size_t e = begin[p]; e < begin[p + 1]; e++)
            trees_add(&trees, dealt[e].a, dealt[e].b,
                      metric_distance(self->input->spec->metric, dealt[e].weight));
    }
    code = cut_trees(&trees, out, error);
fail:
    free(dealt);
    free(begin);
    trees_clear(&trees);
    return code;
}
