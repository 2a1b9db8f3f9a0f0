/* silhouette.c - mean distances of a sample to the members of clusters.
 *
 * Clusters are independent: a thread takes one after the other, reads its members piece by piece,
 * and compares each with the whole sample, which stays in memory. Sums are float64 of the canonical
 * distance in member order; what is kept of them is a minimum, which has no order. */
#include "worker/tasks/members_view.h"

#include "proto/job_spec.h"

#include <math.h>
#include <stdlib.h>

#define PIECE 64 /* members that stay in the cache beside the sample's vector */
#define SAMPLE_LIMIT 65536u

typedef struct {
    const task_state_t *state;
    members_view_t members;
    size_t count;      /* clusters of this task */
    uint32_t *cluster; /* their numbers */
    metric_t metric;
    columns_t *columns;
    size_t sampled;
    const uint32_t *slot;
    const uint32_t *cluster_of;
    float *sample; /* sampled x dimension */
    /* of each thread */
    float *values; /* PIECE x dimension */
    double *sum;   /* sampled */
    double *own;   /* sampled, as the payload has them */
    double *other;
    error_t *errors;
    atomic_int failed;
} silhouette_t;

static int read_slots(const silhouette_t *self, const uint32_t *slots, size_t count, float *values,
                      error_t *error)
{
    const task_state_t *state = self->state;
    uint32_t rows[PIECE];
    int code = task_state_check_stop(state, error);
    for (size_t i = 0; i < count; i++)
        rows[i] = state->plan.rows[slots[i]];
    return code ? code : flat_index_read_list(state->context->index, rows, count, values, error);
}

static void add_piece(const silhouette_t *self, const float *values, size_t count, double *sum)
{
    size_t dimension = self->state->dimension;
    const dist2_backend_t *dist2 = compute_dist2(self->state->context->compute);
    float d2[PIECE];
    for (size_t s = 0; s < self->sampled; s++) {
        dist2->many(self->sample + s * dimension, values, dimension, count, dimension, d2);
        for (size_t i = 0; i < count; i++)
            sum[s] += metric_distance(self->metric, d2[i]);
    }
}

/* A member is 0 from itself: its own cluster's sum is that of the others. */
static void keep(const silhouette_t *self, uint32_t cluster, uint32_t thread)
{
    const double *sum = self->sum + thread * self->sampled;
    double *own = self->own + thread * self->sampled;
    double *other = self->other + thread * self->sampled;
    double size = (double)(self->members.begin[cluster + 1] - self->members.begin[cluster]);
    for (size_t s = 0; s < self->sampled; s++) {
        if (self->cluster_of[s] == cluster)
            own[s] = size > 1 ? sum[s] / (size - 1) : -1;
        else
            other[s] = fmin(other[s], sum[s] / size);
    }
}

static void run_cluster(void *context, size_t item, uint32_t thread)
{
    silhouette_t *self = context;
    uint32_t cluster = self->cluster[item];
    uint32_t begin = self->members.begin[cluster], end = self->members.begin[cluster + 1];
    float *values = self->values + thread * PIECE * self->state->dimension;
    double *sum = self->sum + thread * self->sampled;
    if (atomic_load(&self->failed))
        return;
    for (size_t s = 0; s < self->sampled; s++)
        sum[s] = 0;
    for (uint32_t i = begin; i < end; i += PIECE) {
        size_t count = end - i < PIECE ? end - i : PIECE;
        if (read_slots(self, self->members.member + i, count, values, &self->errors[thread])) {
            atomic_store(&self->failed, 1);
            return;
        }
        add_piece(self, values, count, sum);
        task_state_advance(self->state, count * self->sampled);
    }
    keep(self, cluster, thread);
}

