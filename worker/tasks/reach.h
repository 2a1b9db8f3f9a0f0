/* reach.h - what both ways of searching the lightest outgoing edges share. Inside reach*.c only. */
#ifndef STAGE4_WORKER_TASKS_REACH_H
#define STAGE4_WORKER_TASKS_REACH_H

#include "worker/tasks/code_sweep.h"
#include "worker/tasks/sweep.h"

#include <math.h>

/* The "reach_in" payload, checked. */
typedef struct {
    columns_t *columns;
    uint32_t query_count;
    const uint32_t *query;
    const float *core;
    const uint32_t *component;
    const float *floor;
} reach_in_t;

typedef struct reach reach_t;

/* One way of searching: over vectors (reach_plain.c) or over codes (reach_coded.c). */
typedef struct {
    int (*open)(reach_t *reach, void **search, error_t *error);
    /* The rows of the block are described; sets best and best_slot. */
    int (*block)(void *search, error_t *error);
    void (*close)(void **search);
} reach_search_t;

struct reach {
    const task_state_t *state;
    const reach_search_t *search;
    void *searching;
    reach_in_t in;
    size_t count;                   /* of the block's rows */
    uint32_t positions[BLOCK_ROWS]; /* of the rows, in `query` */
    uint32_t slots[BLOCK_ROWS];
    band_t bands[BLOCK_ROWS];
    float best[BLOCK_ROWS];         /* the lightest weight so far; the floor as long as none is */
    uint32_t best_slot[BLOCK_ROWS]; /* SLOT_NONE: none yet */
    band_t columns;                 /* what is left to look at for this block */
    float heaviest;                 /* no row of the block takes a heavier edge */
    int mixed;                      /* the rows are of several components */
    uint32_t component;             /* of all rows, unless mixed */
    uint32_t *found_slot;           /* results, per query of the segments */
    float *found_weight;
};

/* A column that some row of the block may be joined with at a weight it would take. */
static inline int reach_eligible(const reach_t *self, uint32_t slot)
{
    return self->in.core[slot] <= self->heaviest &&
           (self->mixed || self->in.component[slot] != self->component);
}

/* Would an edge of that weight to `slot` replace the best of the row? Infinite ones never. */
static inline int reach_better(const reach_t *self, size_t row, float weight, uint32_t slot)
{
    return weight < INFINITY &&
           (weight < self->best[row] || (weight == self->best[row] && slot < self->best_slot[row]));
}

extern const reach_search_t reach_plain;
extern const reach_search_t reach_coded;

#endif
