/* mutate.h - damaged copies of bytes: flips, cuts, splices, repeats, inserted tokens. Seeded. */
#ifndef STAGE4_TESTS_LIB_MUTATE_H
#define STAGE4_TESTS_LIB_MUTATE_H

#include "lib/random.h"

#include <string.h>

typedef struct {
    const char *const *tokens; /* what a splice may insert */
    size_t token_count;
    size_t capacity; /* of the buffer */
} mutate_rules_t;

/* Replaces [at, at + out) by `in` bytes; the new length, or the old one when it does not fit. */
static inline size_t mutate_replace(char *bytes, size_t length, size_t capacity, size_t at,
                                    size_t out, const char *in, size_t in_length)
{
    if (length - out + in_length > capacity)
        return length;
    memmove(bytes + at + in_length, bytes + at + out, length - at - out);
    memcpy(bytes + at, in, in_length);
    return length - out + in_length;
}

/* One damage; the new length. */
static inline size_t mutate_once(random_t *random, char *bytes, size_t length,
                                 const mutate_rules_t *rules)
{
    char copy[256];
    if (length == 0)
        return 0;
    size_t at = random_below(random, (uint32_t)length);
    size_t left = length - at;
    size_t span = 1 + random_below(random, 64);
    span = span < left ? span : left;
    switch (random_below(random, 8)) {
    case 0:
        bytes[at] ^= (char)(1 << random_below(random, 8));
        return length;
    case 1:
        bytes[at] = (char)random_below(random, 256);
        return length;
    case 2:
        return random_below(random, 4) == 0 ? at : length; /* a cut, now and then */
    case 3:
        return mutate_replace(bytes, length, rules->capacity, at, span, "", 0);
    case 4:
    case 5: { /* a piece of it somewhere else */
        size_t from = random_below(random, (uint32_t)(length - span + 1));
        memcpy(copy, bytes + from, span);
        size_t out = random_below(random, 2) ? span : 0;
        return mutate_replace(bytes, length, rules->capacity, at, out, copy, span);
    }
    default: {
        if (rules->token_count == 0)
            return length;
        const char *token = rules->tokens[random_below(random, (uint32_t)rules->token_count)];
        size_t out = random_below(random, 2) ? strlen(token) : 0;
        return mutate_replace(bytes, length, rules->capacity, at, out < left ? out : left, token,
                              strlen(token));
    }
    }
}

/* One to four damages. */
static inline size_t mutate(random_t *random, char *bytes, size_t length,
                            const mutate_rules_t *rules)
{
    for (uint32_t i = random_below(random, 4) + 1; i > 0; i--)
        length = mutate_once(random, bytes, length, rules);
    return length;
}

#endif