static int read_sample(silhouette_t *self, error_t *error)
{
    const void *slot, *cluster;
    int code = task_state_input(self->state, "sample", &self->columns, error);
    if (!code)
        code =
            columns_get(self->columns, "slot", COLUMN_U32, SIZE_MAX, &slot, &self->sampled, error);
    if (!code)
        code =
            columns_get(self->columns, "cluster", COLUMN_U32, self->sampled, &cluster, NULL, error);
    if (code)
        return code;
    self->slot = slot;
    self->cluster_of = cluster;
    if (self->sampled > SAMPLE_LIMIT)
        return error_set(error, ERR_PROTOCOL, "a sample of %zu; at most %u", self->sampled,
                         SAMPLE_LIMIT);
    for (size_t s = 0; s < self->sampled; s++)
        if (self->slot[s] >= self->state->plan.slots ||
            self->cluster_of[s] >= self->members.clusters)
            return error_set(error, ERR_PROTOCOL, "sample %zu is slot %u of cluster %u", s,
                             self->slot[s], self->cluster_of[s]);
    self->sample = malloc((self->sampled * self->state->dimension + 1) * sizeof *self->sample);
    if (!self->sample)
        return error_set(error, ERR_MEMORY, "no memory for a sample of %zu", self->sampled);
    for (size_t s = 0; s < self->sampled && !code; s += PIECE)
        code =
            read_slots(self, self->slot + s, self->sampled - s < PIECE ? self->sampled - s : PIECE,
                       self->sample + s * self->state->dimension, error);
    return code;
}

static int prepare(silhouette_t *self, error_t *error)
{
    const task_t *task = self->state->task;
    size_t threads = compute_threads(self->state->context->compute);
    size_t room = threads * self->sampled + 1, next = 0;
    self->cluster = malloc((self->count + 1) * sizeof *self->cluster);
    self->values = malloc(threads * PIECE * self->state->dimension * sizeof *self->values);
    self->sum = malloc(room * sizeof *self->sum);
    self->own = malloc(room * sizeof *self->own);
    self->other = malloc(room * sizeof *self->other);
    self->errors = calloc(threads, sizeof *self->errors);
    if (!self->cluster || !self->values || !self->sum || !self->own || !self->other ||
        !self->errors)
        return error_set(error, ERR_MEMORY, "no memory to compare a sample of %zu", self->sampled);
    for (uint32_t s = 0; s < task->segment_count; s++)
        for (uint32_t c = task->segments[s].begin; c < task->segments[s].end; c++)
            self->cluster[next++] = c;
    for (size_t i = 0; i < threads * self->sampled; i++) {
        self->own[i] = -1;
        self->other[i] = INFINITY;
    }
    return OK;
}

static int run_all(silhouette_t *self, error_t *error)
{
    compute_t *compute = self->state->context->compute;
    pool_run(compute_pool(compute), self->count, run_cluster, self);
    for (uint32_t thread = 0; thread < compute_threads(compute); thread++) {
        if (self->errors[thread].code) {
            if (error)
                *error = self->errors[thread];
            return self->errors[thread].code;
        }
        for (size_t s = 0; s < self->sampled; s++) {
            self->own[s] = fmax(self->own[s], self->own[thread * self->sampled + s]);
            self->other[s] = fmin(self->other[s], self->other[thread * self->sampled + s]);
        }
    }
    return OK;
}

static void release(silhouette_t *self)
{
    members_view_close(&self->members);
    columns_close(&self->columns);
    free(self->cluster);
    free(self->sample);
    free(self->values);
    free(self->sum);
    free(self->own);
    free(self->other);
    free(self->errors);
}

int task_silhouette(task_state_t *state, uint8_t **payload, size_t *length, error_t *error)
{
    silhouette_t self = {.state = state};
    if (task_input(state->task, "centroids"))
        return task_silhouette_simplified(state, payload, length, error);
    self.metric = task_param(state->task, "euclidean", 0) > 0 ? METRIC_EUCLIDEAN : METRIC_COSINE;
    int code = members_view_open(&self.members, state, error);
    if (!code)
        code = members_view_clusters(&self.members, state->task, &self.count, error);
    if (!code)
        code = read_sample(&self, error);
    if (!code)
        code = prepare(&self, error);
    if (!code)
        code = run_all(&self, error);
    if (!code) {
        columns_writer_t *writer = columns_writer_new("silhouette");
        columns_put(writer, "own", COLUMN_F64, self.own, self.sampled);
        columns_put(writer, "other", COLUMN_F64, self.other, self.sampled);
        code = columns_writer_finish(&writer, payload, length, error);
    }
    release(&self);
    return code;
}
