/* random.h - splitmix64 (Steele, Lea, Flood 2014): a seeded generator that is passed in. */
#ifndef STAGE4_WORKER_TASKS_RANDOM_H
#define STAGE4_WORKER_TASKS_RANDOM_H

#include <stdint.h>

typedef struct {
    uint64_t state;
} random_t;

static inline uint64_t random_next(random_t *self)
{
    uint64_t z = self->state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* The generator of one partition: partitions of one seed do not repeat each other's numbers. */
static inline random_t random_of(uint64_t seed, uint64_t partition)
{
    random_t mixed = {seed};
    return (random_t){random_next(&mixed) ^ (partition * 0xd1342543de82ef95u)};
}

/* [0, 1) in steps of 2^-53. */
static inline double random_unit(random_t *self)
{
    return (double)(random_next(self) >> 11) * 0x1p-53;
}

/* 0 .. below-1, by the high half of a 128-bit product; below >= 1. */
static inline uint64_t random_below(random_t *self, uint64_t below)
{
    return (uint64_t)(((unsigned __int128)random_next(self) * below) >> 64);
}

#endif
