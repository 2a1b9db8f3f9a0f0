/* code_sweep.h - a block of rows against a stream of columns, by their codes.
 *
 * Pairs are ruled out by int8 products that never go to memory, from both sides at once: a pair is
 * left when the row may want the column or the column the row. What a head's codes leave is tested
 * by the whole codes, and the visitor sees the rest in batches: the tiles of a row in order, rows on
 * different threads at the same time. */
#ifndef STAGE4_WORKER_TASKS_CODE_SWEEP_H
#define STAGE4_WORKER_TASKS_CODE_SWEEP_H

#include "worker/compute/int8.h"
#include "worker/tasks/coded.h"

#define CODE_TILE 1024        /* columns */
#define CODE_BLOCK_ROWS 12288 /* rows that tasks take at once */
#define CODE_WANTS_NONE (-1.0f)

typedef struct code_sweep code_sweep_t;

/* A row of the block, and a column of the tile. */
typedef struct {
    uint32_t row;
    uint32_t column;
} code_pair_t;

typedef struct {
    /* Sets place and count (0: no more) of the next tile; coded_read is called for it after that.
     * Not concurrent with itself, but with visit. */
    void (*next)(void *context, coded_t *tile);
    /* May be NULL. When a tile was read: residuals may be raised, where columns stand for more. */
    void (*widen)(void *context, coded_t *tile);
    /* May be NULL. Before a tile's pairs are compared, while nobody works: rows are asked again what
     * they want of it. */
    int (*begin)(void *context, const coded_t *tile, error_t *error);
    /* The largest canonical distance that a row, or a column of that place, still wants: INFINITY
     * everything, CODE_WANTS_NONE nothing. They may fall while others are visited; an older one
     * only takes longer. A row is asked after by the thread that visits it next, a column once,
     * after `widen`; column_wants NULL: columns want nothing. */
    float (*row_wants)(void *context, size_t row);
    float (*column_wants)(void *context, const coded_t *tile, size_t column);
    /* Is the pair wanted at all? Asked before its whole codes are compared. NULL: yes. */
    int (*may_want)(void *context, size_t row, const coded_t *tile, size_t column);
    void (*visit)(void *context, const coded_t *tile, const code_pair_t *pairs, size_t count,
                  uint32_t thread);
    void *context;
} code_visitor_t;

/* with_values: the tiles' vectors are read too. */
int code_sweep_new(const task_state_t *state, const codes_view_t *view, int with_values,
                   code_sweep_t **out, error_t *error);
void code_sweep_destroy(code_sweep_t **self);

/* The largest code_sweep_radius of all rows, and of all columns (as they are widened). Those with a
 * larger one take everything. */
typedef struct {
    double row;
    double column;
} code_farthest_t;

/* Every row (borrowed) meets the columns whose place is in its band, of those that the visitor
 * brings. ERR_CANCELLED when the task is stopped, or what a read returned. */
int code_sweep_run(code_sweep_t *self, const coded_t *rows, const band_t *bands,
                   code_farthest_t farthest, const code_visitor_t *visitor, error_t *error);

/* How far apart the heads of what a place wants may be; 0 when it wants everything. */
double code_sweep_radius(const codes_view_t *view, uint32_t place, float wants);

#endif
