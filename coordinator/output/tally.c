#include "coordinator/output/tally.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK_SIZE 65536

struct tally_block {
    tally_block_t *next;
    size_t used;
    size_t capacity;
    char bytes[];
};

int view_compare(string_view_t a, string_view_t b)
{
    size_t shorter = a.length < b.length ? a.length : b.length;
    int order = shorter ? memcmp(a.text, b.text, shorter) : 0;
    return order ? order : (a.length > b.length) - (a.length < b.length);
}

static void free_blocks(tally_t *self)
{
    while (self->blocks) {
        tally_block_t *next = self->blocks->next;
        free(self->blocks);
        self->blocks = next;
    }
}

void tally_clear(tally_t *self)
{
    free_blocks(self);
    free(self->entries);
    *self = (tally_t){0};
}

void tally_reset(tally_t *self)
{
    free_blocks(self);
    self->count = 0;
}

void tally_add(tally_t *self, string_view_t text)
{
    if (!text.length)
        return;
    if (self->count == self->capacity) {
        size_t capacity = self->capacity * 2 + 64;
        tally_entry_t *entries = realloc(self->entries, capacity * sizeof *entries);
        if (!entries) {
            self->failed = 1;
            return;
        }
        self->entries = entries;
        self->capacity = capacity;
    }
    self->entries[self->count++] = (tally_entry_t){text, 1};
}

void tally_add_copy(tally_t *self, const char *text, size_t length)
{
    tally_block_t *block = self->blocks;
    if (!block || block->capacity - block->used < length) {
        size_t capacity = length > BLOCK_SIZE ? length : BLOCK_SIZE;
        block = malloc(sizeof *block + capacity);
        if (!block) {
            self->failed = 1;
            return;
        }
        *block = (tally_block_t){self->blocks, 0, capacity};
        self->blocks = block;
    }
    char *copy = block->bytes + block->used;
    memcpy(copy, text, length);
    block->used += length;
    tally_add(self, (string_view_t){copy, length});
}

static int by_bytes(const void *a, const void *b)
{
    return view_compare(((const tally_entry_t *)a)->text, ((const tally_entry_t *)b)->text);
}

static int by_count(const void *a, const void *b)
{
    const tally_entry_t *left = a;
    const tally_entry_t *right = b;
    if (left->count != right->count)
        return left->count < right->count ? 1 : -1;
    return view_compare(left->text, right->text);
}

void tally_by_bytes(tally_t *self)
{
    size_t kept = 0;
    if (self->count)
        qsort(self->entries, self->count, sizeof *self->entries, by_bytes);
    for (size_t i = 0; i < self->count; i++) {
        if (kept && !by_bytes(&self->entries[kept - 1], &self->entries[i]))
            self->entries[kept - 1].count += self->entries[i].count;
        else
            self->entries[kept++] = self->entries[i];
    }
    self->count = kept;
}

void tally_by_count(tally_t *self)
{
    tally_by_bytes(self);
    if (self->count)
        qsort(self->entries, self->count, sizeof *self->entries, by_count);
}

string_view_t tally_first(const tally_t *self)
{
    return self->count ? self->entries[0].text : (string_view_t){"", 0};
}
