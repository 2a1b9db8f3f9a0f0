/* verifying.h - the stage that makes the lightest tree of what is known the lightest of all.
 *
 * Where there are codes, comparing all pairs that might be lighter than the tree's way between them
 * takes one pass, less than searching round by round (docs/algorithms.md, 4). */
#ifndef STAGE4_COORDINATOR_MERGE_VERIFYING_H
#define STAGE4_COORDINATOR_MERGE_VERIFYING_H

#include "coordinator/merge/boruvka.h"
#include "coordinator/merge/steps.h"

/* The tree that boruvka_presume has grown, over these lists. */
typedef struct {
    const neighbour_lists_t *lists;
    const edge_t *edges; /* in no order */
    size_t count;
} presumed_t;

/* Cuts the tasks and adds the input "tree". *rows: how many slots search, 0 when the tree is the
 * lightest already and there is nothing to do. */
int verifying_cut(const step_t *self, const presumed_t *tree, task_cutter_t *cutter, size_t *rows,
                  error_t *error);

/* Makes the tree's edges (malloc'd; what is returned is another array) the lightest with what the
 * stage's tasks found. */
int verifying_fold(const step_t *self, edge_t **edges, size_t *count, error_t *error);

#endif
