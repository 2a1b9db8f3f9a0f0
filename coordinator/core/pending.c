#include "coordinator/core/core_inner.h"
#include "coordinator/core/memory.h"

#include <string.h>

static void append(pending_list_t *list, pending_t pending)
{
    list->items = core_room(list->items, list->count, &list->capacity, sizeof *list->items);
    list->items[list->count++] = pending;
}

static pending_t take(pending_list_t *list, size_t at)
{
    pending_t pending = list->items[at];
    list->count--;
    memmove(list->items + at, list->items + at + 1, (list->count - at) * sizeof *list->items);
    return pending;
}

uint64_t pending_ticket(core_t *self, pending_kind_t kind, core_job_t *job, result_save_t *save)
{
    uint64_t ticket = ++self->next_ticket;
    append(&self->tickets, (pending_t){ticket, 0, kind, job, save});
    return ticket;
}

/* Tickets only grow, so the list is sorted. */
int pending_take(core_t *self, uint64_t ticket, pending_t *out)
{
    size_t low = 0;
    size_t high = self->tickets.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (self->tickets.items[middle].ticket < ticket)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == self->tickets.count || self->tickets.items[low].ticket != ticket)
        return 0;
    *out = take(&self->tickets, low);
    return 1;
}

/* By due_ms; of those that are due together the first comes first. */
static void put_by_time(pending_list_t *list, pending_t pending)
{
    append(list, pending);
    size_t at = list->count - 1;
    for (; at > 0 && list->items[at - 1].due_ms > pending.due_ms; at--)
        list->items[at] = list->items[at - 1];
    list->items[at] = pending;
}

void pending_retry(core_t *self, pending_kind_t kind, core_job_t *job, result_save_t *save)
{
    int64_t due_ms = self->now_ms + self->options.save_retry_ms;
    put_by_time(&self->retries, (pending_t){0, due_ms, kind, job, save});
}

void pending_purge(core_t *self, core_job_t *job)
{
    int64_t due_ms = self->now_ms + self->options.purge_retry_ms;
    put_by_time(&self->retries, (pending_t){0, due_ms, PENDING_PURGE, job, NULL});
}

void pending_forget_purge(core_t *self, const core_job_t *job)
{
    for (size_t i = self->retries.count; i > 0; i--)
        if (self->retries.items[i - 1].job == job &&
            self->retries.items[i - 1].kind == PENDING_PURGE)
            take(&self->retries, i - 1);
}

int pending_due(core_t *self, pending_t *out)
{
    if (self->retries.count == 0 || self->retries.items[0].due_ms > self->now_ms)
        return 0;
    *out = take(&self->retries, 0);
    return 1;
}

void pending_forget_save(core_t *self, const result_save_t *save)
{
    for (size_t i = 0; i < self->retries.count; i++) {
        if (self->retries.items[i].save == save) {
            take(&self->retries, i);
            return;
        }
    }
}
