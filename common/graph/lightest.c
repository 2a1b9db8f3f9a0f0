#include "common/graph/lightest.h"

#include "common/graph/disjoint_set.h"

#include <stdlib.h>

#define CAPACITY_MIN 1024

size_t lightest_forest(edge_t *edges, size_t count, uint32_t *parent, uint32_t nodes)
{
    size_t kept = 0;
    edge_sort(edges, count);
    disjoint_set_init(parent, nodes);
    for (size_t i = 0; i < count; i++) {
        edge_t edge = edges[i];
        if (disjoint_set_join(parent, edge.a, edge.b))
            edges[kept++] = edge;
    }
    return kept;
}

void edge_pile_init(edge_pile_t *self, uint32_t nodes) { *self = (edge_pile_t){.nodes = nodes}; }

void edge_pile_clear(edge_pile_t *self)
{
    free(self->edges);
    free(self->parent);
    edge_pile_init(self, self->nodes);
}

int edge_pile_reduce(edge_pile_t *self, error_t *error)
{
    if (self->parent == NULL)
        self->parent = malloc(((size_t)self->nodes + 1) * sizeof *self->parent);
    if (self->parent == NULL)
        return error_set(error, ERR_MEMORY, "out of memory for the edges of %u rows", self->nodes);
    self->count = lightest_forest(self->edges, self->count, self->parent, self->nodes);
    return OK;
}

/* A forest has fewer edges than nodes: with room for twice as many, every other addition at most is
 * the one that reduces. */
static int make_room(edge_pile_t *self, error_t *error)
{
    size_t enough = 2 * (size_t)self->nodes + CAPACITY_MIN;
    if (self->capacity >= enough)
        return edge_pile_reduce(self, error);
    size_t capacity = self->capacity ? 2 * self->capacity : CAPACITY_MIN;
    capacity = capacity < enough ? capacity : enough;
    edge_t *edges = realloc(self->edges, capacity * sizeof *edges);
    if (edges == NULL)
        return error_set(error, ERR_MEMORY, "out of memory for %zu edges", capacity);
    self->edges = edges;
    self->capacity = capacity;
    return OK;
}

int edge_pile_add(edge_pile_t *self, const edge_t *edge, error_t *error)
{
    int code = self->count == self->capacity ? make_room(self, error) : OK;
    if (code == OK)
        self->edges[self->count++] = *edge;
    return code;
}
