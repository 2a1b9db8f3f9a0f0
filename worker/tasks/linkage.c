/* linkage.c - the agglomerative trees of whole partitions.
 *
 * From all distances, or, with the input "pairs", from those pairs (linkage_sparse.c).
 *
 * The canonical distances of a partition stand in memory as one condensed float64 matrix, made by
 * all threads and used up by the chain. It never travels: computing it takes less time than sending
 * it would (docs/decisions/0006). The coordinator has planned its size before the task was cut. */
#include "worker/tasks/linkage.h"

#include <math.h>
#include <stdlib.h>

#define CACHE_LINE 64
#define ITEM_ROWS 32
#define TILE_COLUMNS_NEAR 64 /* their vectors stay in the second cache for the rows of an item */

/* Ward's is a matter of squares, whatever the metric; so are the largest distances. */
static double matrix_value(const linkage_t *self, float dist2)
{
    return self->method == LINKAGE_AVERAGE ? metric_distance(self->metric, dist2) : (double)dist2;
}

/* A distance of the tree, from what stands in the matrix. */
static double tree_distance(const linkage_t *self, double value)
{
    if (self->method == LINKAGE_AVERAGE)
        return value;
    return self->metric == METRIC_COSINE ? value / 2 : sqrt(value);
}

static void measure_tile(const linkage_t *self, size_t begin, size_t end, size_t column)
{
    size_t dimension = self->state->dimension;
    dist2_many_fn many = compute_dist2(self->state->context->compute)->many;
    float dist2[TILE_COLUMNS_NEAR];
    for (size_t i = begin; i < end; i++) {
        size_t from = column > i ? column : i + 1;
        size_t to = column + TILE_COLUMNS_NEAR;
        to = to < self->count ? to : self->count;
        if (from >= to)
            continue;
        many(self->values + i * dimension, self->values + from * dimension, dimension, to - from,
             dimension, dist2);
        double *row = self->matrix + (condensed_row(self->count, i) + from);
        for (size_t j = from; j < to; j++)
            row[j - from] = self->first + j < self->bands[i].end
                                ? matrix_value(self, dist2[j - from])
                                : INFINITY;
    }
}

/* The rows of an item against all that follow. */
static void measure_rows(void *context, size_t item, uint32_t thread)
{
    linkage_t *self = context;
    size_t begin = item * ITEM_ROWS, end = begin + ITEM_ROWS;
    (void)thread;
    if (task_state_stopped(self->state))
        return;
    end = end < self->count ? end : self->count;
    for (size_t column = begin; column < self->count; column += TILE_COLUMNS_NEAR)
        measure_tile(self, begin, end, column);
    task_state_advance(self->state, (uint64_t)(end - begin) * (self->count - begin));
}

static int read_vectors(linkage_t *self, error_t *error)
{
    const plan_view_t *plan = &self->state->plan;
    return flat_index_read_list(self->state->context->index, plan->rows + self->first, self->count,
                                self->values, error);
}

static int grow_tree(linkage_t *self, error_t *error)
{
    merge_t *out = self->merges + self->merge_count;
    uint32_t merges = 0;
    int code = nn_chain(self->matrix, self->count, self->method, self->state->context->stop, out,
                        &merges, error);
    for (uint32_t m = 0; m < merges && !code; m++) {
        out[m].a += self->first;
        out[m].b += self->first;
        out[m].distance = tree_distance(self, out[m].distance);
    }
    self->merge_count += merges;
    return code;
}

