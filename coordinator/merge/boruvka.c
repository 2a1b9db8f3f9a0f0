#include "coordinator/merge/boruvka.h"

#include "common/graph/disjoint_set.h"
#include "proto/payload.h"

#include <stdlib.h>
#include <string.h>

/* Pairs that a search looks at in about the time that a round costs besides. */
#define PAIRS_A_ROUND 80000000u
/* Rows of a component that search when it is to be joined with any other; more where so many found
 * nothing. */
#define SEARCHERS_LEAST 64u

/* A component that must search, and how many of its rows stand in the way of its best edge. */
typedef struct {
    uint32_t blocking;
    uint32_t root;
} contender_t;

struct boruvka {
    neighbour_lists_t lists;
    uint32_t *parent;   /* union-find; flat (parent[i] is the root) after every pass */
    edge_t *best;       /* by root: its lightest known outgoing edge */
    uint8_t *certified; /* by root */
    uint32_t *blocking; /* by root: rows that stand in its way; 0 when it need not search */
    uint32_t *skipped;  /* by root: of these, since one searched */
    uint32_t *size;     /* by root, where edges are presumed */
    int presuming;
    contender_t *contenders; /* scratch: the roots of one partition that are not certified */
    uint32_t *partition_of;  /* by slot */
    uint32_t *first;         /* by slot: the entries of its list before this one lead nowhere */
    edge_t *bound;           /* by slot */
    edge_t *forest;
    size_t forest_count;
    size_t certified_count;
    edge_t *found;
    size_t found_count;
    size_t found_capacity;
    uint32_t *query;
    float *floor;
    size_t query_count;
};

/* A list with room names all that is within the radius: others weigh more. */
static edge_t radius_bound(const neighbour_lists_t *lists, uint32_t i, uint32_t others)
{
    const uint32_t *neighbour = lists->neighbour + (size_t)i * lists->k;
    uint32_t count = 0;
    while (count < lists->k && neighbour[count] != SLOT_NONE)
        count++;
    if (count == others || lists->radius == NULL || isinf(lists->radius[i]))
        return edge_none();
    return (edge_t){lists->radius[i], UINT32_MAX, UINT32_MAX};
}

/* Everything row i has not listed comes after this edge. Unlisted rows j have (d2, j) after the
 * last entry's (d2, slot), and core_i is at most the last d2: an unlisted edge weighs at least
 * that, and when it weighs just that, j is larger than the last entry's slot. */
static edge_t list_bound(const neighbour_lists_t *lists, uint32_t i, uint32_t others)
{
    const uint32_t *neighbour = lists->neighbour + (size_t)i * lists->k;
    if (lists->k == 0)
        return others == 0 ? edge_none() : (edge_t){-1, 0, 0};
    uint32_t last = neighbour[lists->k - 1];
    if (last == SLOT_NONE)
        return radius_bound(lists, i, others);
    if (lists->k >= others)
        return edge_none();
    float weight = lists->d2[(size_t)i * lists->k + lists->k - 1];
    return i < last ? (edge_t){weight, i, last} : (edge_t){weight, last, UINT32_MAX};
}

/* Slots of one partition of that size. A row without a core distance has no edges at all. */
static edge_t first_bound(const neighbour_lists_t *lists, uint32_t i, uint32_t size)
{
    return isinf(lists->core[i]) ? edge_none() : list_bound(lists, i, size - 1);
}

static void init_bounds(boruvka_t *self)
{
    const neighbour_lists_t *lists = &self->lists;
    for (uint32_t p = 0; p < lists->partition_count; p++) {
        uint32_t begin = lists->partition_begin[p], end = lists->partition_begin[p + 1];
        for (uint32_t i = begin; i < end; i++)
            self->bound[i] = first_bound(lists, i, end - begin);
    }
}

void boruvka_list_bounds(const neighbour_lists_t *lists, float *weight)
{
    for (uint32_t p = 0; p < lists->partition_count; p++) {
        uint32_t begin = lists->partition_begin[p], end = lists->partition_begin[p + 1];
        for (uint32_t i = begin; i < end; i++) {
            edge_t bound = first_bound(lists, i, end - begin);
            weight[i] = bound.weight > 0 ? bound.weight : 0;
        }
    }
}

static int allocate(boruvka_t *self)
{
    size_t n = self->lists.count > 0 ? self->lists.count : 1;
    self->parent = malloc(n * sizeof *self->parent);
    self->best = malloc(n * sizeof *self->best);
    self->certified = malloc(n);
    self->blocking = malloc(n * sizeof *self->blocking);
    self->skipped = malloc(n * sizeof *self->skipped);
    self->size = malloc(n * sizeof *self->size);
    self->contenders = malloc(n * sizeof *self->contenders);
    self->partition_of = malloc(n * sizeof *self->partition_of);
    self->first = calloc(n, sizeof *self->first);
    self->bound = malloc(n * sizeof *self->bound);
    self->forest = malloc(n * sizeof *self->forest);
    self->query = malloc(n * sizeof *self->query);
    self->floor = malloc(n * sizeof *self->floor);
    return self->parent && self->best && self->certified && self->blocking && self->skipped &&
           self->size && self->contenders && self->partition_of && self->first && self->bound &&
           self->forest && self->query && self->floor;
}

