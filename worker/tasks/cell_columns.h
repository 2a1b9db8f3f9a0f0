/* cell_columns.h - the members of one cell, as the rows that search it meet them.
 *
 * Many rows measure the same members: what a worker does not keep is read once while the cell is
 * open, into room that is bounded whatever the cell's size. A thread's own. */
#ifndef STAGE4_WORKER_TASKS_CELL_COLUMNS_H
#define STAGE4_WORKER_TASKS_CELL_COLUMNS_H

#include "worker/tasks/probe_block.h"

#include "worker/compute/int8.h"

#define CELL_COLUMNS_ROOM 2048 /* vectors: 6 MiB of 768 dimensions */

typedef struct {
    const probe_setting_t *setting;
    size_t count;
    const uint32_t *slot;
    uint32_t *place;
    int32_t *start;       /* of whole codes, as a screen needs it */
    size_t capacity;      /* a multiple of INT8_COLUMNS */
    uint32_t *held;       /* by column % capacity: which column's vector is there */
    const float **vector; /* beside it */
    float *room;
    int8_t *codes; /* INT8_COLUMNS of them, side by side */
    uint8_t *panel;
} cell_columns_t;

/* For cells of up to setting->largest members. `setting` is borrowed. Clear in any case. ERR_MEMORY. */
int cell_columns_init(cell_columns_t *self, const probe_setting_t *setting, error_t *error);
void cell_columns_clear(cell_columns_t *self);

void cell_columns_open(cell_columns_t *self, uint32_t cell);

/* Of the INT8_COLUMNS columns from `first` on those that there are. */
size_t cell_columns_width(const cell_columns_t *self, size_t first);
/* Their whole codes, packed. */
void cell_columns_pack(cell_columns_t *self, size_t first);

/* A vector that is at hand already; it must stay until another cell is opened. */
void cell_columns_lend(cell_columns_t *self, size_t column, const float *vector);

/* The vector of a column. It stays until a column is asked for that is CELL_COLUMNS_ROOM or more
 * away. */
int cell_columns_find(cell_columns_t *self, size_t column, const float **out, error_t *error);

#endif
