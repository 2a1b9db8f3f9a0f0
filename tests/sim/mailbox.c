/* What happens later: messages on their way, operations under way, planned faults. */
#include "world.h"

#include <stdlib.h>
#include <string.h>

static int before(const heap_entry_t *a, const heap_entry_t *b)
{
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->order < b->order;
}

static void *must(void *memory)
{
    if (!memory)
        abort();
    return memory;
}

static void grow(world_t *self)
{
    size_t old = self->mail_capacity;
    size_t capacity = old ? old * 2 : 256;
    self->mail = must(realloc(self->mail, capacity * sizeof *self->mail));
    self->free_slots = must(realloc(self->free_slots, capacity * sizeof *self->free_slots));
    self->heap = must(realloc(self->heap, capacity * sizeof *self->heap));
    for (size_t slot = capacity; slot > old; slot--)
        self->free_slots[self->free_count++] = (uint32_t)(slot - 1);
    self->mail_capacity = capacity;
}

static void sift_up(world_t *self, heap_entry_t entry)
{
    size_t at = self->heap_count++;
    while (at > 0 && before(&entry, &self->heap[(at - 1) / 2])) {
        self->heap[at] = self->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    self->heap[at] = entry;
}

static void sift_down(world_t *self, heap_entry_t entry)
{
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= self->heap_count)
            break;
        if (child + 1 < self->heap_count && before(&self->heap[child + 1], &self->heap[child]))
            child++;
        if (!before(&self->heap[child], &entry))
            break;
        self->heap[at] = self->heap[child];
        at = child;
    }
    self->heap[at] = entry;
}

mail_t *mail_at(world_t *self, mail_kind_t kind, int64_t at_ms)
{
    if (self->free_count == 0)
        grow(self);
    uint32_t slot = self->free_slots[--self->free_count];
    mail_t *mail = &self->mail[slot];
    mail->kind = kind;
    mail->at_ms = at_ms;
    mail->order = ++self->mail_order;
    mail->generation = self->generation;
    mail->worker = 0;
    mail->index = 0;
    mail->credit = 0;
    mail->verb = VERB_SUBMIT;
    mail->key = (task_key_t){0, 0, 0, 0, 0};
    mail->value = 0;
    mail->code = OK;
    mail->key_count = 0;
    sift_up(self, (heap_entry_t){at_ms, mail->order, slot});
    return mail;
}

void mail_take(world_t *self, mail_t *out)
{
    heap_entry_t first = self->heap[0];
    *out = self->mail[first.slot];
    self->free_slots[self->free_count++] = first.slot;
    heap_entry_t last = self->heap[--self->heap_count];
    if (self->heap_count > 0)
        sift_down(self, last);
}

void mail_again(world_t *self, const mail_t *mail, int64_t at_ms)
{
    mail_t *copy = mail_at(self, mail->kind, at_ms);
    uint64_t order = copy->order;
    *copy = *mail;
    copy->at_ms = at_ms;
    copy->order = order;
}

static void send_copy(world_t *self, const mail_t *mail)
{
    int64_t delay_ms = rng_between(&self->rng, 1, 5);
    if (!self->quiet && rng_chance(&self->rng, self->faults.delay))
        delay_ms = rng_between(&self->rng, 5, 4000);
    mail_again(self, mail, self->now_ms + delay_ms);
}

void mail_over_network(world_t *self, const mail_t *mail)
{
    if (!self->quiet && rng_chance(&self->rng, self->faults.drop))
        return;
    send_copy(self, mail);
    if (!self->quiet && rng_chance(&self->rng, self->faults.repeat))
        send_copy(self, mail);
}

int same_key(const task_key_t *a, const task_key_t *b)
{
    return a->job == b->job && a->epoch == b->epoch && a->stage == b->stage && a->task == b->task &&
           a->attempt == b->attempt;
}
