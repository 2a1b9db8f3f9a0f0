#include "common/graph/bottleneck.h"

#include "common/graph/disjoint_set.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK 32u
#define APART UINT32_MAX /* in a gap: no edge */

/* Numbers of edges take the edges' place: they rise with them. Gap p is between positions p, p + 1. */
struct bottleneck {
    uint32_t nodes;
    uint32_t blocks;
    edge_t *edges;
    uint32_t *order;
    uint32_t *position;
    uint32_t *gap;
    uint32_t *from_left;  /* the largest gap from the beginning of its block up to it */
    uint32_t *from_right; /* and from it to the end of its block */
    uint32_t *table;      /* table[level * blocks + b]: of 2^level blocks from b on */
    uint32_t levels;
};

/* The parts while they grow, by their smallest node: a list from head to tail. */
typedef struct {
    uint32_t *parent;
    uint32_t *next; /* by node; APART at a tail */
    uint32_t *gap;  /* by node: behind it */
    uint32_t *head;
    uint32_t *tail;
    uint32_t *size;
} parts_t;

static uint32_t larger(uint32_t x, uint32_t y) { return x > y ? x : y; }

static int parts_init(parts_t *self, uint32_t nodes, error_t *error)
{
    uint32_t *room = malloc((6 * (size_t)nodes + 1) * sizeof *room);
    if (room == NULL)
        return error_set(error, ERR_MEMORY, "out of memory to order %u rows", nodes);
    *self = (parts_t){room,
                      room + nodes,
                      room + 2 * (size_t)nodes,
                      room + 3 * (size_t)nodes,
                      room + 4 * (size_t)nodes,
                      room + 5 * (size_t)nodes};
    disjoint_set_init(self->parent, nodes);
    for (uint32_t i = 0; i < nodes; i++) {
        self->next[i] = self->gap[i] = APART;
        self->head[i] = self->tail[i] = i;
        self->size[i] = 1;
    }
    return OK;
}

/* 0 when both are of one part already. */
static int parts_join(parts_t *self, const edge_t *edge, uint32_t number)
{
    uint32_t x = disjoint_set_find(self->parent, edge->a);
    uint32_t y = disjoint_set_find(self->parent, edge->b);
    if (x == y)
        return 0;
    if (self->size[x] < self->size[y] || (y < x && self->size[x] == self->size[y])) {
        uint32_t other = x;
        x = y;
        y = other;
    }
    self->next[self->tail[x]] = self->head[y];
    self->gap[self->tail[x]] = number;
    uint32_t head = self->head[x], tail = self->tail[y], size = self->size[x] + self->size[y];
    disjoint_set_join(self->parent, x, y);
    uint32_t root = x < y ? x : y;
    self->head[root] = head;
    self->tail[root] = tail;
    self->size[root] = size;
    return 1;
}

static int join_all(parts_t *parts, uint32_t nodes, const edge_t *edges, size_t count,
                    error_t *error)
{
    for (size_t i = 0; i < count; i++) {
        const edge_t *edge = &edges[i];
        if (!(edge->a < edge->b && edge->b < nodes))
            return error_set(error, ERR_SHAPE, "edge %zu joins %u and %u of %u rows", i, edge->a,
                             edge->b, nodes);
        if (!(edge->weight >= 0) || (i > 0 && edge_compare(&edges[i - 1], edge) >= 0))
            return error_set(error, ERR_SHAPE, "edge %zu is not behind the one before it", i);
        if (!parts_join(parts, edge, (uint32_t)i))
            return error_set(error, ERR_SHAPE, "edge %zu closes a circle", i);
    }
    return OK;
}

/* Roots are smallest nodes, so parts follow each other by these. */
static void lay_out(bottleneck_t *self, const parts_t *parts)
{
    uint32_t place = 0;
    for (uint32_t root = 0; root < self->nodes; root++) {
        if (parts->parent[root] != root)
            continue;
        for (uint32_t node = parts->head[root]; node != APART; node = parts->next[node]) {
            self->order[place] = node;
            self->position[node] = place;
            self->gap[place++] = parts->gap[node];
        }
    }
}

static void fill_blocks(bottleneck_t *self)
{
    const uint32_t *gap = self->gap;
    for (uint32_t i = 0; i < self->nodes; i++)
        self->from_left[i] = i % BLOCK ? larger(self->from_left[i - 1], gap[i]) : gap[i];
    for (uint32_t i = self->nodes; i-- > 0;) {
        int last = i % BLOCK == BLOCK - 1 || i + 1 == self->nodes;
        self->from_right[i] = last ? gap[i] : larger(gap[i], self->from_right[i + 1]);
    }
}

