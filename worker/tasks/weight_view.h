/* weight_view.h - the "weight" payload (proto/payload.h), checked once and then trusted. */
#ifndef STAGE4_WORKER_TASKS_WEIGHT_VIEW_H
#define STAGE4_WORKER_TASKS_WEIGHT_VIEW_H

#include "proto/pair_weight.h"
#include "worker/tasks/task_state.h"

/* `weight` points into *columns, which the caller closes in any case. */
int weight_view_open(const task_state_t *state, columns_t **columns, pair_weight_t *weight,
                     error_t *error);

/* No pair at or over the floor has a larger dist2; INFINITY when all may be. */
float weight_view_threshold(const pair_weight_t *weight);

#endif
