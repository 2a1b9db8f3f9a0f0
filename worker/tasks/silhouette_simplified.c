/* silhouette_simplified.c - how much nearer each member is to its cluster's centroid than to the
 * nearest other one, summed for each cluster.
 *
 * A thread takes one cluster after the other; its members meet all centroids, some of both at a time
 * so that they stay in the cache. What is kept of a member is one distance and a minimum, and sums
 * are float64 in member order, so neither threads nor blocks can show. */
#include "worker/tasks/members_view.h"

#include "proto/job_spec.h"

#include <math.h>
#include <stdlib.h>

#define PIECE 64

typedef struct {
    const task_state_t *state;
    members_view_t members;
    columns_t *columns;
    const float *centroid;
    size_t count;      /* clusters of this task */
    uint32_t *cluster; /* their numbers */
    metric_t metric;
    double *sum;   /* results: count */
    float *values; /* threads x PIECE x dimension */
    error_t *errors;
    atomic_int failed;
} simplified_t;

static int read_members(const simplified_t *self, uint32_t begin, size_t count, float *values,
                        error_t *error)
{
    uint32_t rows[PIECE];
    int code = task_state_check_stop(self->state, error);
    for (size_t i = 0; i < count; i++)
        rows[i] = self->state->plan.rows[self->members.member[begin + i]];
    return code ? code
                : flat_index_read_list(self->state->context->index, rows, count, values, error);
}

static double silhouette_of(double own, double other)
{
    double larger = own > other ? own : other;
    return larger > 0 ? (other - own) / larger : 0;
}

/* A cluster of one has a silhouette of 0, as in the exact one. */
static double sum_of(const simplified_t *self, uint32_t cluster, const float *values, size_t count)
{
    const dist2_backend_t *dist2 = compute_dist2(self->state->context->compute);
    size_t dimension = self->state->dimension, clusters = self->members.clusters;
    float own[PIECE], other[PIECE], d2[PIECE];
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        other[i] = own[i] = INFINITY;
    for (size_t c = 0; c < clusters; c += PIECE) {
        size_t block = clusters - c < PIECE ? clusters - c : PIECE;
        for (size_t i = 0; i < count; i++) {
            dist2->many(values + i * dimension, self->centroid + c * dimension, dimension, block,
                        dimension, d2);
            for (size_t b = 0; b < block; b++)
                *(c + b == cluster ? &own[i] : &other[i]) =
                    c + b == cluster ? d2[b] : fminf(other[i], d2[b]);
        }
    }
    for (size_t i = 0; i < count; i++)
        sum += silhouette_of(metric_distance(self->metric, own[i]),
                             metric_distance(self->metric, other[i]));
    return sum;
}

static void run_cluster(void *context, size_t item, uint32_t thread)
{
    simplified_t *self = context;
    uint32_t cluster = self->cluster[item];
    uint32_t begin = self->members.begin[cluster], end = self->members.begin[cluster + 1];
    float *values = self->values + thread * PIECE * self->state->dimension;
    self->sum[item] = 0;
    for (uint32_t i = begin; i < end && end - begin > 1; i += PIECE) {
        size_t count = end - i < PIECE ? end - i : PIECE;
        if (atomic_load(&self->failed) ||
            read_members(self, i, count, values, &self->errors[thread])) {
            atomic_store(&self->failed, 1);
            return;
        }
        self->sum[item] += sum_of(self, cluster, values, count);
        task_state_advance(self->state, count * self->members.clusters);
    }
}

static int prepare(simplified_t *self, error_t *error)
{
    const task_t *task = self->state->task;
    size_t threads = compute_threads(self->state->context->compute), next = 0;
    const void *values;
    int code = task_state_input(self->state, "centroids", &self->columns, error);
    if (!code)
        code = columns_get(self->columns, "centroid", COLUMN_F32,
                           self->members.clusters * self->state->dimension, &values, NULL, error);
    if (code)
        return code;
    self->centroid = values;
    self->cluster = malloc((self->count + 1) * sizeof *self->cluster);
    self->sum = malloc((self->count + 1) * sizeof *self->sum);
    self->values = malloc(threads * PIECE * self->state->dimension * sizeof *self->values);
    self->errors = calloc(threads, sizeof *self->errors);
    if (!self->cluster || !self->sum || !self->values || !self->errors)
        return error_set(error, ERR_MEMORY, "no memory to compare members with %zu centroids",
                         self->members.clusters);
    for (uint32_t s = 0; s < task->segment_count; s++)
        for (uint32_t c = task->segments[s].begin; c < task->segments[s].end; c++)
            self->cluster[next++] = c;
    return OK;
}

static int run_all(simplified_t *self, error_t *error)
{
    compute_t *compute = self->state->context->compute;
    pool_run(compute_pool(compute), self->count, run_cluster, self);
    for (uint32_t thread = 0; thread < compute_threads(compute); thread++) {
        if (!self->errors[thread].code)
            continue;
        if (error)
            *error = self->errors[thread];
        return self->errors[thread].code;
    }
    task_state_advance(self->state, self->state->task->work);
    return OK;
}

int task_silhouette_simplified(task_state_t *state, uint8_t **payload, size_t *length,
                               error_t *error)
{
    simplified_t self = {.state = state};
    self.metric = task_param(state->task, "euclidean", 0) > 0 ? METRIC_EUCLIDEAN : METRIC_COSINE;
    int code = members_view_open(&self.members, state, error);
    if (!code)
        code = members_view_clusters(&self.members, state->task, &self.count, error);
    if (!code)
        code = prepare(&self, error);
    if (!code)
        code = run_all(&self, error);
    if (!code) {
        columns_writer_t *writer = columns_writer_new("simplified");
        columns_put(writer, "sum", COLUMN_F64, self.sum, self.count);
        code = columns_writer_finish(&writer, payload, length, error);
    }
    members_view_close(&self.members);
    columns_close(&self.columns);
    free(self.cluster);
    free(self.sum);
    free(self.values);
    free(self.errors);
    return code;
}
