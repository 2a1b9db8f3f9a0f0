/* inner_tree.h - the minimum spanning tree of one cluster under mutual reachability, and what DBCV
 * asks of it.
 *
 * Prim's algorithm over all pairs. Edges are ordered by (weight, smaller number, larger number), so
 * that there is one tree, whatever weighs the same. */
#ifndef STAGE4_WORKER_TASKS_INNER_TREE_H
#define STAGE4_WORKER_TASKS_INNER_TREE_H

#include "common/error.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* `dist2`: condensed (nn_chain.h, condensed_row) over `count` members; `core`: of each. Sets
 * inner[i] to 1 where the tree has two edges or more, in a tree without such a node everywhere;
 * *sparseness is the heaviest edge between two inner nodes or, where none is, of all. A cluster of
 * one has no inner node and a sparseness of 0. ERR_MEMORY; ERR_CANCELLED when *stop is set (NULL:
 * never). */
int inner_tree(const float *dist2, uint32_t count, const float *core, const atomic_int *stop,
               uint8_t *inner, float *sparseness, error_t *error);

#endif
