/* probes.h - the "probes" payload (proto/payload.h), checked once and then trusted. */
#ifndef STAGE4_WORKER_TASKS_PROBES_H
#define STAGE4_WORKER_TASKS_PROBES_H

#include "worker/tasks/task_state.h"

/* Arrays point into the payload's bytes. */
typedef struct {
    columns_t *columns;
    size_t cells;
    const uint32_t *cell_begin;
    const uint32_t *member; /* slots */
    size_t groups;
    const uint32_t *group_begin;
    const uint32_t *row; /* slots */
} probes_t;

int probes_open(probes_t *self, const task_state_t *state, error_t *error);
void probes_close(probes_t *self);

#endif
