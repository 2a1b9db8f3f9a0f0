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

static entry_t *find(const input_cache_t *self, const sha256_t *sha256)
{
    for (size_t i = 0; i < self->count; i++)
        if (sha256_equal(&self->entries[i].sha256, sha256))
            return &self->entries[i];
    return NULL;
}

static entry_t *oldest_unpinned(const input_cache_t *self)
{
    entry_t *oldest = NULL;
    for (size_t i = 0; i < self->count; i++) {
        entry_t *entry = &self->entries[i];
        if (!entry->pins && (!oldest || entry->used < oldest->used))
            oldest = entry;
    }
    return oldest;
}

static void evict(input_cache_t *self)
{
    entry_t *entry;
    while (self->total > self->limit && (entry = oldest_unpinned(self))) {
        self->total -= entry->length;
        free(entry->bytes);
        *entry = self->entries[--self->count];
    }
}

int input_cache_pin(input_cache_t *self, const sha256_t *sha256, input_view_t *out)
{
    entry_t *entry = find(self, sha256);
    if (!entry)
        return 0;
    entry->pins++;
    entry->used = ++self->clock;
    *out = (input_view_t){entry->sha256, entry->bytes, entry->length};
    return 1;
}

void input_cache_unpin(input_cache_t *self, const sha256_t *sha256)
{
    entry_t *entry = find(self, sha256);
    if (entry && entry->pins)
        entry->pins--;
    evict(self);
}

int input_cache_add(input_cache_t *self, const sha256_t *sha256, uint8_t *bytes, size_t length)
{
    entry_t *entry = find(self, sha256);
    if (entry) {
        free(bytes);
        entry->pins++;
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
