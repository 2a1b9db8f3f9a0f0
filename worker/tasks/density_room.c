#include "worker/tasks/density.h"

#include "worker/tasks/nn_chain.h"

#include <stdlib.h>

#define CACHE_LINE 64
#define TILE_COLUMNS 64 /* their vectors stay in the second cache for the rows of an item */

int density_init(density_t *self, const task_state_t *state, const all_points_t *all_points,
                 uint32_t capacity, uint32_t threads, error_t *error)
{
    size_t floats = (size_t)capacity * state->dimension;
    *self = (density_t){.state = state, .all_points = all_points, .capacity = capacity};
    self->rows = malloc(((size_t)capacity + 1) * sizeof *self->rows);
    self->values =
        aligned_alloc(CACHE_LINE, (floats * sizeof(float) / CACHE_LINE + 1) * CACHE_LINE);
    self->dist2 = malloc((condensed_size(capacity) + 1) * sizeof *self->dist2);
    self->near = malloc(((size_t)threads * CORE_ROWS * capacity + 1) * sizeof *self->near);
    if (self->rows && self->values && self->dist2 && self->near)
        return OK;
    density_clear(self);
    return error_set(error, ERR_MEMORY, "no memory for the distances of %u members", capacity);
}

void density_clear(density_t *self)
{
    free(self->rows);
    free(self->values);
    free(self->dist2);
    free(self->near);
    *self = (density_t){0};
}

int density_read(density_t *self, const uint32_t *member, uint32_t count, float *core,
                 error_t *error)
{
    for (uint32_t i = 0; i < count; i++)
        self->rows[i] = self->state->plan.rows[member[i]];
    self->count = count;
    self->core = core;
    return task_state_copy(self->state, self->rows, count, self->values, error);
}

static void measure_tile(const density_t *self, size_t begin, size_t end, size_t column)
{
    size_t dimension = self->state->dimension, to = column + TILE_COLUMNS;
    dist2_many_fn many = compute_dist2(self->state->context->compute)->many;
    to = to < self->count ? to : self->count;
    for (size_t i = begin; i < end; i++) {
        size_t from = column > i ? column : i + 1;
        if (from < to)
            many(self->values + i * dimension, self->values + from * dimension, dimension,
                 to - from, dimension, self->dist2 + (condensed_row(self->count, i) + from));
    }
}

/* The rows of an item against all that follow. */
void density_measure(void *density, size_t item, uint32_t thread)
{
    density_t *self = density;
    size_t begin = item * MEASURE_ROWS, end = begin + MEASURE_ROWS;
    (void)thread;
    if (task_state_stopped(self->state))
        return;
    end = end < self->count ? end : self->count;
    for (size_t column = begin; column < self->count; column += TILE_COLUMNS)
        measure_tile(self, begin, end, column);
    task_state_advance(self->state, (uint64_t)(end - begin) * (self->count - begin));
}

/* Whole rows of the matrix, of which the part before the diagonal stands in columns. */
static void gather(const density_t *self, size_t begin, size_t end, float *near)
{
    for (size_t j = 0; j < self->count; j++)
        for (size_t i = begin; i < end; i++) {
            size_t low = i < j ? i : j, high = i < j ? j : i;
            near[(i - begin) * self->count + j] =
                i == j ? 0 : self->dist2[condensed_row(self->count, low) + high];
        }
}

void density_cores(void *density, size_t item, uint32_t thread)
{
    density_t *self = density;
    size_t begin = item * CORE_ROWS, end = begin + CORE_ROWS;
    float *near = self->near + (size_t)thread * CORE_ROWS * self->capacity;
    if (task_state_stopped(self->state))
        return;
    end = end < self->count ? end : self->count;
    gather(self, begin, end, near);
    for (size_t i = begin; i < end; i++)
        self->core[i] =
            all_points_core(self->all_points, near + (i - begin) * self->count, self->count);
}
