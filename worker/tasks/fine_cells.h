/* fine_cells.h - smaller cells inside those of the rotation, so that what is next to a place is near.
 *
 * Their centres are rows of the set, evenly spaced: at most FINE_MOST in a cell, the cell's own centre
 * first. They order places and decide nothing. */
#ifndef STAGE4_WORKER_TASKS_FINE_CELLS_H
#define STAGE4_WORKER_TASKS_FINE_CELLS_H

#include "worker/tasks/task_state.h"

#define FINE_ROWS 48 /* so many rows to a fine cell, more or less */
#define FINE_LIMIT 16384
#define FINE_MOST 128

typedef struct {
    float *image;    /* those of one cell after another, `head` numbers each, less the offset */
    uint32_t *begin; /* cells + 1 */
} fine_cells_t;

/* How vectors become images, and the cells' own. */
typedef struct {
    product_fn product;
    const float *basis;
    const float *offset;
    size_t head;
    const float *cells;
    size_t cell_count;
} fine_setting_t;

int fine_cells_find(fine_cells_t *self, const task_state_t *state, const fine_setting_t *setting,
                    error_t *error);
void fine_cells_clear(fine_cells_t *self);

#endif
