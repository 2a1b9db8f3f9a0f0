/* string_table.h - a heap of strings, and tables of distinct strings that number them.
 *
 * A string is named by a reference: its offset in the heap and its length in one word. */
#ifndef STAGE4_COMMON_INPUT_STRING_TABLE_H
#define STAGE4_COMMON_INPUT_STRING_TABLE_H

#include "common/input/arena.h"

#include <stddef.h>
#include <stdint.h>

typedef uint64_t string_ref_t;

#define STRING_LENGTH_BITS 21
#define STRING_LENGTH_LIMIT (1u << 20) /* 1 MiB */

static inline string_ref_t string_ref(uint64_t offset, size_t length)
{
    return offset << STRING_LENGTH_BITS | length;
}
static inline uint64_t string_ref_offset(string_ref_t ref) { return ref >> STRING_LENGTH_BITS; }
static inline size_t string_ref_length(string_ref_t ref)
{
    return ref & ((1u << STRING_LENGTH_BITS) - 1);
}

/* Copies a string to the end of `heap`. 1, or 0 when it is full or the string over the limit. */
int string_heap_put(arena_t *heap, const char *text, size_t length, string_ref_t *out);

typedef struct {
    arena_t *heap;  /* borrowed */
    arena_t refs;   /* string_ref_t, by number */
    arena_t hashes; /* uint32_t, by number */
    arena_t slots;  /* uint32_t, number + 1; 0 is free; open addressing */
    uint32_t count;
    uint32_t limit;
    size_t mask;
    uint64_t seed; /* the order of the slots follows from it; nothing iterates them */
} string_table_t;

/* A table of at most `limit` strings. 1, or 0 when out of memory. */
int string_table_init(string_table_t *self, arena_t *heap, uint32_t limit, uint64_t seed);
void string_table_release(string_table_t *self);

/* The number of a string, numbered from 0 as they come. 1, or 0 when a bound is reached. */
int string_table_number(string_table_t *self, const char *text, size_t length, uint32_t *out);

string_ref_t string_table_ref(const string_table_t *self, uint32_t number);
size_t string_table_memory(const string_table_t *self);

#endif
