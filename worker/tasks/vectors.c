#include "worker/tasks/vectors.h"

#include <math.h>
#include <stdlib.h>

#define CACHE_LINE 64

int vectors_init(vectors_t *self, size_t capacity, size_t dimension, error_t *error)
{
    *self = (vectors_t){.capacity = capacity, .dimension = dimension};
    if (dimension < 1 || dimension > DIMENSION_LIMIT ||
        capacity > SIZE_MAX / 2 / sizeof(float) / dimension)
        return error_set(error, ERR_SHAPE, "%zu vectors of %zu dimensions", capacity, dimension);
    size_t bytes = capacity * dimension * sizeof *self->values;
    self->values = aligned_alloc(CACHE_LINE, (bytes + CACHE_LINE) / CACHE_LINE * CACHE_LINE);
    self->slots = malloc((capacity + 1) * sizeof *self->slots);
    self->rows = malloc((capacity + 1) * sizeof *self->rows);
    self->norm2 = malloc((capacity + 1) * sizeof *self->norm2);
    self->bound = malloc((capacity + 1) * sizeof *self->bound);
    if (self->values && self->slots && self->rows && self->norm2 && self->bound)
        return OK;
    vectors_clear(self);
    return error_set(error, ERR_MEMORY, "no memory for %zu vectors of %zu dimensions", capacity,
                     dimension);
}

void vectors_clear(vectors_t *self)
{
    free(self->values);
    free(self->slots);
    free(self->rows);
    free(self->norm2);
    free(self->bound);
    *self = (vectors_t){0};
}

int vectors_read(vectors_t *self, const plan_view_t *plan, const flat_index_t *index,
                 const screen_t *screen, error_t *error)
{
    for (size_t i = 0; i < self->count; i++)
        self->rows[i] = plan->rows[self->slots[i]];
    int code = flat_index_read_list(index, self->rows, self->count, self->values, error);
    if (!code)
        vectors_measure(self, screen);
    return code;
}

void vectors_measure(vectors_t *self, const screen_t *screen)
{
    self->bound_max = 0;
    for (size_t i = 0; i < self->count; i++) {
        self->norm2[i] = screen_norm2(self->values + i * self->dimension, self->dimension);
        self->bound[i] = screen_column_bound(screen, self->norm2[i]);
        if (!(self->bound[i] <= self->bound_max) && !isnan(self->bound_max))
            self->bound_max = self->bound[i];
    }
}

static size_t first_from(const vectors_t *self, uint32_t slot)
{
    size_t begin = 0;
    size_t end = self->count;
    while (begin < end) {
        size_t middle = begin + (end - begin) / 2;
        if (self->slots[middle] < slot)
            begin = middle + 1;
        else
            end = middle;
    }
    return begin;
}

range_t vectors_range(const vectors_t *self, band_t band)
{
    return (range_t){first_from(self, band.begin), first_from(self, band.end)};
}
