/* summarise.c - what is said of each cluster: centroid, similarity, its most typical members.
 *
 * Clusters are independent: a thread takes one after the other and reads it piece by piece, twice
 * when it has more than one piece.
 * Sums are float64 in member order, dot products float64 in a fixed order of lanes. */
#include "worker/tasks/members_view.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PIECE 256
#define LANES 8

typedef struct {
    const task_state_t *state;
    members_view_t members;
    size_t count;         /* of this task */
    uint32_t *number;     /* of each cluster of this task: where it is in members */
    size_t *first;        /* and where its members are in `similarity` */
    float *values;        /* threads x PIECE x dimension, of those that are not kept */
    const float **vector; /* threads x PIECE */
    uint32_t *rows;       /* threads x PIECE */
    double *sums;         /* threads x dimension */
    error_t *errors;      /* per thread */
    atomic_int failed;
    /* results */
    float *centroid;
    double *similarity_mean;
    float *similarity;
    uint32_t *typical;
} summarise_t;

/* A cluster, and the room of the thread that works on it. */
typedef struct {
    const summarise_t *task;
    const uint32_t *member;
    size_t size;
    float *values;
    const float **vector;
    uint32_t *rows;
    double *sum;
    error_t *error;
} cluster_t;

/* Lane l adds the dimensions l, l + 8, ...; the lanes are added in order. */
static double dot(const float *a, const float *b, size_t dimension)
{
    double lane[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= dimension; i += LANES) {
        for (size_t l = 0; l < LANES; l++)
            lane[l] += (double)a[i + l] * (double)b[i + l];
    }
    for (size_t l = 0; i + l < dimension; l++)
        lane[l] += (double)a[i + l] * (double)b[i + l];
    double sum = 0;
    for (size_t l = 0; l < LANES; l++)
        sum += lane[l];
    return sum;
}

static int read_piece(const cluster_t *cluster, size_t first, size_t *count)
{
    const task_state_t *state = cluster->task->state;
    *count = cluster->size - first < PIECE ? cluster->size - first : PIECE;
    int code = task_state_check_stop(state, cluster->error);
    if (code)
        return code;
    for (size_t i = 0; i < *count; i++)
        cluster->rows[i] = state->plan.rows[cluster->member[first + i]];
    return task_state_find(state, cluster->rows, *count, cluster->values, cluster->vector,
                           cluster->error);
}

/* The mean as a unit vector, and the average pairwise similarity, which needs no pair loop:
 * |sum|^2 is the sum of all n^2 dot products, the n of a member with itself among them. */
static int find_centroid(const cluster_t *cluster, float *centroid, double *similarity_mean)
{
    size_t dimension = cluster->task->state->dimension;
    double own = 0;
    size_t count;
    memset(cluster->sum, 0, dimension * sizeof *cluster->sum);
    for (size_t first = 0; first < cluster->size; first += count) {
        int code = read_piece(cluster, first, &count);
        if (code)
            return code;
        for (size_t i = 0; i < count; i++) {
            const float *values = cluster->vector[i];
            for (size_t d = 0; d < dimension; d++)
                cluster->sum[d] += (double)values[d];
            own += dot(values, values, dimension);
        }
    }
    double norm2 = 0;
    for (size_t d = 0; d < dimension; d++)
        norm2 += cluster->sum[d] * cluster->sum[d];
    double norm = sqrt(norm2);
    for (size_t d = 0; d < dimension; d++)
        centroid[d] = norm > 0 ? (float)(cluster->sum[d] / norm) : 0;
    double n = (double)cluster->size;
    *similarity_mean = cluster->size > 1 ? (norm2 - own) / (n * (n - 1)) : 1;
    return OK;
}

/* What fits in one piece is still there. */
static int find_similarities(const cluster_t *cluster, const float *centroid, float *similarity)
{
    size_t dimension = cluster->task->state->dimension;
    size_t count = cluster->size;
    for (size_t first = 0; first < cluster->size; first += count) {
        int code = cluster->size > PIECE ? read_piece(cluster, first, &count) : OK;
        if (code)
            return code;
        for (size_t i = 0; i < count; i++)
            similarity[first + i] = (float)dot(cluster->vector[i], centroid, dimension);
    }
    return OK;
}

/* The most similar members; equals in the order of their slots, which is that of the members. */
static void find_typical(const cluster_t *cluster, const float *similarity, uint32_t *typical)
{
    size_t best[TYPICAL_COUNT];
    size_t found = 0;
    for (size_t i = 0; i < cluster->size; i++) {
        size_t place = found;
        while (place && similarity[i] > similarity[best[place - 1]])
            place--;
        if (place == TYPICAL_COUNT)
            continue;
        if (found < TYPICAL_COUNT)
            found++;
        for (size_t j = found - 1; j > place; j--)
            best[j] = best[j - 1];
        best[place] = i;
    }
    for (size_t i = 0; i < TYPICAL_COUNT; i++)
        typical[i] = i < found ? cluster->member[best[i]] : SLOT_NONE;
}

