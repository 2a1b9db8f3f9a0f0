/* rng.h - xoshiro256** (Blackman and Vigna, 2018), seeded by splitmix64: all chance of a run. */
#ifndef STAGE4_TESTS_SIM_RNG_H
#define STAGE4_TESTS_SIM_RNG_H

#include <stdint.h>

typedef struct {
    uint64_t s[4];
} rng_t;

uint64_t mix64(uint64_t value); /* splitmix64's finaliser: a good hash of one word */
void rng_seed(rng_t *self, uint64_t seed);
uint64_t rng_next(rng_t *self);
uint32_t rng_below(rng_t *self, uint32_t limit);             /* 0 .. limit - 1 */
int64_t rng_between(rng_t *self, int64_t low, int64_t high); /* low .. high */
int rng_chance(rng_t *self, double probability);

#endif
