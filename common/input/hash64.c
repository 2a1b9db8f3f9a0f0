#include "common/input/hash64.h"

#include <string.h>

#define FIRST UINT64_C(0x9e3779b97f4a7c15)
#define SECOND UINT64_C(0xd1b54a32d192ed03)

static uint64_t fold(uint64_t a, uint64_t b)
{
    __extension__ unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint64_t hash64(const void *bytes, size_t length, uint64_t seed)
{
    const char *at = bytes;
    uint64_t words[2];
    uint64_t hash = fold(seed ^ FIRST, length ^ SECOND);
    for (size_t left = length; left > 0;) {
        size_t step = left < sizeof words ? left : sizeof words;
        words[0] = words[1] = 0;
        memcpy(words, at, step);
        hash = fold(hash ^ words[0] ^ FIRST, words[1] ^ SECOND) + hash;
        at += step;
        left -= step;
    }
    return fold(hash ^ SECOND, FIRST);
}
