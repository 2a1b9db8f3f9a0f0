/* sparse_chain.h - average linkage over a sparse matrix of weights, by the nearest-neighbour chain.
 *
 * The similarity of two clusters is the mean weight over all pairs of their rows, a pair that is not
 * listed weighing 0; their distance is 1 minus that. Clusters without any listed pair between them
 * (distance 1) are never joined. Names, ties and the proof are nn_chain.h's. Weights are whole
 * multiples of 2^-32, so sums are exact and do not depend on the order of joining. */
#ifndef STAGE4_WORKER_TASKS_SPARSE_CHAIN_H
#define STAGE4_WORKER_TASKS_SPARSE_CHAIN_H

#include "worker/tasks/nn_chain.h"

#define SPARSE_ONE ((uint64_t)1 << 32) /* the weight 1 */

typedef struct {
    uint32_t a;
    uint32_t b;
    uint64_t weight; /* 0 .. SPARSE_ONE */
} sparse_pair_t;

/* Each pair once, of numbers below `count`. `out` has room for count - 1 merges; they come sorted
 * by (distance, a, b). 64 bytes a pair and as much a row. ERR_MEMORY; ERR_CANCELLED. */
int sparse_chain(const sparse_pair_t *pairs, size_t pair_count, uint32_t count,
                 const atomic_int *stop, merge_t *out, uint32_t *merges, error_t *error);

#endif
