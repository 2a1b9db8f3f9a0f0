/* pairs.h - what both ways of finding all pairs over a floor share. Inside pairs*.c only.
 *
 * Every pair is met once, from the row whose slot, or place, is the smaller. When only counting
 * (a sample of rows) a row meets all others. A row is one thread's at a time. */
#ifndef STAGE4_WORKER_TASKS_PAIRS_H
#define STAGE4_WORKER_TASKS_PAIRS_H

#include "proto/pair_weight.h"
#include "worker/tasks/code_sweep.h"
#include "worker/tasks/sweep.h"

#include <stdatomic.h>

typedef struct {
    uint32_t a; /* the smaller slot */
    uint32_t b;
    float dist2;
} found_t;

typedef struct {
    found_t *found;
    size_t count;
    size_t capacity;
} row_pairs_t;

typedef struct {
    task_state_t *state;
    columns_t *columns; /* "weight" */
    pair_weight_t weight;
    float threshold; /* no pair over the floor has a larger dist2 */
    int counting;
    uint64_t limit;             /* of pairs, in all */
    atomic_uint_fast64_t total; /* found so far */
    atomic_int failed;          /* no memory */
    /* of the block under way, by row */
    uint32_t partition;
    size_t rows;
    size_t row_capacity;
    row_pairs_t *row;
    /* results: when counting by row and bin, else the pairs */
    uint64_t (*bins)[PAIR_BINS];
    uint64_t sum[PAIR_BINS];
    uint64_t counted; /* rows */
    found_t *found;
    size_t found_count;
    size_t found_capacity;
} pairs_t;

/* Has the task found more than it may, or failed? Then nothing more needs to be looked at. */
int pairs_over(const pairs_t *self);
/* A pair that may be over the floor: measured, weighed, and kept when it is. */
void pairs_offer(pairs_t *self, size_t row, uint32_t slot, uint32_t other, const float *vector,
                 const float *other_vector);
/* Room for the rows of blocks of that size. */
int pairs_prepare(pairs_t *self, size_t block_rows, error_t *error);
/* Of the segments' rows the next block, all of one partition: begin with *segment = *at = 0. The
 * number of rows, their slots or places in `out`, rising; 0 at the end. */
size_t pairs_next_rows(pairs_t *self, size_t block_rows, uint32_t *segment, uint32_t *at,
                       uint32_t *out);
/* The block's rows have met all: takes what they found. */
int pairs_end_block(pairs_t *self, error_t *error);

int pairs_plain(pairs_t *self, error_t *error);
int pairs_coded(pairs_t *self, error_t *error);

#endif
