#include "rng.h"

uint64_t mix64(uint64_t value)
{
    value += 0x9e3779b97f4a7c15ull;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ull;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebull;
    return value ^ (value >> 31);
}

void rng_seed(rng_t *self, uint64_t seed)
{
    for (int i = 0; i < 4; i++)
        self->s[i] = mix64(seed * 4 + (uint64_t)i + 1);
}

static uint64_t rotate(uint64_t value, int bits)
{
    return (value << bits) | (value >> (64 - bits));
}

uint64_t rng_next(rng_t *self)
{
    uint64_t *s = self->s;
    uint64_t result = rotate(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

uint32_t rng_below(rng_t *self, uint32_t limit)
{
    return (uint32_t)(((rng_next(self) >> 32) * limit) >> 32);
}

int64_t rng_between(rng_t *self, int64_t low, int64_t high)
{
    return low + (int64_t)rng_below(self, (uint32_t)(high - low + 1));
}

int rng_chance(rng_t *self, double probability)
{
    return (double)(rng_next(self) >> 11) * 0x1.0p-53 < probability;
}
