#include "coordinator/core/worker_table.h"

#include "coordinator/core/memory.h"

#include <stdlib.h>
#include <string.h>

void worker_destroy(worker_t *self)
{
    free(self->leases);
    free(self);
}

void worker_table_clear(worker_table_t *self)
{
    for (size_t i = 0; i < self->count; i++)
        worker_destroy(self->items[i]);
    free(self->items);
    free(self->strangers);
    memset(self, 0, sizeof *self);
}

/* Where the handle is, or would be. */
static size_t position_of(const worker_table_t *self, uint32_t handle)
{
    size_t low = 0;
    size_t high = self->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (self->items[middle]->handle < handle)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

worker_t *worker_table_find(const worker_table_t *self, uint32_t handle)
{
    size_t at = position_of(self, handle);
    return at < self->count && self->items[at]->handle == handle ? self->items[at] : NULL;
}

static void forget_stranger(worker_table_t *self, size_t at)
{
    self->stranger_count--;
    memmove(self->strangers + at, self->strangers + at + 1,
            (self->stranger_count - at) * sizeof *self->strangers);
}

worker_t *worker_table_add(worker_table_t *self, uint32_t handle)
{
    self->items = core_room(self->items, self->count, &self->capacity, sizeof *self->items);
    size_t at = position_of(self, handle);
    memmove(self->items + at + 1, self->items + at, (self->count - at) * sizeof *self->items);
    worker_t *worker = core_allocate(1, sizeof *worker);
    worker->handle = handle;
    self->items[at] = worker;
    self->count++;
    for (size_t i = 0; i < self->stranger_count; i++) {
        if (self->strangers[i].handle == handle)
            forget_stranger(self, i--);
    }
    return worker;
}

void worker_table_take(worker_table_t *self, const worker_t *worker)
{
    size_t at = position_of(self, worker->handle);
    self->count--;
    memmove(self->items + at, self->items + at + 1, (self->count - at) * sizeof *self->items);
}

int worker_table_tell_stranger(worker_table_t *self, uint32_t handle, int64_t now_ms,
                               int64_t wait_ms)
{
    while (self->stranger_count && now_ms - self->strangers[0].told_ms >= wait_ms)
        forget_stranger(self, 0);
    for (size_t i = 0; i < self->stranger_count; i++) {
        if (self->strangers[i].handle == handle)
            return 0;
    }
    self->strangers = core_room(self->strangers, self->stranger_count, &self->stranger_capacity,
                                sizeof *self->strangers);
    self->strangers[self->stranger_count++] = (stranger_t){handle, now_ms};
    return 1;
}

static int holds_task(const worker_t *self, const task_ref_t *task)
{
    for (size_t i = 0; i < self->lease_count; i++) {
        if (refs_same_task(&self->leases[i].ref, task))
            return 1;
    }
    return 0;
}

worker_t *worker_table_freest(const worker_table_t *self, const task_ref_t *not_task)
{
    worker_t *best = NULL;
    size_t best_free = 0;
    for (size_t i = 0; i < self->count; i++) {
        worker_t *worker = self->items[i];
        if (worker->lease_count >= worker->credit)
            continue;
        size_t free_credit = worker->credit - worker->lease_count;
        if (free_credit > best_free && !(not_task && holds_task(worker, not_task))) {
            best = worker;
            best_free = free_credit;
        }
    }
    return best;
}

int refs_same_task(const task_ref_t *a, const task_ref_t *b)
{
    return a->task == b->task && a->stage == b->stage && a->epoch == b->epoch &&
           strcmp(a->job_id, b->job_id) == 0;
}

int refs_equal(const task_ref_t *a, const task_ref_t *b)
{
    return a->attempt == b->attempt && refs_same_task(a, b);
}

size_t worker_find_lease(const worker_t *self, const task_ref_t *ref)
{
    for (size_t i = 0; i < self->lease_count; i++) {
        if (refs_equal(&self->leases[i].ref, ref))
            return i;
    }
    return LEASE_NONE;
}

lease_t *worker_add_lease(worker_t *self)
{
    self->leases =
        core_room(self->leases, self->lease_count, &self->lease_capacity, sizeof *self->leases);
    lease_t *lease = &self->leases[self->lease_count++];
    memset(lease, 0, sizeof *lease);
    return lease;
}

void worker_remove_lease(worker_t *self, size_t index)
{
    self->lease_count--;
    memmove(self->leases + index, self->leases + index + 1,
            (self->lease_count - index) * sizeof *self->leases);
}