static void fill_table(bottleneck_t *self)
{
    uint32_t blocks = self->blocks;
    for (uint32_t b = 0; b < blocks; b++)
        self->table[b] = self->from_right[(size_t)b * BLOCK];
    for (uint32_t level = 1; level < self->levels; level++) {
        const uint32_t *half = self->table + (size_t)(level - 1) * blocks;
        uint32_t step = 1u << (level - 1);
        for (uint32_t b = 0; b < blocks; b++)
            self->table[(size_t)level * blocks + b] =
                b + step < blocks ? larger(half[b], half[b + step]) : half[b];
    }
}

static int allocate(bottleneck_t *self, size_t count, error_t *error)
{
    size_t n = (size_t)self->nodes + 1;
    self->blocks = self->nodes / BLOCK + 1;
    self->levels = 1;
    while (self->blocks >> self->levels)
        self->levels++;
    self->edges = malloc((count + 1) * sizeof *self->edges);
    self->order = malloc(n * sizeof *self->order);
    self->position = malloc(n * sizeof *self->position);
    self->gap = calloc(n, sizeof *self->gap);
    self->from_left = malloc(n * sizeof *self->from_left);
    self->from_right = malloc((n + BLOCK) * sizeof *self->from_right);
    self->table = malloc((size_t)self->levels * self->blocks * sizeof *self->table);
    return self->edges && self->order && self->position && self->gap && self->from_left &&
                   self->from_right && self->table
               ? OK
               : error_set(error, ERR_MEMORY, "out of memory for a forest of %u rows", self->nodes);
}

int bottleneck_new(uint32_t nodes, const edge_t *edges, size_t count, bottleneck_t **out,
                   error_t *error)
{
    parts_t parts = {0};
    bottleneck_t *self = calloc(1, sizeof *self);
    *out = self;
    if (self == NULL)
        return error_set(error, ERR_MEMORY, "out of memory for a forest");
    self->nodes = nodes;
    int code = allocate(self, count, error);
    if (code == OK)
        code = parts_init(&parts, nodes, error);
    if (code == OK)
        code = join_all(&parts, nodes, edges, count, error);
    if (code == OK) {
        if (count > 0)
            memcpy(self->edges, edges, count * sizeof *edges);
        lay_out(self, &parts);
        fill_blocks(self);
        /* a last block without a gap has nothing in it */
        self->from_right[nodes] = 0;
        fill_table(self);
    }
    free(parts.parent);
    if (code != OK)
        bottleneck_destroy(out);
    return code;
}

void bottleneck_destroy(bottleneck_t **self_p)
{
    bottleneck_t *self = *self_p;
    if (self == NULL)
        return;
    free(self->edges);
    free(self->order);
    free(self->position);
    free(self->gap);
    free(self->from_left);
    free(self->from_right);
    free(self->table);
    free(self);
    *self_p = NULL;
}

const uint32_t *bottleneck_order(const bottleneck_t *self) { return self->order; }
const uint32_t *bottleneck_positions(const bottleneck_t *self) { return self->position; }

static uint32_t of_blocks(const bottleneck_t *self, uint32_t begin, uint32_t end)
{
    uint32_t level = 31 - (uint32_t)__builtin_clz(end - begin);
    const uint32_t *row = self->table + (size_t)level * self->blocks;
    return larger(row[begin], row[end - (1u << level)]);
}

/* Of the gaps from `first` to `last`, both in it. */
static uint32_t largest_gap(const bottleneck_t *self, uint32_t first, uint32_t last)
{
    uint32_t low = first / BLOCK, high = last / BLOCK, most = 0;
    if (low == high) {
        for (uint32_t i = first; i <= last; i++)
            most = larger(most, self->gap[i]);
        return most;
    }
    most = larger(self->from_right[first], self->from_left[last]);
    return low + 1 < high ? larger(most, of_blocks(self, low + 1, high)) : most;
}

edge_t bottleneck_between(const bottleneck_t *self, uint32_t from, uint32_t to)
{
    uint32_t number = largest_gap(self, from, to - 1);
    return number == APART ? edge_none() : self->edges[number];
}

void bottleneck_before(const bottleneck_t *self, uint32_t *begin, float *heaviest)
{
    for (uint32_t i = 0; i < self->nodes; i++) {
        if (i == 0 || self->gap[i - 1] == APART) {
            begin[i] = i;
            heaviest[i] = -1;
            continue;
        }
        float weight = self->edges[self->gap[i - 1]].weight;
        begin[i] = begin[i - 1];
        heaviest[i] = weight > heaviest[i - 1] ? weight : heaviest[i - 1];
    }
}
