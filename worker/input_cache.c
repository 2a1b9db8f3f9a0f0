#include "worker/input_cache.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    sha256_t sha256;
    uint8_t *bytes;
    size_t length;
    uint32_t pins;
    uint64_t used; /* of the clock below, at the last pin */
} entry_t;

struct input_cache {
    size_t limit;
    size_t total;
    uint64_t clock;
    entry_t *entries; /* a job has a handful of inputs: a walk is as good as a table */
    size_t count;
    size_t capacity;
};

input_cache_t *input_cache_new(size_t limit)
{
    input_cache_t *self = calloc(1, sizeof *self);
    if (self)
        self->limit = limit;
    return self;
}

void input_cache_destroy(input_cache_t **self)
{
    if (!self || !*self)
        return;
    for (size_t i = 0; i < (*self)->count; i++)
        free((*self)->entries[i].bytes);
    free((*self)->entries);
    free(*self);
    *self = NULL;
}

/* The count when it is not there. */
static size_t position_of(const input_cache_t *self, const sha256_t *sha256)
{
    size_t at = 0;
    while (at < self->count && !sha256_equal(&self->entries[at].sha256, sha256))
        at++;
    return at;
}

/* The count when everything is pinned. */
static size_t oldest_unpinned(const input_cache_t *self)
{
    size_t oldest = self->count;
    for (size_t i = 0; i < self->count; i++)
        if (!self->entries[i].pins &&
            (oldest == self->count || self->entries[i].used < self->entries[oldest].used))
            oldest = i;
    return oldest;
}

static void evict(input_cache_t *self)
{
    while (self->total > self->limit) {
        size_t at = oldest_unpinned(self);
        if (at == self->count)
            return;
        self->total -= self->entries[at].length;
        free(self->entries[at].bytes);
        self->count--;
        memmove(&self->entries[at], &self->entries[at + 1],
                (self->count - at) * sizeof *self->entries);
    }
}

int input_cache_pin(input_cache_t *self, const sha256_t *sha256, input_view_t *out)
{
    size_t at = position_of(self, sha256);
    if (at == self->count)
        return 0;
    entry_t *entry = &self->entries[at];
    entry->pins++;
    entry->used = ++self->clock;
    *out = (input_view_t){entry->sha256, entry->bytes, entry->length};
    return 1;
}

void input_cache_unpin(input_cache_t *self, const sha256_t *sha256)
{
    size_t at = position_of(self, sha256);
    if (at < self->count && self->entries[at].pins)
        self->entries[at].pins--;
    evict(self);
}

int input_cache_add(input_cache_t *self, const sha256_t *sha256, uint8_t *bytes, size_t length)
{
    size_t at = position_of(self, sha256);
    if (at < self->count) {
        free(bytes);
        self->entries[at].pins++;
        return 1;
    }
    if (self->count == self->capacity) {
        size_t capacity = self->capacity ? 2 * self->capacity : 16;
        entry_t *entries = realloc(self->entries, capacity * sizeof *entries);
        if (!entries)
            return 0;
        self->entries = entries;
        self->capacity = capacity;
    }
    self->entries[self->count++] = (entry_t){*sha256, bytes, length, 1, ++self->clock};
    self->total += length;
    evict(self);
    return 1;
}

size_t input_cache_bytes(const input_cache_t *self) { return self->total; }