static int add_found(boruvka_t *self, const edge_t *edge)
{
    if (self->found_count == self->found_capacity) {
        size_t capacity = self->found_capacity ? self->found_capacity * 2 : 256;
        edge_t *grown = realloc(self->found, capacity * sizeof *grown);
        if (grown == NULL)
            return 0;
        self->found = grown;
        self->found_capacity = capacity;
    }
    self->found[self->found_count++] = *edge;
    return 1;
}

static int edge_in_partition(const boruvka_t *self, const edge_t *edge)
{
    return edge->a < edge->b && edge->b < self->lists.count &&
           self->partition_of[edge->a] == self->partition_of[edge->b];
}

static int restore(boruvka_t *self, const boruvka_state_t *state, error_t *error)
{
    memcpy(self->bound, state->bound, self->lists.count * sizeof *self->bound);
    for (size_t i = 0; i < state->forest_count; i++) {
        const edge_t *edge = &state->forest[i];
        if (!edge_in_partition(self, edge) || !disjoint_set_join(self->parent, edge->a, edge->b))
            return error_set(error, ERR_SHAPE, "edge %zu of the stored forest closes a circle", i);
        self->forest[self->forest_count++] = *edge;
    }
    for (size_t i = 0; i < state->found_count; i++) {
        if (!edge_in_partition(self, &state->found[i]))
            return error_set(error, ERR_SHAPE, "stored edge %zu joins no slots", i);
        if (!add_found(self, &state->found[i]))
            return error_set(error, ERR_MEMORY, "out of memory for edges");
    }
    return OK;
}

int boruvka_new(const neighbour_lists_t *lists, const boruvka_state_t *state, boruvka_t **out,
                error_t *error)
{
    int code;
    boruvka_t *self = calloc(1, sizeof *self);
    if (self == NULL)
        return error_set(error, ERR_MEMORY, "out of memory for a spanning tree");
    self->lists = *lists;
    if (!allocate(self)) {
        code = error_set(error, ERR_MEMORY, "out of memory for a tree of %u rows", lists->count);
        goto fail;
    }
    disjoint_set_init(self->parent, lists->count);
    for (uint32_t p = 0; p < lists->partition_count; p++)
        for (uint32_t i = lists->partition_begin[p]; i < lists->partition_begin[p + 1]; i++)
            self->partition_of[i] = p;
    if (state == NULL)
        init_bounds(self);
    else if ((code = restore(self, state, error)) != OK)
        goto fail;
    *out = self;
    return OK;
fail:
    boruvka_destroy(&self);
    return code;
}

void boruvka_destroy(boruvka_t **self_p)
{
    boruvka_t *self = *self_p;
    if (self == NULL)
        return;
    free(self->parent);
    free(self->best);
    free(self->certified);
    free(self->blocking);
    free(self->skipped);
    free(self->size);
    free(self->contenders);
    free(self->partition_of);
    free(self->first);
    free(self->bound);
    free(self->forest);
    free(self->found);
    free(self->query);
    free(self->floor);
    free(self);
    *self_p = NULL;
}

static void flatten(boruvka_t *self)
{
    /* Parents are never larger than their children, so one ascending sweep reaches the roots. */
    for (uint32_t i = 0; i < self->lists.count; i++)
        self->parent[i] = self->parent[self->parent[i]];
}

static void offer(boruvka_t *self, const edge_t *edge)
{
    uint32_t x = self->parent[edge->a], y = self->parent[edge->b];
    if (x == y)
        return;
    if (edge_compare(edge, &self->best[x]) < 0)
        self->best[x] = *edge;
    if (edge_compare(edge, &self->best[y]) < 0)
        self->best[y] = *edge;
}

static float larger(float x, float y) { return x > y ? x : y; }

/* Entry m of row i's list as an edge; 0 when it leads nowhere. */
static int listed_edge(const boruvka_t *self, uint32_t i, uint32_t m, edge_t *out)
{
    const neighbour_lists_t *lists = &self->lists;
    uint32_t j = lists->neighbour[(size_t)i * lists->k + m];
    if (self->parent[i] == self->parent[j])
        return 0;
    float d2 = lists->d2[(size_t)i * lists->k + m];
    *out = edge_between(i, j, larger(d2, larger(lists->core[i], lists->core[j])));
    return out->weight < INFINITY;
}

