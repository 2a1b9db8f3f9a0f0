/* disjoint_set.h - which slots are connected: union-find whose representative is the smallest
 * slot of a set, so that it depends on the set alone and not on the order of the unions. */
#ifndef STAGE4_COMMON_GRAPH_DISJOINT_SET_H
#define STAGE4_COMMON_GRAPH_DISJOINT_SET_H

#include <stdint.h>

/* parent[i] <= i; a root is its own parent. The array is the caller's. */
void disjoint_set_init(uint32_t *parent, uint32_t count);
/* The smallest member of x's set; shortens the way there. */
uint32_t disjoint_set_find(uint32_t *parent, uint32_t x);
/* 1 when the two sets were different. */
int disjoint_set_join(uint32_t *parent, uint32_t x, uint32_t y);

#endif
