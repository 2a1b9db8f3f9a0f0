#include "worker/tasks/shared_lists.h"

#include <math.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define LOCKS 1024 /* lists share them: offers are few beside what is compared */

/* An entry is one number that is ordered as (d2, slot): d2 is not negative, so its bits rise with
 * it. What is not below the bar is not taken. */
struct shared_lists {
    size_t k;
    size_t count;
    uint64_t *entries;        /* count x k */
    uint32_t *filled;         /* entries of each */
    _Atomic(uint64_t) *bar;   /* of each */
    atomic_flag locks[LOCKS]; /* list i has lock i % LOCKS, for its entries and their number */
};

static uint64_t key_of(float d2, uint32_t slot)
{
    uint32_t bits;
    memcpy(&bits, &d2, sizeof bits);
    return (uint64_t)bits << 32 | slot;
}

static float d2_of(uint64_t key)
{
    uint32_t bits = (uint32_t)(key >> 32);
    float d2;
    memcpy(&d2, &bits, sizeof d2);
    return d2;
}

int shared_lists_new(size_t count, size_t k, shared_lists_t **out, error_t *error)
{
    shared_lists_t *self = calloc(1, sizeof *self);
    *out = self;
    if (self && count < SIZE_MAX / sizeof *self->entries / (k + 1)) {
        self->k = k;
        self->count = count;
        self->entries = malloc((count * k + 1) * sizeof *self->entries);
        self->filled = calloc(count + 1, sizeof *self->filled);
        self->bar = malloc((count + 1) * sizeof *self->bar);
    }
    if (!self || !self->entries || !self->filled || !self->bar) {
        shared_lists_destroy(out);
        return error_set(error, ERR_MEMORY, "no memory for %zu neighbours of %zu slots", k, count);
    }
    for (size_t i = 0; i < count; i++)
        atomic_init(&self->bar[i], key_of(INFINITY, 0));
    for (size_t i = 0; i < LOCKS; i++)
        atomic_flag_clear(&self->locks[i]);
    return OK;
}

void shared_lists_destroy(shared_lists_t **self)
{
    if (!*self)
        return;
    free((*self)->entries);
    free((*self)->filled);
    free((*self)->bar);
    free(*self);
    *self = NULL;
}

void shared_lists_bound(shared_lists_t *self, size_t list, float bound)
{
    if (bound >= 0 && bound < INFINITY)
        atomic_store_explicit(&self->bar[list], key_of(bound, UINT32_MAX), memory_order_relaxed);
}

float shared_lists_wants(const shared_lists_t *self, size_t list)
{
    return d2_of(atomic_load_explicit(&self->bar[list], memory_order_relaxed));
}

int shared_lists_would_take(const shared_lists_t *self, size_t list, float d2, uint32_t slot)
{
    return key_of(d2, slot) < atomic_load_explicit(&self->bar[list], memory_order_relaxed);
}

static void insert(shared_lists_t *self, size_t list, uint64_t key)
{
    uint64_t *entries = self->entries + list * self->k;
    size_t place = self->filled[list];
    if (place == self->k)
        place--; /* the last one goes */
    else
        self->filled[list]++;
    size_t end = place;
    while (place && key < entries[place - 1])
        place--;
    memmove(entries + place + 1, entries + place, (end - place) * sizeof *entries);
    entries[place] = key;
    if (self->filled[list] == self->k && entries[self->k - 1] < self->bar[list])
        atomic_store_explicit(&self->bar[list], entries[self->k - 1], memory_order_relaxed);
}

void shared_lists_offer(shared_lists_t *self, size_t list, float d2, uint32_t slot)
{
    atomic_flag *lock = &self->locks[list % LOCKS];
    if (!shared_lists_would_take(self, list, d2, slot))
        return;
    while (atomic_flag_test_and_set_explicit(lock, memory_order_acquire))
        sched_yield();                                 /* whoever has it may be off the processor */
    if (shared_lists_would_take(self, list, d2, slot)) /* still */
        insert(self, list, key_of(d2, slot));
    atomic_flag_clear_explicit(lock, memory_order_release);
}

uint32_t shared_lists_count(const shared_lists_t *self, size_t list) { return self->filled[list]; }

void shared_lists_entry(const shared_lists_t *self, size_t list, size_t i, float *d2,
                        uint32_t *slot)
{
    uint64_t key = self->entries[list * self->k + i];
    *d2 = d2_of(key);
    *slot = (uint32_t)key;
}
