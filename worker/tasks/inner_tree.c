#include "worker/tasks/inner_tree.h"

#include "worker/tasks/nn_chain.h"

#include <math.h>
#include <stdlib.h>

#define STOP_EVERY 256u

/* The first edge, in the order, from a member outside to the tree. */
typedef struct {
    uint32_t member;
    uint32_t to;
    float weight;
} link_t;

typedef struct {
    const float *dist2;
    const float *core;
    uint32_t count;
    link_t *outside; /* in any order */
    uint32_t outside_count;
    link_t *tree; /* its edges: count - 1 */
    uint32_t *degree;
} prim_t;

static uint32_t lower(uint32_t a, uint32_t b) { return a < b ? a : b; }
static uint32_t upper(uint32_t a, uint32_t b) { return a < b ? b : a; }

static int precedes(link_t x, link_t y)
{
    if (x.weight != y.weight)
        return x.weight < y.weight;
    uint32_t a = lower(x.member, x.to), b = lower(y.member, y.to);
    return a != b ? a < b : upper(x.member, x.to) < upper(y.member, y.to);
}

static float between(const prim_t *self, uint32_t i, uint32_t j)
{
    float dist2 = self->dist2[condensed_row(self->count, lower(i, j)) + upper(i, j)];
    return fmaxf(dist2, fmaxf(self->core[i], self->core[j]));
}

/* Offers `member`, which has come into the tree, to all outside; the place of the first link. */
static uint32_t offer(prim_t *self, uint32_t member)
{
    uint32_t first = 0;
    for (uint32_t i = 0; i < self->outside_count; i++) {
        link_t *link = &self->outside[i];
        link_t other = {link->member, member, between(self, link->member, member)};
        if (precedes(other, *link))
            *link = other;
        if (precedes(*link, self->outside[first]))
            first = i;
    }
    return first;
}

static void take(prim_t *self, uint32_t place)
{
    link_t link = self->outside[place];
    self->outside[place] = self->outside[--self->outside_count];
    self->tree[self->count - 2 - self->outside_count] = link;
    self->degree[link.member]++;
    self->degree[link.to]++;
}

static int grow(prim_t *self, const atomic_int *stop, error_t *error)
{
    uint32_t member = 0;
    self->outside_count = self->count - 1;
    for (uint32_t i = 0; i < self->outside_count; i++)
        self->outside[i] = (link_t){i + 1, 0, INFINITY};
    while (self->outside_count > 0) {
        if (stop && self->outside_count % STOP_EVERY == 0 && atomic_load(stop))
            return error_set(error, ERR_CANCELLED, "the density task was stopped");
        uint32_t place = offer(self, member);
        member = self->outside[place].member;
        take(self, place);
    }
    return OK;
}

static void describe(const prim_t *self, uint8_t *inner, float *sparseness)
{
    float inside = -1, all = 0;
    uint32_t nodes = 0;
    for (uint32_t i = 0; i < self->count; i++)
        nodes += inner[i] = self->degree[i] > 1;
    for (uint32_t e = 0; e + 1 < self->count; e++) {
        link_t edge = self->tree[e];
        all = fmaxf(all, edge.weight);
        if (inner[edge.member] && inner[edge.to])
            inside = fmaxf(inside, edge.weight);
    }
    *sparseness = inside < 0 ? all : inside;
    for (uint32_t i = 0; i < self->count && nodes == 0; i++)
        inner[i] = self->count > 1;
}

int inner_tree(const float *dist2, uint32_t count, const float *core, const atomic_int *stop,
               uint8_t *inner, float *sparseness, error_t *error)
{
    prim_t self = {.dist2 = dist2, .core = core, .count = count};
    int code = OK;
    self.outside = malloc(((size_t)count + 1) * sizeof *self.outside);
    self.tree = malloc(((size_t)count + 1) * sizeof *self.tree);
    self.degree = calloc((size_t)count + 1, sizeof *self.degree);
    if (!self.outside || !self.tree || !self.degree)
        code = error_set(error, ERR_MEMORY, "no memory for a tree of %u members", count);
    if (!code)
        code = grow(&self, stop, error);
    if (!code)
        describe(&self, inner, sparseness);
    free(self.outside);
    free(self.tree);
    free(self.degree);
    return code;
}
