#include "worker/tasks/lighter.h"

#include <stdlib.h>

/* A renewal sorts all edges: it comes after as many were found as makes that a small part. */
#define FOUND_LEAST 4096
#define FOUND_SHARE 8

typedef struct {
    edge_pile_t pile;
    size_t offered; /* since the last renewal */
    int code;
    error_t error;
} finder_t;

struct lighter {
    uint32_t nodes;
    uint32_t threads;
    const edge_t *first;
    size_t first_count;
    const bottleneck_t *ways; /* of the first forest, or `renewed` */
    bottleneck_t *renewed;
    int started; /* the forest has the first one's edges */
    edge_pile_t forest;
    finder_t *finders;
};

int lighter_new(uint32_t nodes, const edge_t *edges, size_t count, const bottleneck_t *ways,
                uint32_t threads, lighter_t **out, error_t *error)
{
    lighter_t *self = calloc(1, sizeof *self);
    *out = self;
    if (self)
        self->finders = calloc(threads, sizeof *self->finders);
    if (!self || !self->finders) {
        lighter_destroy(out);
        return error_set(error, ERR_MEMORY, "no memory for a forest of %u slots", nodes);
    }
    self->nodes = nodes;
    self->threads = threads;
    self->first = edges;
    self->first_count = count;
    self->ways = ways;
    edge_pile_init(&self->forest, nodes);
    for (uint32_t i = 0; i < threads; i++)
        edge_pile_init(&self->finders[i].pile, nodes);
    return OK;
}

void lighter_destroy(lighter_t **self_p)
{
    lighter_t *self = *self_p;
    if (!self)
        return;
    for (uint32_t i = 0; self->finders && i < self->threads; i++)
        edge_pile_clear(&self->finders[i].pile);
    edge_pile_clear(&self->forest);
    bottleneck_destroy(&self->renewed);
    free(self->finders);
    free(self);
    *self_p = NULL;
}

const bottleneck_t *lighter_ways(const lighter_t *self) { return self->ways; }

edge_t lighter_way(const lighter_t *self, uint32_t slot, uint32_t other)
{
    const uint32_t *position = bottleneck_positions(self->ways);
    uint32_t x = position[slot], y = position[other];
    return x < y ? bottleneck_between(self->ways, x, y) : bottleneck_between(self->ways, y, x);
}

void lighter_offer(lighter_t *self, uint32_t thread, const edge_t *edge)
{
    finder_t *finder = &self->finders[thread];
    if (!finder->code)
        finder->code = edge_pile_add(&finder->pile, edge, &finder->error);
    finder->offered++;
}

static int take_in(lighter_t *self, error_t *error)
{
    int code = OK;
    for (size_t i = 0; i < self->first_count && !self->started && !code; i++)
        code = edge_pile_add(&self->forest, &self->first[i], error);
    self->started = 1;
    for (uint32_t t = 0; t < self->threads && !code; t++) {
        finder_t *finder = &self->finders[t];
        if (finder->code && error)
            *error = finder->error;
        code = finder->code;
        for (size_t i = 0; i < finder->pile.count && !code; i++)
            code = edge_pile_add(&self->forest, &finder->pile.edges[i], error);
        edge_pile_clear(&finder->pile);
        finder->offered = 0;
    }
    return code ? code : edge_pile_reduce(&self->forest, error);
}

int lighter_renew(lighter_t *self, error_t *error)
{
    size_t offered = 0;
    int code = OK;
    for (uint32_t i = 0; i < self->threads && !code; i++) {
        offered += self->finders[i].offered;
        code = self->finders[i].code;
    }
    if (!code && offered < FOUND_LEAST + self->nodes / FOUND_SHARE)
        return OK;
    code = take_in(self, error);
    if (code)
        return code;
    bottleneck_destroy(&self->renewed);
    code =
        bottleneck_new(self->nodes, self->forest.edges, self->forest.count, &self->renewed, error);
    self->ways = self->renewed;
    return code;
}

int lighter_finish(lighter_t *self, const edge_t **edges, size_t *count, error_t *error)
{
    int code = take_in(self, error);
    edge_t *all = self->forest.edges;
    size_t kept = 0, next = 0;
    for (size_t i = 0; i < self->forest.count && !code; i++) {
        while (next < self->first_count && edge_compare(&self->first[next], &all[i]) < 0)
            next++;
        if (next == self->first_count || edge_compare(&self->first[next], &all[i]) != 0)
            all[kept++] = all[i];
    }
    self->forest.count = kept;
    *edges = all;
    *count = kept;
    return code;
}
