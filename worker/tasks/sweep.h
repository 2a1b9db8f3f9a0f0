/* sweep.h - a block of rows against a stream of columns, tile by tile.
 *
 * While the threads work on one tile the next is filled, so memory is two tiles and a little
 * scratch a thread, however many columns there are. A visitor sees every (row, tile) once, the
 * tiles of a row in order; different rows at the same time on different threads. */
#ifndef STAGE4_WORKER_TASKS_SWEEP_H
#define STAGE4_WORKER_TASKS_SWEEP_H

#include "worker/tasks/task_state.h"
#include "worker/tasks/vectors.h"

#define TILE_COLUMNS 512
#define BLOCK_ROWS 2048 /* rows that tasks take at once */

typedef struct sweep sweep_t;

/* A row of products with a tile and room to work, both of TILE_COLUMNS. */
typedef struct {
    const float *product; /* with each column; NULL: not computed, nothing is ruled out */
    uint32_t *survivors;
    float *keys;
} sweep_row_t;

typedef struct {
    /* Sets slots and count (0: no more) of the next tile and its vectors. Not concurrent with
     * itself, but with visit: it may read only what visit does not write. */
    int (*fill)(void *context, vectors_t *tile, error_t *error);
    /* 0 when none of the rows [begin, end) can want anything of the tile. */
    int (*wants)(const void *context, size_t begin, size_t end, const vectors_t *tile);
    void (*visit)(void *context, size_t row, const vectors_t *tile, const sweep_row_t *scratch);
    void *context;
} visitor_t;

int sweep_new(const task_state_t *state, sweep_t **out, error_t *error);
void sweep_destroy(sweep_t **self);
/* ERR_CANCELLED when the task is stopped, or what fill returned. */
int sweep_run(sweep_t *self, const vectors_t *rows, const visitor_t *visitor, error_t *error);

#endif