static void run_cluster(void *context, size_t item, uint32_t thread)
{
    summarise_t *self = context;
    size_t dimension = self->state->dimension;
    uint32_t number = self->number[item];
    uint32_t begin = self->members.begin[number];
    const cluster_t cluster = {self,
                               self->members.member + begin,
                               self->members.begin[number + 1] - begin,
                               self->values + thread * PIECE * dimension,
                               self->vector + (size_t)thread * PIECE,
                               self->rows + (size_t)thread * PIECE,
                               self->sums + thread * dimension,
                               &self->errors[thread]};
    if (atomic_load(&self->failed))
        return;
    float *centroid = self->centroid + item * dimension;
    float *similarity = self->similarity + self->first[item];
    int code = find_centroid(&cluster, centroid, &self->similarity_mean[item]);
    if (!code)
        code = find_similarities(&cluster, centroid, similarity);
    if (!code)
        find_typical(&cluster, similarity, self->typical + item * TYPICAL_COUNT);
    else
        atomic_store(&self->failed, 1);
    task_state_advance(self->state, cluster.size);
}

static int prepare(summarise_t *self, size_t *members, error_t *error)
{
    const task_t *task = self->state->task;
    size_t dimension = self->state->dimension;
    size_t threads = compute_threads(self->state->context->compute);
    self->number = malloc((self->count + 1) * sizeof *self->number);
    self->first = malloc((self->count + 1) * sizeof *self->first);
    if (!self->number || !self->first)
        return error_set(error, ERR_MEMORY, "no memory for %zu clusters", self->count);
    size_t place = 0;
    *members = 0;
    for (uint32_t s = 0; s < task->segment_count; s++) {
        for (uint32_t c = task->segments[s].begin; c < task->segments[s].end; c++, place++) {
            self->number[place] = c;
            self->first[place] = *members;
            *members += self->members.begin[c + 1] - self->members.begin[c];
        }
    }
    self->values = malloc(threads * PIECE * dimension * sizeof *self->values);
    self->vector = malloc(threads * PIECE * sizeof *self->vector);
    self->rows = malloc(threads * PIECE * sizeof *self->rows);
    self->sums = malloc(threads * dimension * sizeof *self->sums);
    self->errors = calloc(threads, sizeof *self->errors);
    self->centroid = malloc((self->count * dimension + 1) * sizeof *self->centroid);
    self->similarity_mean = malloc((self->count + 1) * sizeof *self->similarity_mean);
    self->similarity = malloc((*members + 1) * sizeof *self->similarity);
    self->typical = malloc((self->count * TYPICAL_COUNT + 1) * sizeof *self->typical);
    if (!self->values || !self->vector || !self->rows || !self->sums || !self->errors ||
        !self->centroid || !self->similarity_mean || !self->similarity || !self->typical)
        return error_set(error, ERR_MEMORY, "no memory for %zu clusters of %zu members",
                         self->count, *members);
    return OK;
}

static int run_clusters(summarise_t *self, error_t *error)
{
    compute_t *compute = self->state->context->compute;
    pool_run(compute_pool(compute), self->count, run_cluster, self);
    for (uint32_t thread = 0; thread < compute_threads(compute); thread++) {
        const error_t *found = &self->errors[thread];
        if (!found->code)
            continue;
        if (error)
            *error = *found;
        return found->code;
    }
    return OK;
}

static int write_payload(const summarise_t *self, size_t members, uint8_t **payload, size_t *length,
                         error_t *error)
{
    columns_writer_t *writer = columns_writer_new("summary");
    columns_put(writer, "centroid", COLUMN_F32, self->centroid,
                self->count * self->state->dimension);
    columns_put(writer, "similarity_mean", COLUMN_F64, self->similarity_mean, self->count);
    columns_put(writer, "similarity", COLUMN_F32, self->similarity, members);
    columns_put(writer, "typical", COLUMN_U32, self->typical, self->count * TYPICAL_COUNT);
    return columns_writer_finish(&writer, payload, length, error);
}

static void release(summarise_t *self)
{
    members_view_close(&self->members);
    free(self->number);
    free(self->first);
    free(self->values);
    free(self->vector);
    free(self->rows);
    free(self->sums);
    free(self->errors);
    free(self->centroid);
    free(self->similarity_mean);
    free(self->similarity);
    free(self->typical);
}

int task_summarise(task_state_t *state, uint8_t **payload, size_t *length, error_t *error)
{
    summarise_t self = {.state = state};
    size_t members = 0;
    int code = members_view_open(&self.members, state, error);
    if (!code)
        code = members_view_clusters(&self.members, state->task, &self.count, error);
    if (!code)
        code = prepare(&self, &members, error);
    if (!code)
        code = run_clusters(&self, error);
    if (!code)
        code = write_payload(&self, members, payload, length, error);
    release(&self);
    return code;
}
