/* naive.h - the same answers by the shortest loops there are, with their own canonical distance. */
#ifndef STAGE4_TESTS_NAIVE_H
#define STAGE4_TESTS_NAIVE_H

#include "task_fixture.h"

/* As the header of dist2.h words it, lane by lane: no vector, no tree loop. */
static inline float naive_dist2(const float *a, const float *b, size_t dimension)
{
    float lane[16];
    for (size_t l = 0; l < 16; l++) {
        lane[l] = 0;
        for (size_t d = l; d < dimension; d += 16)
            lane[l] = fmaf(a[d] - b[d], a[d] - b[d], lane[l]);
    }
    float eight[8], four[4];
    for (size_t l = 0; l < 8; l++)
        eight[l] = lane[l] + lane[l + 8];
    for (size_t l = 0; l < 4; l++)
        four[l] = eight[l] + eight[l + 4];
    return (four[0] + four[2]) + (four[1] + four[3]);
}

static inline float naive_between(const fixture_t *fixture, uint32_t a, uint32_t b)
{
    size_t dimension = fixture->dimension;
    return naive_dist2(fixture->values + a * dimension, fixture->values + b * dimension, dimension);
}

static inline uint32_t naive_partition(const fixture_t *fixture, uint32_t slot)
{
    uint32_t p = 0;
    while (slot >= fixture->begin[p + 1])
        p++;
    return p;
}

/* May the two be compared at all? */
static inline int naive_pair(const fixture_t *fixture, uint32_t a, uint32_t b)
{
    uint32_t p = naive_partition(fixture, a);
    if (p != naive_partition(fixture, b))
        return 0;
    return fixture->window[p] < 0 || abs(fixture->day[a] - fixture->day[b]) <= fixture->window[p];
}

typedef struct {
    float d2;
    uint32_t slot;
} naive_neighbour_t;

static inline int naive_order(const void *left, const void *right)
{
    const naive_neighbour_t *a = left;
    const naive_neighbour_t *b = right;
    if (a->d2 != b->d2)
        return a->d2 < b->d2 ? -1 : 1;
    return (a->slot > b->slot) - (a->slot < b->slot);
}

/* All neighbours of a slot in order; the caller's array holds `slots`. Returns how many. */
static inline size_t naive_neighbours(const fixture_t *fixture, uint32_t slot,
                                      naive_neighbour_t *out)
{
    size_t count = 0;
    for (uint32_t other = 0; other < fixture->slots; other++) {
        if (other != slot && naive_pair(fixture, slot, other))
            out[count++] = (naive_neighbour_t){naive_between(fixture, slot, other), other};
    }
    qsort(out, count, sizeof *out, naive_order);
    return count;
}

#endif
