/* lightest.h - the lightest spanning forest of some edges (Kruskal), and a pile that keeps no more.
 *
 * The order on edges is total, so the forest is unique. What is left out is the last edge of a
 * circle, and stays that whatever is added: piles may be put together in any order. */
#ifndef STAGE4_COMMON_GRAPH_LIGHTEST_H
#define STAGE4_COMMON_GRAPH_LIGHTEST_H

#include "common/error.h"
#include "common/graph/edge.h"

/* Sorts the edges, whose ends are below `nodes`, moves those of the forest to the front and returns
 * how many they are. `parent` is scratch for one number a node. */
size_t lightest_forest(edge_t *edges, size_t count, uint32_t *parent, uint32_t nodes);

/* Edges that were added, or as many of them as their lightest forest needs. */
typedef struct {
    uint32_t nodes;
    edge_t *edges;
    size_t count;
    size_t capacity;
    uint32_t *parent; /* scratch */
} edge_pile_t;

/* An empty pile needs no memory; edge_pile_clear gives back what it has. */
void edge_pile_init(edge_pile_t *self, uint32_t nodes);
void edge_pile_clear(edge_pile_t *self);
/* ERR_MEMORY: the pile is as it was. */
int edge_pile_add(edge_pile_t *self, const edge_t *edge, error_t *error);
/* The lightest forest is left, sorted. ERR_MEMORY. */
int edge_pile_reduce(edge_pile_t *self, error_t *error);

#endif
