/* random.h - the tests' seeded generator: splitmix64. Equal seeds give equal tests everywhere. */
#ifndef STAGE4_TESTS_LIB_RANDOM_H
#define STAGE4_TESTS_LIB_RANDOM_H

#include <stdint.h>

typedef struct {
    uint64_t state;
} random_t;

static inline uint64_t random_next(random_t *self)
{
    uint64_t z = (self->state += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

/* 0 .. limit - 1; limit > 0. */
static inline uint32_t random_below(random_t *self, uint32_t limit)
{
    return (uint32_t)(((random_next(self) >> 32) * limit) >> 32);
}

/* [0, 1) */
static inline double random_unit(random_t *self)
{
    return (double)(random_next(self) >> 11) * 0x1p-53;
}

#endif
