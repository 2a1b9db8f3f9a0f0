#include "worker/tasks/cell_columns.h"

#include <stdlib.h>
#include <string.h>

#define CACHE_LINE 64
#define NOTHING UINT32_MAX

static void *aligned(size_t count, size_t size)
{
    return aligned_alloc(CACHE_LINE, (count * size / CACHE_LINE + 1) * CACHE_LINE);
}

int cell_columns_init(cell_columns_t *self, const task_state_t *state, size_t largest,
                      error_t *error)
{
    size_t columns = (largest / INT8_COLUMNS + 1) * INT8_COLUMNS;
    size_t capacity = columns < CELL_COLUMNS_ROOM ? columns : CELL_COLUMNS_ROOM;
    *self = (cell_columns_t){.state = state, .capacity = capacity};
    self->place = aligned(columns, sizeof *self->place);
    self->start = aligned(columns, sizeof *self->start);
    self->held = aligned(capacity, sizeof *self->held);
    self->vector = aligned(capacity, sizeof *self->vector);
    self->room = aligned(capacity * state->dimension, sizeof *self->room);
    if (self->place && self->start && self->held && self->vector && self->room)
        return OK;
    return error_set(error, ERR_MEMORY, "no memory for cells of up to %zu members", largest);
}

void cell_columns_clear(cell_columns_t *self)
{
    free(self->place);
    free(self->start);
    free(self->held);
    free(self->vector);
    free(self->room);
    *self = (cell_columns_t){0};
}

void cell_columns_open(cell_columns_t *self, const uint32_t *slots, size_t count)
{
    size_t used = count < self->capacity ? count : self->capacity;
    self->count = count;
    self->slot = slots;
    memset(self->held, 0xff, used * sizeof *self->held); /* to NOTHING */
}

int cell_columns_need(cell_columns_t *self, size_t first, uint64_t needed, error_t *error)
{
    int code = OK;
    for (uint64_t left = needed; left && !code; left &= left - 1) {
        size_t column = first + (size_t)__builtin_ctzll(left), at = column % self->capacity;
        if (self->held[at] == column)
            continue;
        code = task_state_find(self->state, &self->state->plan.rows[self->slot[column]], 1,
                               self->room + at * self->state->dimension, &self->vector[at], error);
        self->held[at] = code ? NOTHING : (uint32_t)column;
    }
    return code;
}