/* The row's lightest listed edge, for its own component alone: what the component at the other end
 * does not list itself comes after that one's bound, so it decides no certificate (algorithms.md,
 * 4). Entries are sorted by d2 and no edge is lighter than its d2. */
static void offer_own(boruvka_t *self, uint32_t i)
{
    const neighbour_lists_t *lists = &self->lists;
    const uint32_t *neighbour = lists->neighbour + (size_t)i * lists->k;
    const float *d2 = lists->d2 + (size_t)i * lists->k;
    uint32_t root = self->parent[i], m = self->first[i];
    edge_t *best = &self->best[root], edge;
    while (m < lists->k && neighbour[m] != SLOT_NONE && self->parent[neighbour[m]] == root)
        m++;
    self->first[i] = m;
    if (lists->core[i] > best->weight)
        return;
    for (; m < lists->k && neighbour[m] != SLOT_NONE && d2[m] <= best->weight; m++)
        if (listed_edge(self, i, m, &edge) && edge_compare(&edge, best) < 0)
            *best = edge;
}

/* All that the row knows, for both ends. */
static void offer_both(boruvka_t *self, uint32_t i)
{
    const neighbour_lists_t *lists = &self->lists;
    const uint32_t *neighbour = lists->neighbour + (size_t)i * lists->k;
    edge_t edge;
    for (uint32_t m = self->first[i]; m < lists->k && neighbour[m] != SLOT_NONE; m++)
        if (listed_edge(self, i, m, &edge))
            offer(self, &edge);
}

/* An edge inside one component never matters again. */
static void drop_inner(boruvka_t *self)
{
    size_t kept = 0;
    for (size_t i = 0; i < self->found_count; i++) {
        edge_t edge = self->found[i];
        if (self->parent[edge.a] != self->parent[edge.b])
            self->found[kept++] = edge;
    }
    self->found_count = kept;
}

static void find_best(boruvka_t *self)
{
    uint32_t n = self->lists.count;
    flatten(self);
    drop_inner(self);
    for (uint32_t i = 0; i < n; i++) {
        self->best[i] = edge_none();
        self->certified[i] = self->parent[i] == i;
    }
    for (size_t i = 0; i < self->found_count; i++)
        offer(self, &self->found[i]);
    for (uint32_t i = 0; i < n; i++)
        offer_own(self, i);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t root = self->parent[i];
        if (edge_compare(&self->best[root], &self->bound[i]) > 0)
            self->certified[root] = 0;
    }
}

/* The floors of searches are low when every known edge counts for both of its ends. */
static void lower_floors(boruvka_t *self)
{
    for (uint32_t i = 0; i < self->lists.count; i++)
        offer_both(self, i);
}

static size_t merge_certified(boruvka_t *self)
{
    size_t merged = 0;
    for (uint32_t root = 0; root < self->lists.count; root++) {
        if (!self->certified[root])
            continue;
        edge_t edge = self->best[root];
        if (isinf(edge.weight) || !disjoint_set_join(self->parent, edge.a, edge.b))
            continue;
        self->forest[self->forest_count++] = edge;
        merged++;
    }
    return merged;
}

/* What every component knows, from both ends of its edges, is enough. */
static void trust_known(boruvka_t *self)
{
    find_best(self);
    lower_floors(self);
    for (uint32_t i = 0; i < self->lists.count; i++)
        self->certified[i] = self->parent[i] == i;
}

static int compare_contenders(const void *x, const void *y)
{
    const contender_t *a = x, *b = y;
    if (a->blocking != b->blocking)
        return a->blocking < b->blocking ? -1 : 1;
    return a->root < b->root ? -1 : a->root > b->root;
}

static int blocks(const boruvka_t *self, uint32_t slot)
{
    return edge_compare(&self->best[self->parent[slot]], &self->bound[slot]) > 0;
}

/* How many of the contenders, those with the fewest rows first: half of them, and more as long as
 * their rows are searched in less time than another round takes. Never the last: it has most of the
 * rows, and what the others find certifies it. */
static uint32_t searchers(const boruvka_t *self, uint32_t open, uint32_t size)
{
    uint32_t chosen = open / 2;
    uint64_t pairs = 0;
    if (self->presuming)
        return open > 0 ? open - 1 : 0;
    for (uint32_t i = 0; i + 1 < open; i++) {
        pairs += (uint64_t)self->contenders[i].blocking * size;
        if (i >= chosen && pairs <= PAIRS_A_ROUND)
            chosen = i + 1;
    }
    return chosen;
}

/* Which components of [begin, end) search: of those that cannot be certified at least the half that
 * the fewest rows stand in the way of. Each joins something in the next round, so a fixed share of
 * the components goes with every round; the large ones, with most of the rows, usually come out of
 * it certified by what the small ones found. One alone has nobody left to join, else its neighbour
 * would not be done. */
