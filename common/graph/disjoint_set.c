#include "common/graph/disjoint_set.h"

void disjoint_set_init(uint32_t *parent, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        parent[i] = i;
}

/* Path halving: no recursion, and amortised O(log n) without ranks. */
uint32_t disjoint_set_find(uint32_t *parent, uint32_t x)
{
    while (parent[x] != x) {
        parent[x] = parent[parent[x]];
        x = parent[x];
    }
    return x;
}

int disjoint_set_join(uint32_t *parent, uint32_t x, uint32_t y)
{
    x = disjoint_set_find(parent, x);
    y = disjoint_set_find(parent, y);
    if (x == y)
        return 0;
    if (x < y)
        parent[y] = x;
    else
        parent[x] = y;
    return 1;
}
