#include "coordinator/payload_shelf.h"

#include <stdlib.h>
#include <string.h>

static size_t position_of(const payload_shelf_t *self, uint32_t worker, const task_ref_t *ref)
{
    size_t at = 0;
    while (at < self->count) {
        const shelved_t *item = &self->items[at];
        if (item->worker == worker && item->ref.task == ref->task &&
            item->ref.attempt == ref->attempt && item->ref.stage == ref->stage &&
            item->ref.epoch == ref->epoch && !strcmp(item->ref.job_id, ref->job_id))
            break;
        at++;
    }
    return at;
}

void payload_shelf_clear(payload_shelf_t *self)
{
    for (size_t i = 0; i < self->count; i++)
        net_message_clear(&self->items[i].message);
    free(self->items);
    memset(self, 0, sizeof *self);
}

const net_frame_t *payload_shelf_find(const payload_shelf_t *self, uint32_t worker,
                                      const task_ref_t *ref)
{
    size_t at = position_of(self, worker, ref);
    return at < self->count ? &self->items[at].message.frames[1] : NULL;
}

int payload_shelf_put(payload_shelf_t *self, uint32_t worker, const task_ref_t *ref,
                      net_message_t *message)
{
    if (position_of(self, worker, ref) < self->count)
        return 1;
    if (self->count == self->capacity) {
        size_t capacity = self->capacity ? 2 * self->capacity : 16;
        shelved_t *items = realloc(self->items, capacity * sizeof *items);
        if (!items)
            return 0;
        self->items = items;
        self->capacity = capacity;
    }
    self->items[self->count++] = (shelved_t){worker, *ref, *message};
    memset(message, 0, sizeof *message);
    return 1;
}

void payload_shelf_drop(payload_shelf_t *self, uint32_t worker, const task_ref_t *ref)
{
    size_t at = position_of(self, worker, ref);
    if (at == self->count)
        return;
    net_message_clear(&self->items[at].message);
    self->items[at] = self->items[--self->count];
}
