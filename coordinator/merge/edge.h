/* edge.h - an edge of the mutual reachability graph, and the total order on edges.
 *
 * (weight, smaller slot, larger slot) differ for any two edges, so the minimum spanning tree is
 * unique (docs/algorithms.md, 4). Weights are d2 = max(core_a, core_b, dist2(a, b)). */
#ifndef STAGE4_COORDINATOR_MERGE_EDGE_H
#define STAGE4_COORDINATOR_MERGE_EDGE_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    float weight;
    uint32_t a; /* the smaller slot */
    uint32_t b; /* the larger slot */
} edge_t;

/* Heavier than every edge: "there is none". */
edge_t edge_none(void);
edge_t edge_between(uint32_t slot, uint32_t other, float weight);
/* Below, at or above 0 as x comes before, is, or comes after y. */
int edge_compare(const edge_t *x, const edge_t *y);
void edge_sort(edge_t *edges, size_t count);

#endif
