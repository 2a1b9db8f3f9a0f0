/* edge.h - an edge of the mutual reachability graph, and the total order on edges.
 *
 * (weight, smaller slot, larger slot) differ for any two edges, so the minimum spanning tree is
 * unique (docs/algorithms.md, 4). Weights are d2 = max(core_a, core_b, dist2(a, b)). */
#ifndef STAGE4_COMMON_GRAPH_EDGE_H
#define STAGE4_COMMON_GRAPH_EDGE_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    float weight;
    uint32_t a; /* the smaller slot */
    uint32_t b; /* the larger slot */
} edge_t;

/* Heavier than every edge: "there is none". */
static inline edge_t edge_none(void) { return (edge_t){INFINITY, UINT32_MAX, UINT32_MAX}; }

static inline edge_t edge_between(uint32_t slot, uint32_t other, float weight)
{
    return slot < other ? (edge_t){weight, slot, other} : (edge_t){weight, other, slot};
}

/* Below, at or above 0 as x comes before, is, or comes after y. */
static inline int edge_compare(const edge_t *x, const edge_t *y)
{
    if (x->weight != y->weight)
        return x->weight < y->weight ? -1 : 1;
    if (x->a != y->a)
        return x->a < y->a ? -1 : 1;
    if (x->b != y->b)
        return x->b < y->b ? -1 : 1;
    return 0;
}

void edge_sort(edge_t *edges, size_t count);

#endif
