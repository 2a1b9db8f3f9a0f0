/* members_view.h - the "members" payload (proto/payload.h), checked once and then trusted. */
#ifndef STAGE4_WORKER_TASKS_MEMBERS_VIEW_H
#define STAGE4_WORKER_TASKS_MEMBERS_VIEW_H

#include "worker/tasks/task_state.h"

/* Arrays point into the payload's bytes. */
typedef struct {
    columns_t *columns;
    size_t clusters;
    const uint32_t *begin;  /* clusters + 1 */
    const uint32_t *member; /* slots, ascending in a cluster */
} members_view_t;

int members_view_open(members_view_t *self, const task_state_t *state, error_t *error);
void members_view_close(members_view_t *self);

/* How many clusters the task's segments name; ERR_PROTOCOL when one is not there. */
int members_view_clusters(const members_view_t *self, const task_t *task, size_t *count,
                          error_t *error);

#endif
