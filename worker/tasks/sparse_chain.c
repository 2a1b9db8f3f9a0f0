#include "worker/tasks/sparse_chain.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NOT_IN_CHAIN UINT32_MAX

typedef struct {
    uint64_t sum;
    uint32_t name; /* as it was when the entry was made */
} link_t;

/* What a cluster is linked with. After joins a name may stand twice, or be an old one: nearest()
 * puts a row in order when it looks at it. */
typedef struct {
    link_t *links;
    size_t count;
    size_t capacity;
    int owned; /* else inside `block` */
} row_t;

typedef struct {
    uint32_t count;
    link_t *block; /* the rows as they were at first */
    row_t *row;
    uint32_t *parent; /* union-find by smallest name */
    uint8_t *done;    /* joined to another, or linked with nothing */
    uint64_t *size;
    double *height;
    uint64_t *sum;     /* scratch, by name; zeros */
    uint32_t *touched; /* scratch */
    uint32_t *chain;
    uint32_t length;
    uint32_t *place;
    uint32_t first; /* all before it are done */
    merge_t *out;
    uint32_t merges;
} sparse_t;

static uint32_t find(sparse_t *self, uint32_t name)
{
    while (self->parent[name] != name) {
        self->parent[name] = self->parent[self->parent[name]];
        name = self->parent[name];
    }
    return name;
}

typedef struct {
    uint32_t name;
    double mean; /* 0: none */
} nearest_t;

/* One link a cluster, by its present name, none with x itself. */
static size_t gather(sparse_t *self, uint32_t x)
{
    row_t *row = &self->row[x];
    size_t touched = 0;
    for (size_t i = 0; i < row->count; i++) {
        uint32_t name = find(self, row->links[i].name);
        if (name == x || row->links[i].sum == 0)
            continue;
        if (self->sum[name] == 0)
            self->touched[touched++] = name;
        self->sum[name] += row->links[i].sum;
    }
    for (size_t i = 0; i < touched; i++) {
        uint32_t name = self->touched[i];
        row->links[i] = (link_t){self->sum[name], name};
        self->sum[name] = 0;
    }
    row->count = touched;
    return touched;
}

static nearest_t nearest(sparse_t *self, uint32_t x)
{
    nearest_t best = {x, 0};
    size_t count = gather(self, x);
    for (size_t i = 0; i < count; i++) {
        const link_t *link = &self->row[x].links[i];
        double pairs = (double)self->size[x] * (double)self->size[link->name];
        double mean = (double)link->sum / pairs;
        if (mean > best.mean || (mean == best.mean && link->name < best.name))
            best = (nearest_t){link->name, mean};
    }
    return best;
}

/* The links of both into a's row: the shorter list goes to the longer. */
static int join_rows(sparse_t *self, uint32_t a, uint32_t b)
{
    row_t *to = &self->row[a], *from = &self->row[b];
    if (to->count < from->count) {
        row_t swapped = *to;
        *to = *from;
        *from = swapped;
    }
    size_t count = to->count + from->count;
    if (count > to->capacity) {
        link_t *grown = malloc((count + 1) * sizeof *grown);
        if (!grown)
            return 0;
        memcpy(grown, to->links, to->count * sizeof *grown);
        if (to->owned)
            free(to->links);
        to->links = grown;
        to->capacity = count;
        to->owned = 1;
    }
    if (from->count)
        memcpy(to->links + to->count, from->links, from->count * sizeof *from->links);
    to->count = count;
    if (from->owned)
        free(from->links);
    *from = (row_t){0};
    return 1;
}

static int join(sparse_t *self, uint32_t x, uint32_t y, double mean)
{
    uint32_t a = x < y ? x : y, b = x < y ? y : x;
    double distance = 1 - mean / (double)SPARSE_ONE;
    /* A mean may be rounded above the ones it is made of. */
    double height = fmax(distance, fmax(self->height[a], self->height[b]));
    self->out[self->merges++] = (merge_t){a, b, height};
    self->height[a] = height;
    self->size[a] += self->size[b];
    self->parent[b] = a;
    self->done[b] = 1;
    return join_rows(self, a, b);
}

