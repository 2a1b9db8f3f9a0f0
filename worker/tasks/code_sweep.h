/* code_sweep.h - a block of rows against a stream of columns, by their codes.
 *
 * As sweep.h, with pairs ruled out by int8 products that never go to memory. A visitor sees what is
 * left: for one row, up to 64 columns at a time, the tiles of a row in order; different rows at the
 * same time on different threads. */
#ifndef STAGE4_WORKER_TASKS_CODE_SWEEP_H
#define STAGE4_WORKER_TASKS_CODE_SWEEP_H

#include "worker/compute/int8.h"
#include "worker/tasks/coded.h"

#define CODE_TILE 1024        /* columns */
#define CODE_BLOCK_ROWS 12288 /* rows that tasks take at once */

typedef struct code_sweep code_sweep_t;

typedef struct {
    /* Sets place and count (0: no more) of the next tile; coded_read is called for it after that.
     * Not concurrent with itself, but with visit. */
    void (*next)(void *context, coded_t *tile);
    /* Bit c of mask: column first + c of the tile may be near enough to the row. */
    void (*visit)(void *context, size_t row, const coded_t *tile, size_t first, uint64_t mask,
                  uint32_t thread);
    void *context;
} code_visitor_t;

/* with_values: the tiles' vectors are read too. */
int code_sweep_new(const task_state_t *state, const codes_view_t *view, int with_values,
                   code_sweep_t **out, error_t *error);
void code_sweep_destroy(code_sweep_t **self);

/* The rows that follow (borrowed): all of them take everything until they settle. Panels outside
 * the `bands` (of places) are left out; a column that is shown may still be outside its row's. */
void code_sweep_rows(code_sweep_t *self, const coded_t *rows, const band_t *bands);
/* From now on the row wants only what is not over the threshold. By the thread that visits it. */
void code_sweep_settle(code_sweep_t *self, size_t row, float threshold);
/* 1 when the whole codes rule out what the head's did not. */
int code_sweep_apart(const code_sweep_t *self, size_t row, const coded_t *tile, size_t column);

/* ERR_CANCELLED when the task is stopped, or what a read returned. */
int code_sweep_run(code_sweep_t *self, const code_visitor_t *visitor, error_t *error);

#endif
