/* neighbours.h - the k nearest neighbours of all slots, from the results of a knn stage. */
#ifndef STAGE4_COORDINATOR_MERGE_NEIGHBOURS_H
#define STAGE4_COORDINATOR_MERGE_NEIGHBOURS_H

#include "coordinator/merge/boruvka.h"
#include "coordinator/merge/payload_io.h"
#include "coordinator/plan/plan.h"

typedef struct {
    neighbour_lists_t lists; /* points into what follows */
    uint32_t *neighbour;
    float *d2;
    float *core;
    float *radius;
    uint32_t *partition_begin;
    uint32_t *merged_slot; /* k, while lists are read */
    float *merged_d2;
} neighbours_t;

/* `stage`: the knn stage; `results`: of its tasks, whole lists or, where there are codes, parts of
 * which the best are taken. Checks that every list is sorted, stays in its partition and leaves the
 * row itself out. Parts leave out what is over the bounds of their stage's input "near": these are
 * the radii of the lists. Core distances count the point itself: min_samples = 1
 * gives 0. */
int neighbours_read(neighbours_t *self, const advance_input_t *input, const plan_t *plan,
                    const stage_t *stage, const sha256_t *results, uint32_t min_samples,
                    error_t *error);
void neighbours_clear(neighbours_t *self);

#endif
