/* payload_shelf.h - results that have arrived and wait for the core's word on them.
 *
 * Kept as the message they came in, nothing is copied. There are at most as many as workers have
 * credits, so a walk finds them. */
#ifndef STAGE4_COORDINATOR_PAYLOAD_SHELF_H
#define STAGE4_COORDINATOR_PAYLOAD_SHELF_H

#include "common/net/socket.h"
#include "proto/task.h"

typedef struct {
    uint32_t worker;
    task_ref_t ref;
    net_message_t message; /* its second frame is the payload */
} shelved_t;

typedef struct {
    shelved_t *items;
    size_t count;
    size_t capacity;
} payload_shelf_t;

void payload_shelf_clear(payload_shelf_t *self);
/* The payload; NULL when it is not there. */
const net_frame_t *payload_shelf_find(const payload_shelf_t *self, uint32_t worker,
                                      const task_ref_t *ref);
/* Takes the message over unless one of that name is there already. 0 when out of memory. */
int payload_shelf_put(payload_shelf_t *self, uint32_t worker, const task_ref_t *ref,
                      net_message_t *message);
void payload_shelf_drop(payload_shelf_t *self, uint32_t worker, const task_ref_t *ref);

#endif
