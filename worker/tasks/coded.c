#include "worker/tasks/coded.h"

#include "worker/compute/int8.h"

#include <stdlib.h>
#include <string.h>

#define CACHE_LINE 64

static void *aligned(size_t count, size_t size)
{
    return aligned_alloc(CACHE_LINE, (count * size / CACHE_LINE + 1) * CACHE_LINE);
}

int coded_init(coded_t *self, size_t capacity, const codes_view_t *view, int with_vectors,
               error_t *error)
{
    size_t dimension = view->codes.dimension, width = view->codes.width;
    *self = (coded_t){.capacity = capacity, .dimension = dimension, .width = width};
    if (capacity > SIZE_MAX / 4 / sizeof(float) / (dimension + width))
        return error_set(error, ERR_SHAPE, "%zu vectors of %zu dimensions", capacity, dimension);
    self->place = aligned(capacity, sizeof *self->place);
    self->slot = aligned(capacity, sizeof *self->slot);
    self->rows = aligned(capacity, sizeof *self->rows);
    self->codes = aligned(capacity, width);
    self->sum = aligned(capacity, sizeof *self->sum);
    self->square = aligned(capacity, sizeof *self->square);
    self->whole = aligned(capacity, sizeof *self->whole);
    self->residual_head = aligned(capacity, sizeof *self->residual_head);
    self->residual = aligned(capacity, sizeof *self->residual);
    if (with_vectors) {
        self->vector = malloc((capacity + 1) * sizeof *self->vector);
        self->room = aligned(capacity * dimension, sizeof *self->room);
    }
    if (self->place && self->slot && self->rows && self->codes && self->sum && self->square &&
        self->whole && self->residual_head && self->residual &&
        (!with_vectors || (self->vector && self->room)))
        return OK;
    coded_clear(self);
    return error_set(error, ERR_MEMORY, "no memory for %zu vectors of %zu dimensions", capacity,
                     dimension);
}

void coded_clear(coded_t *self)
{
    free(self->place);
    free(self->slot);
    free(self->rows);
    free(self->codes);
    free(self->sum);
    free(self->square);
    free(self->whole);
    free(self->residual_head);
    free(self->residual);
    free(self->vector);
    free(self->room);
    *self = (coded_t){0};
}

int coded_read(coded_t *self, const codes_view_t *view, const task_state_t *state, error_t *error)
{
    const int8_kernel_t *kernel = compute_int8(state->context->compute);
    for (size_t i = 0; i < self->count; i++) {
        uint32_t place = self->place[i];
        int8_t *codes = self->codes + i * self->width;
        memcpy(codes, view->code + (size_t)place * self->width, self->width);
        self->slot[i] = view->slot[place];
        self->rows[i] = state->plan.rows[self->slot[i]];
        self->residual_head[i] = view->residual_head[place];
        self->residual[i] = view->residual[place];
        self->square[i] = kernel->dot(codes, codes, view->codes.head);
        self->whole[i] = kernel->dot(codes, codes, self->width);
    }
    if (!self->vector)
        return OK;
    return task_state_find(state, self->rows, self->count, self->room, self->vector, error);
}

void coded_sum(coded_t *self, const codes_view_t *view)
{
    const int8_rows_t rows = {self->codes, self->width, self->count, view->codes.head, NULL};
    int8_sums(&rows, self->sum);
}
