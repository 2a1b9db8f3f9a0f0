/* nn_chain.h - the agglomerative tree of a matrix of distances, by the nearest-neighbour chain.
 *
 * Murtagh (1983), Mullner (2011): follow nearest neighbours until two are each other's, join those,
 * go on from what is left of the chain. O(n^2) time, no memory beyond the matrix. A cluster is named
 * by its smallest number, and pairs are ordered by (distance, smaller name, larger name). In that
 * order the chain joins exactly what joining the nearest pair again and again would, ties included
 * (docs/algorithms.md, 10). */
#ifndef STAGE4_WORKER_TASKS_NN_CHAIN_H
#define STAGE4_WORKER_TASKS_NN_CHAIN_H

#include "common/error.h"
#include "proto/job_spec.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* Number i and j > i of n stand at condensed_row(n, i) + j: the order of scipy's pdist. (The row of
 * 0 begins at -1, as an unsigned number.) */
static inline size_t condensed_row(size_t n, size_t i) { return i * (2 * n - i - 1) / 2 - i - 1; }

static inline size_t condensed_size(size_t n) { return n < 2 ? 0 : n * (n - 1) / 2; }

typedef struct {
    uint32_t a; /* the smaller name */
    uint32_t b;
    double distance;
} merge_t;

/* For qsort: (distance, a, b). */
int merge_compare(const void *x, const void *y);

/* `matrix`, condensed, is used up. It holds distances for average and complete linkage, squared
 * ones for Ward's; so do the merges. INFINITY: the two may never be in one cluster. `out` has room
 * for count - 1 merges; they come sorted by (distance, a, b), *merges of them. ERR_MEMORY;
 * ERR_CANCELLED when *stop is set (NULL: never); ERR_USAGE for single linkage, which is a spanning
 * tree and needs no matrix. */
int nn_chain(double *matrix, uint32_t count, linkage_method_t method, const atomic_int *stop,
             merge_t *out, uint32_t *merges, error_t *error);

#endif
