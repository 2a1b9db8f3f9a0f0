/* tree_view.h - the "tree" payload (proto/payload.h), checked once and then trusted. */
#ifndef STAGE4_WORKER_TASKS_TREE_VIEW_H
#define STAGE4_WORKER_TASKS_TREE_VIEW_H

#include "common/graph/bottleneck.h"
#include "worker/tasks/task_state.h"

/* Arrays by slot point into the payload's bytes, those by position are its own. */
typedef struct {
    columns_t *columns;
    const float *core;
    const float *bound;
    edge_t *edges; /* sorted */
    size_t edge_count;
    bottleneck_t *ways;
    uint32_t *begin; /* by position: of what it is connected with */
    float *heaviest; /* by position: edge on a way to what stands before it; -1: nothing does */
} tree_view_t;

int tree_view_open(tree_view_t *self, const task_state_t *state, error_t *error);
void tree_view_close(tree_view_t *self);

/* An edge that is in no list and was not found by a search weighs at least that at this end. */
static inline float tree_view_least(const tree_view_t *self, uint32_t slot)
{
    return self->bound[slot] > self->core[slot] ? self->bound[slot] : self->core[slot];
}

#endif
