/* cell_columns.h - the members of one cell, as the rows that search it meet them.
 *
 * Many rows measure the same members: what a worker does not keep is read once while the cell is
 * open, into room that is bounded whatever the cell's size. A thread's own. */
#ifndef STAGE4_WORKER_TASKS_CELL_COLUMNS_H
#define STAGE4_WORKER_TASKS_CELL_COLUMNS_H

#include "worker/compute/int8.h"
#include "worker/tasks/task_state.h"

#define CELL_COLUMNS_ROOM 2048 /* vectors: 6 MiB of 768 dimensions */

typedef struct {
    const task_state_t *state;
    size_t count;
    const uint32_t *slot;
    uint32_t *place;
    int32_t *start;
    size_t capacity;      /* a multiple of INT8_COLUMNS */
    uint32_t *held;       /* by column % capacity: which column's vector is there */
    const float **vector; /* beside it */
    float *room;
} cell_columns_t;

/* For cells of up to `largest` members. */
int cell_columns_init(cell_columns_t *self, const task_state_t *state, size_t largest,
                      error_t *error);
void cell_columns_clear(cell_columns_t *self);

/* Slots (borrowed) of another cell; place and start are the caller's to fill. */
void cell_columns_open(cell_columns_t *self, const uint32_t *slots, size_t count);

/* Finds the vectors of the columns first + i for the bits i of `needed`; first is a multiple of
 * INT8_COLUMNS. They stay until columns capacity away are asked for. */
int cell_columns_need(cell_columns_t *self, size_t first, uint64_t needed, error_t *error);

static inline const float *cell_columns_at(const cell_columns_t *self, size_t column)
{
    return self->vector[column % self->capacity];
}

#endif
