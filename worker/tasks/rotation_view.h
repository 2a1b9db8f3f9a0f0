/* rotation_view.h - the "rotation" payload (proto/payload.h), checked once and then trusted. */
#ifndef STAGE4_WORKER_TASKS_ROTATION_VIEW_H
#define STAGE4_WORKER_TASKS_ROTATION_VIEW_H

#include "worker/compute/codes.h"
#include "worker/tasks/task_state.h"

/* Arrays point into the payload's bytes. */
typedef struct {
    columns_t *columns;
    codes_t codes;
    const float *basis;  /* width x dimension */
    const float *offset; /* width */
    const float *cells;  /* cell_count x head: images, less the offset */
    size_t cell_count;
    const uint32_t *fine_begin; /* cell_count + 1, rising by 1 to FINE_MOST */
    const float *fine;          /* as cells */
} rotation_view_t;

int rotation_view_open(rotation_view_t *self, const task_state_t *state, error_t *error);
void rotation_view_close(rotation_view_t *self);

#endif