static int run_dense(linkage_t *self, uint32_t partition, error_t *error)
{
    const plan_view_t *plan = &self->state->plan;
    size_t count = self->count, dimension = self->state->dimension;
    band_t *bands = malloc((count + 1) * sizeof *bands);
    self->bands = bands;
    self->values = aligned_alloc(CACHE_LINE,
                                 (count * dimension * sizeof(float) / CACHE_LINE + 1) * CACHE_LINE);
    self->matrix = malloc((condensed_size(count) + 1) * sizeof *self->matrix);
    int code = OK;
    if (!bands || !self->values || !self->matrix)
        code = error_set(error, ERR_MEMORY, "no memory for the distances of %zu rows", count);
    if (!code)
        code = read_vectors(self, error);
    for (uint32_t i = 0; i < count && !code; i++)
        bands[i] = plan_view_band(plan, partition, self->first + i);
    if (!code)
        pool_run(compute_pool(self->state->context->compute), (count + ITEM_ROWS - 1) / ITEM_ROWS,
                 measure_rows, self);
    if (!code)
        code = task_state_check_stop(self->state, error);
    if (!code)
        code = grow_tree(self, error);
    free(self->matrix);
    free(self->values);
    free(bands);
    return code;
}

static int run_partition(linkage_t *self, const segment_t *segment, error_t *error)
{
    self->first = segment->begin;
    self->count = segment->end - segment->begin;
    return self->pairs ? linkage_sparse(self, segment->partition, error)
                       : run_dense(self, segment->partition, error);
}

static int write_payload(const linkage_t *self, uint8_t **payload, size_t *length, error_t *error)
{
    size_t count = self->merge_count, segments = self->state->task->segment_count;
    uint32_t *a = malloc((count + 1) * sizeof *a), *b = malloc((count + 1) * sizeof *b);
    double *distance = malloc((count + 1) * sizeof *distance);
    int code = OK;
    if (!a || !b || !distance)
        code = error_set(error, ERR_MEMORY, "no memory for %zu merges", count);
    for (size_t m = 0; m < count && !code; m++) {
        a[m] = self->merges[m].a;
        b[m] = self->merges[m].b;
        distance[m] = self->merges[m].distance;
    }
    if (!code) {
        columns_writer_t *writer = columns_writer_new("merges");
        columns_put(writer, "merge_begin", COLUMN_U32, self->merge_begin, segments + 1);
        columns_put(writer, "a", COLUMN_U32, a, count);
        columns_put(writer, "b", COLUMN_U32, b, count);
        columns_put(writer, "distance", COLUMN_F64, distance, count);
        code = columns_writer_finish(&writer, payload, length, error);
    }
    free(a);
    free(b);
    free(distance);
    return code;
}

static int read_params(linkage_t *self, error_t *error)
{
    uint64_t method = 0, metric = 0;
    int code = task_state_whole(self->state, "method", 0, LINKAGE_WARD, &method, error);
    if (!code)
        code = task_state_whole(self->state, "metric", 0, METRIC_EUCLIDEAN, &metric, error);
    self->method = (linkage_method_t)method;
    self->metric = (metric_t)metric;
    if (!code && self->method == LINKAGE_SINGLE)
        code = error_set(error, ERR_PROTOCOL, "single linkage is a spanning tree, no such task");
    if (!code && task_input(self->state->task, "pairs"))
        code = linkage_open_pairs(self, error);
    return code;
}

int task_linkage(task_state_t *state, uint8_t **payload, size_t *length, error_t *error)
{
    linkage_t self = {.state = state};
    uint32_t segments = state->task->segment_count;
    size_t slots = 0;
    int code = task_state_slots(state, &slots, error);
    if (!code)
        code = read_params(&self, error);
    if (code)
        goto done;
    self.merges = malloc((slots + 1) * sizeof *self.merges);
    self.merge_begin = calloc((size_t)segments + 1, sizeof *self.merge_begin);
    if (!self.merges || !self.merge_begin)
        code = error_set(error, ERR_MEMORY, "no memory for the trees of %zu rows", slots);
    for (uint32_t s = 0; s < segments && !code; s++) {
        code = run_partition(&self, &state->task->segments[s], error);
        self.merge_begin[s + 1] = (uint32_t)self.merge_count;
    }
    if (!code)
        code = write_payload(&self, payload, length, error);
done:
    free(self.merges);
    free(self.merge_begin);
    columns_close(&self.pairs);
    columns_close(&self.weights);
    return code;
}
