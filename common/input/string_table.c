#include "common/input/string_table.h"
#include "common/input/hash64.h"

#include <string.h>

int string_heap_put(arena_t *heap, const char *text, size_t length, string_ref_t *out)
{
    if (length > STRING_LENGTH_LIMIT)
        return 0;
    *out = string_ref(heap->used, length);
    if (length == 0)
        return 1;
    char *copy = arena_take(heap, length);
    if (copy == NULL)
        return 0;
    memcpy(copy, text, length);
    return 1;
}

/* Room for the limit at three quarters full. */
static size_t slot_count(uint32_t limit)
{
    size_t slots = 64;
    while (slots - slots / 4 < limit)
        slots *= 2;
    return slots;
}

int string_table_init(string_table_t *self, arena_t *heap, uint32_t limit, uint64_t seed)
{
    size_t slots = slot_count(limit);
    *self = (string_table_t){.heap = heap, .limit = limit, .mask = slots - 1, .seed = seed};
    if (arena_reserve(&self->refs, limit * sizeof(string_ref_t)) &&
        arena_reserve(&self->hashes, limit * sizeof(uint32_t)) &&
        arena_reserve(&self->slots, slots * sizeof(uint32_t)))
        return 1;
    string_table_release(self);
    return 0;
}

void string_table_release(string_table_t *self)
{
    arena_release(&self->refs);
    arena_release(&self->hashes);
    arena_release(&self->slots);
}

static int same(const string_table_t *self, uint32_t number, uint32_t hash, const char *text,
                size_t length)
{
    if (((const uint32_t *)(const void *)self->hashes.base)[number] != hash)
        return 0;
    string_ref_t ref = string_table_ref(self, number);
    return string_ref_length(ref) == length &&
           memcmp(self->heap->base + string_ref_offset(ref), text, length) == 0;
}

static int add(string_table_t *self, uint32_t hash, const char *text, size_t length)
{
    string_ref_t ref;
    if (self->count == self->limit || !string_heap_put(self->heap, text, length, &ref))
        return 0;
    string_ref_t *new_ref = arena_take(&self->refs, sizeof *new_ref);
    uint32_t *new_hash = arena_take(&self->hashes, sizeof *new_hash);
    *new_ref = ref;
    *new_hash = hash;
    self->count++;
    return 1;
}

int string_table_number(string_table_t *self, const char *text, size_t length, uint32_t *out)
{
    uint64_t hash = hash64(text, length, self->seed);
    uint32_t *slots = (uint32_t *)(void *)self->slots.base;
    size_t slot = (hash >> 32) & self->mask;
    for (; slots[slot] != 0; slot = (slot + 1) & self->mask) {
        uint32_t number = slots[slot] - 1;
        if (same(self, number, (uint32_t)hash, text, length)) {
            *out = number;
            return 1;
        }
    }
    if (!add(self, (uint32_t)hash, text, length))
        return 0;
    slots[slot] = self->count;
    *out = self->count - 1;
    return 1;
}

string_ref_t string_table_ref(const string_table_t *self, uint32_t number)
{
    return ((const string_ref_t *)(const void *)self->refs.base)[number];
}

size_t string_table_memory(const string_table_t *self)
{
    size_t touched = self->count < 1024 ? 1024 * sizeof(uint32_t) : self->slots.capacity;
    return self->refs.used + self->hashes.used + touched;
}
