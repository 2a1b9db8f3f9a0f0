/* task_cutter.h - cuts work into tasks of about one size, whatever the number of workers.
 *
 * Segments are added in order. A large one is cut into pieces of about `quantum` pairs, small ones
 * share a task. The cut depends on the plan alone, so the stage has the same bytes everywhere. */
#ifndef STAGE4_COORDINATOR_PLAN_TASK_CUTTER_H
#define STAGE4_COORDINATOR_PLAN_TASK_CUTTER_H

#include "proto/stage.h"

typedef struct {
    stage_t stage;
    uint64_t quantum;   /* pairs a task */
    uint32_t units_min; /* a segment is not cut smaller than this */
    size_t task_capacity;
    size_t segment_count;
    size_t segment_capacity;
    int failed; /* out of memory */
} task_cutter_t;

void task_cutter_init(task_cutter_t *self, task_kind_t kind, uint64_t quantum, uint32_t units_min);
void task_cutter_clear(task_cutter_t *self);
/* Units [begin, end) of a partition that cost `work` pairs together. Empty ones are left out. */
void task_cutter_add(task_cutter_t *self, uint32_t partition, uint32_t begin, uint32_t end,
                     uint64_t work);
/* The quantum that cuts `units` of equal work into tasks of at most `most` that several workers end
 * together: their number has many divisors, unless there are so few that tasks fall under `least`. */
uint64_t task_cutter_even(uint64_t units, uint64_t most, uint64_t least);
/* Squares of pairs by codes: what a task should have of `pairs` in all, and the rows of its patch. */
uint64_t task_cutter_quantum(double pairs);
uint32_t task_cutter_rows(uint64_t quantum);
/* Rows and the columns they meet, which stay together in one task. */
void task_cutter_patch(task_cutter_t *self, segment_t rows, segment_t columns, uint64_t work);
void task_cutter_input(task_cutter_t *self, const char *name, const sha256_t *sha256);
void task_cutter_param(task_cutter_t *self, const char *name, double value);
/* The encoded stage, malloc'd; its counts in the out-parameters. Clears the cutter. */
int task_cutter_finish(task_cutter_t *self, uint8_t **bytes, size_t *length, uint32_t *task_count,
                       uint64_t *work, error_t *error);

#endif
