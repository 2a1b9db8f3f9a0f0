#include "coordinator/merge/edge.h"

#include <math.h>
#include <stdlib.h>

edge_t edge_none(void) { return (edge_t){INFINITY, UINT32_MAX, UINT32_MAX}; }

edge_t edge_between(uint32_t slot, uint32_t other, float weight)
{
    return slot < other ? (edge_t){weight, slot, other} : (edge_t){weight, other, slot};
}

int edge_compare(const edge_t *x, const edge_t *y)
{
    if (x->weight != y->weight)
        return x->weight < y->weight ? -1 : 1;
    if (x->a != y->a)
        return x->a < y->a ? -1 : 1;
    if (x->b != y->b)
        return x->b < y->b ? -1 : 1;
    return 0;
}

static int compare_edges(const void *x, const void *y) { return edge_compare(x, y); }

void edge_sort(edge_t *edges, size_t count)
{
    if (count > 1)
        qsort(edges, count, sizeof *edges, compare_edges);
}