static void shorten(sparse_t *self, uint32_t length)
{
    while (self->length > length)
        self->place[self->chain[--self->length]] = NOT_IN_CHAIN;
}

static void lengthen(sparse_t *self, uint32_t name)
{
    self->place[name] = self->length;
    self->chain[self->length++] = name;
}

static int step(sparse_t *self)
{
    if (self->length == 0)
        lengthen(self, self->first);
    uint32_t last = self->chain[self->length - 1];
    nearest_t found = nearest(self, last);
    if (found.mean <= 0) {
        shorten(self, 0);
        self->done[last] = 1;
    } else if (self->place[found.name] == NOT_IN_CHAIN) {
        lengthen(self, found.name);
    } else if (self->place[found.name] + 2 == self->length) {
        shorten(self, self->length - 2);
        return join(self, last, found.name, found.mean);
    } else {
        shorten(self, self->place[found.name] + 1); /* only where means are rounded (nn_chain.c) */
    }
    return 1;
}

/* Rows side by side in one block, pairs in both directions. */
static void fill_rows(sparse_t *self, const sparse_pair_t *pairs, size_t pair_count)
{
    link_t *next = self->block;
    for (size_t i = 0; i < pair_count; i++) {
        self->row[pairs[i].a].capacity++;
        self->row[pairs[i].b].capacity++;
    }
    for (uint32_t i = 0; i < self->count; i++) {
        self->row[i].links = next;
        next += self->row[i].capacity;
    }
    for (size_t i = 0; i < pair_count; i++) {
        row_t *a = &self->row[pairs[i].a], *b = &self->row[pairs[i].b];
        a->links[a->count++] = (link_t){pairs[i].weight, pairs[i].b};
        b->links[b->count++] = (link_t){pairs[i].weight, pairs[i].a};
    }
}

static int allocate(sparse_t *self, size_t pair_count, error_t *error)
{
    size_t n = (size_t)self->count + 1;
    self->block = malloc((2 * pair_count + 1) * sizeof *self->block);
    self->row = calloc(n, sizeof *self->row);
    self->parent = malloc(n * sizeof *self->parent);
    self->done = calloc(n, sizeof *self->done);
    self->size = malloc(n * sizeof *self->size);
    self->height = calloc(n, sizeof *self->height);
    self->sum = calloc(n, sizeof *self->sum);
    self->touched = malloc(n * sizeof *self->touched);
    self->chain = malloc(n * sizeof *self->chain);
    self->place = malloc(n * sizeof *self->place);
    if (!self->block || !self->row || !self->parent || !self->done || !self->size ||
        !self->height || !self->sum || !self->touched || !self->chain || !self->place)
        return error_set(error, ERR_MEMORY, "no memory for a tree of %u rows and %zu pairs",
                         self->count, pair_count);
    for (uint32_t i = 0; i < self->count; i++) {
        self->parent[i] = i;
        self->size[i] = 1;
        self->place[i] = NOT_IN_CHAIN;
    }
    return OK;
}

static void clear(sparse_t *self)
{
    for (uint32_t i = 0; self->row && i < self->count; i++)
        if (self->row[i].owned)
            free(self->row[i].links);
    free(self->block);
    free(self->row);
    free(self->parent);
    free(self->done);
    free(self->size);
    free(self->height);
    free(self->sum);
    free(self->touched);
    free(self->chain);
    free(self->place);
}

int sparse_chain(const sparse_pair_t *pairs, size_t pair_count, uint32_t count,
                 const atomic_int *stop, merge_t *out, uint32_t *merges, error_t *error)
{
    sparse_t self = {.count = count, .out = out};
    *merges = 0;
    int code = allocate(&self, pair_count, error);
    if (!code)
        fill_rows(&self, pairs, pair_count);
    while (!code) {
        while (self.first < count && self.done[self.first])
            self.first++;
        if (self.first == count)
            break;
        if (!step(&self))
            code = error_set(error, ERR_MEMORY, "no memory for a tree of %u rows", count);
        else if (stop && atomic_load(stop))
            code = error_set(error, ERR_CANCELLED, "the tree was stopped");
    }
    if (!code && self.merges)
        qsort(out, self.merges, sizeof *out, merge_compare);
    *merges = self.merges;
    clear(&self);
    return code;
}