static void choose_searchers(boruvka_t *self, uint32_t begin, uint32_t end)
{
    uint32_t open = 0;
    for (uint32_t root = begin; root < end; root++)
        self->blocking[root] = self->skipped[root] = self->size[root] = 0;
    for (uint32_t i = begin; i < end; i++) {
        self->blocking[self->parent[i]] += blocks(self, i);
        self->size[self->parent[i]]++;
    }
    for (uint32_t root = begin; root < end; root++)
        if (self->blocking[root] > 0)
            self->contenders[open++] = (contender_t){self->blocking[root], root};
    qsort(self->contenders, open, sizeof *self->contenders, compare_contenders);
    for (uint32_t i = searchers(self, open, end - begin); i < open; i++)
        self->blocking[self->contenders[i].root] = 0;
}

/* Is it the row's turn? Any edge of a component will do to begin with, so some of its rows search,
 * evenly spread; those who found nothing have no bound any more, and as many again come next. */
static int is_chosen(boruvka_t *self, uint32_t root)
{
    uint32_t blocking = self->blocking[root], done = self->size[root] - blocking;
    uint32_t wanted = done > SEARCHERS_LEAST ? done : SEARCHERS_LEAST;
    uint32_t every = self->presuming ? (blocking + wanted - 1) / wanted : 1;
    return self->skipped[root]++ % every == 0;
}

static void collect_queries(boruvka_t *self)
{
    const neighbour_lists_t *lists = &self->lists;
    self->query_count = 0;
    for (uint32_t p = 0; p < lists->partition_count; p++) {
        uint32_t begin = lists->partition_begin[p], end = lists->partition_begin[p + 1];
        choose_searchers(self, begin, end);
        for (uint32_t i = begin; i < end; i++) {
            uint32_t root = self->parent[i];
            if (self->blocking[root] == 0 || !blocks(self, i) || !is_chosen(self, root))
                continue;
            self->query[self->query_count] = i;
            self->floor[self->query_count++] = self->best[root].weight;
        }
    }
}

void boruvka_presume(boruvka_t *self) { self->presuming = 1; }

/* Passes, until one joins nothing. */
static int pass(boruvka_t *self, void (*find)(boruvka_t *), const atomic_int *stop, error_t *error)
{
    do {
        if (stop != NULL && atomic_load(stop))
            return error_set(error, ERR_CANCELLED, "the merge was stopped");
        find(self);
    } while (merge_certified(self) > 0);
    return OK;
}

int boruvka_run(boruvka_t *self, const atomic_int *stop, error_t *error)
{
    int code = pass(self, find_best, stop, error);
    self->certified_count = self->forest_count;
    if (code == OK && self->presuming)
        code = pass(self, trust_known, stop, error);
    if (code != OK)
        return code;
    lower_floors(self);
    collect_queries(self);
    return OK;
}

boruvka_queries_t boruvka_queries(const boruvka_t *self)
{
    return (boruvka_queries_t){self->query_count, self->query, self->floor};
}

const uint32_t *boruvka_component(const boruvka_t *self) { return self->parent; }

int boruvka_learn(boruvka_t *self, size_t query, const edge_t *edge, error_t *error)
{
    if (query >= self->query_count)
        return error_set(error, ERR_SHAPE, "there is no query %zu", query);
    uint32_t slot = self->query[query];
    if (edge == NULL) {
        self->bound[slot] = (edge_t){self->floor[query], UINT32_MAX, UINT32_MAX};
        return OK;
    }
    if (!edge_in_partition(self, edge) || (edge->a != slot && edge->b != slot))
        return error_set(error, ERR_SHAPE, "the edge (%u, %u) is not one of slot %u", edge->a,
                         edge->b, slot);
    if (self->parent[edge->a] == self->parent[edge->b])
        return error_set(error, ERR_SHAPE, "the edge (%u, %u) does not leave its component",
                         edge->a, edge->b);
    if (!(edge->weight >= 0 && edge->weight <= self->floor[query] && edge->weight < INFINITY))
        return error_set(error, ERR_SHAPE, "the edge (%u, %u) weighs %g, over its floor of %g",
                         edge->a, edge->b, (double)edge->weight, (double)self->floor[query]);
    if (!add_found(self, edge))
        return error_set(error, ERR_MEMORY, "out of memory for edges");
    if (edge_compare(edge, &self->bound[slot]) > 0)
        self->bound[slot] = *edge;
    return OK;
}

size_t boruvka_certified(const boruvka_t *self) { return self->certified_count; }

boruvka_state_t boruvka_state(const boruvka_t *self)
{
    return (boruvka_state_t){self->forest, self->forest_count, self->found, self->found_count,
                             self->bound};
}
