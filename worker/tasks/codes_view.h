/* codes_view.h - the "codes" and "order" payloads (proto/payload.h), checked once and then trusted.
 */
#ifndef STAGE4_WORKER_TASKS_CODES_VIEW_H
#define STAGE4_WORKER_TASKS_CODES_VIEW_H

#include "worker/compute/codes.h"
#include "worker/tasks/task_state.h"

/* Arrays point into the payload's bytes and go by place: places of a partition are its slots in
 * another order. */
typedef struct {
    columns_t *columns; /* "codes" */
    columns_t *order;
    codes_t codes;
    uint32_t places;
    const uint32_t *slot;
    uint32_t *place_of; /* by slot */
    const int8_t *code; /* places x width */
    const float *residual_head;
    const float *residual;
    float usual; /* residual of the head that few exceed */
} codes_view_t;

/* Is there such an input at all? Without one, vectors are compared directly. */
int codes_view_given(const task_state_t *state);
int codes_view_open(codes_view_t *self, const task_state_t *state, error_t *error);
void codes_view_close(codes_view_t *self);

#endif
