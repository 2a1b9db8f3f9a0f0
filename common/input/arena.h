/* arena.h - memory that grows in place up to a bound known beforehand.
 *
 * The bound is reserved as address space and costs nothing until it is touched, so what lies in an
 * arena never moves and nothing is ever copied to grow. It comes zeroed. */
#ifndef STAGE4_COMMON_INPUT_ARENA_H
#define STAGE4_COMMON_INPUT_ARENA_H

#include <stddef.h>

typedef struct {
    char *base;
    size_t used;
    size_t capacity;
} arena_t;

/* 1, or 0 when the address space cannot be had. */
int arena_reserve(arena_t *self, size_t capacity);
void arena_release(arena_t *self);

/* `bytes` more, zeroed and without gaps; NULL when the bound is reached. */
void *arena_take(arena_t *self, size_t bytes);

#endif
