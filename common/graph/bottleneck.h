/* bottleneck.h - the last edge, in the order of edge.h, on the way between two nodes of a forest.
 *
 * The nodes stand in a row such that whatever the edges up to some edge connect is a range of it:
 * when an edge joins two parts, the smaller comes to stand behind the larger. The edge belongs to
 * the gap between them, and the last edge on the way between two nodes is the last of the gaps
 * between their places. Parts that nothing connects follow each other by their smallest node. */
#ifndef STAGE4_COMMON_GRAPH_BOTTLENECK_H
#define STAGE4_COMMON_GRAPH_BOTTLENECK_H

#include "common/error.h"
#include "common/graph/edge.h"

typedef struct bottleneck bottleneck_t;

/* `edges` (copied): a forest over `nodes` nodes, sorted. ERR_SHAPE when an edge's ends are not below
 * `nodes`, it comes before the one in front of it, or closes a circle; ERR_MEMORY. */
int bottleneck_new(uint32_t nodes, const edge_t *edges, size_t count, bottleneck_t **out,
                   error_t *error);
void bottleneck_destroy(bottleneck_t **self);

/* The node at each position, and the position of each node. Borrowed. */
const uint32_t *bottleneck_order(const bottleneck_t *self);
const uint32_t *bottleneck_positions(const bottleneck_t *self);

/* Of two positions, from < to; edge_none() when nothing connects them. */
edge_t bottleneck_between(const bottleneck_t *self, uint32_t from, uint32_t to);

/* By position, of what is connected with it and stands before it: where that begins, and the last
 * edge on any way there. A weight of -1 at a beginning. Arrays of `nodes`. */
void bottleneck_before(const bottleneck_t *self, uint32_t *begin, float *heaviest);

#endif
