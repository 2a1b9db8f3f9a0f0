#include "common/graph/edge.h"

#include <stdlib.h>

static int compare_edges(const void *x, const void *y) { return edge_compare(x, y); }

void edge_sort(edge_t *edges, size_t count)
{
    if (count > 1)
        qsort(edges, count, sizeof *edges, compare_edges);
}
