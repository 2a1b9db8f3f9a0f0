#include "worker/tasks/nn_chain.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NOT_IN_CHAIN UINT32_MAX

typedef struct {
    double *matrix; /* average linkage: sums over the pairs, which join without rounding */
    size_t *row;    /* (i, j) with i < j stands at row[i] + j */
    linkage_method_t method;
    uint32_t *active; /* names, rising */
    uint32_t active_count;
    double *size;    /* by name, as what sums are divided by */
    double *height;  /* by name: where its parts joined */
    uint32_t *chain; /* names; each is the nearest of the one before */
    uint32_t length;
    uint32_t *place; /* by name: in the chain */
    merge_t *out;
    uint32_t merges;
} chain_t;

typedef struct {
    uint32_t name;
    double distance;
} nearest_t;

static double *entry(const chain_t *self, uint32_t x, uint32_t y)
{
    return self->matrix + (x < y ? self->row[x] + y : self->row[y] + x);
}

/* Names rise, and only what is nearer replaces: equals go to the smaller name. */
static nearest_t nearest_plain(const chain_t *self, uint32_t x)
{
    nearest_t best = {x, INFINITY};
    uint32_t p = 0;
    for (; self->active[p] < x; p++) {
        double distance = self->matrix[self->row[self->active[p]] + x];
        if (distance < best.distance)
            best = (nearest_t){self->active[p], distance};
    }
    const double *row = self->matrix + self->row[x] + x; /* of x itself, and from there on */
    for (p++; p < self->active_count; p++) {
        double distance = row[self->active[p] - x];
        if (distance < best.distance)
            best = (nearest_t){self->active[p], distance};
    }
    return best;
}

static nearest_t nearest_mean(const chain_t *self, uint32_t x)
{
    nearest_t best = {x, INFINITY};
    double size = self->size[x];
    for (uint32_t p = 0; p < self->active_count; p++) {
        uint32_t y = self->active[p];
        if (y == x)
            continue;
        double distance = *entry(self, x, y) / (size * self->size[y]);
        if (distance < best.distance)
            best = (nearest_t){y, distance};
    }
    return best;
}

/* Lance and Williams on squares. Rounding may not bring the whole nearer than its nearer part was,
 * nor as near when the other part was not: the chain rests on that. */
static double ward(const chain_t *self, uint32_t a, uint32_t b, uint32_t c, double joined)
{
    double to_a = *entry(self, a, c), to_b = *entry(self, b, c);
    double size_a = self->size[a], size_b = self->size[b], size_c = self->size[c];
    double least = to_a < to_b ? to_a : to_b;
    double distance = ((size_a + size_c) * to_a + (size_b + size_c) * to_b - size_c * joined) /
                      (size_a + size_b + size_c);
    if (distance > least)
        return distance;
    return to_a == to_b ? least : nextafter(least, INFINITY);
}

static double joined_distance(const chain_t *self, uint32_t a, uint32_t b, uint32_t c,
                              double joined)
{
    double to_a = *entry(self, a, c), to_b = *entry(self, b, c);
    switch (self->method) {
    case LINKAGE_AVERAGE:
        return to_a + to_b;
    case LINKAGE_WARD:
        return ward(self, a, b, c, joined);
    default:
        return to_a > to_b ? to_a : to_b;
    }
}

static void leave_active(chain_t *self, uint32_t name)
{
    uint32_t p = 0;
    while (self->active[p] != name)
        p++;
    memmove(self->active + p, self->active + p + 1,
            (self->active_count - p - 1) * sizeof *self->active);
    self->active_count--;
}

static void join(chain_t *self, uint32_t x, uint32_t y, double distance)
{
    uint32_t a = x < y ? x : y, b = x < y ? y : x;
    for (uint32_t p = 0; p < self->active_count; p++) {
        uint32_t c = self->active[p];
        if (c != a && c != b)
            *entry(self, a, c) = joined_distance(self, a, b, c, distance);
    }
    /* A mean may be rounded below the ones it is made of. */
    double height = fmax(distance, fmax(self->height[a], self->height[b]));
    self->out[self->merges++] = (merge_t){a, b, height};
    self->height[a] = height;
    self->size[a] += self->size[b];
    leave_active(self, b);
}

static void shorten(chain_t *self, uint32_t length)
{
    while (self->length > length)
        self->place[self->chain[--self->length]] = NOT_IN_CHAIN;
}

static void lengthen(chain_t *self, uint32_t name)
{
    self->place[name] = self->length;
    self->chain[self->length++] = name;
}

static void step(chain_t *self)
{
    if (self->length == 0)
        lengthen(self, self->active[0]);
    uint32_t last = self->chain[self->length - 1];
    nearest_t found =
        self->method == LINKAGE_AVERAGE ? nearest_mean(self, last) : nearest_plain(self, last);
    if (found.distance == INFINITY) { /* nothing may join it */
        shorten(self, 0);
        leave_active(self, last);
    } else if (self->place[found.name] == NOT_IN_CHAIN) {
        lengthen(self, found.name);
    } else if (self->place[found.name] + 2 == self->length) {
        shorten(self, self->length - 2);
        join(self, last, found.name, found.distance);
    } else {
        /* Only where sums are rounded: links get shorter from here too, so it ends. */
        shorten(self, self->place[found.name] + 1);
    }
}

static int allocate(chain_t *self, uint32_t count, error_t *error)
{
    size_t n = count;
    self->row = malloc((n + 1) * sizeof *self->row);
    self->active = malloc((n + 1) * sizeof *self->active);
    self->size = malloc((n + 1) * sizeof *self->size);
    self->height = calloc(n + 1, sizeof *self->height);
    self->chain = malloc((n + 1) * sizeof *self->chain);
    self->place = malloc((n + 1) * sizeof *self->place);
    if (!self->row || !self->active || !self->size || !self->height || !self->chain || !self->place)
        return error_set(error, ERR_MEMORY, "no memory for a tree of %u rows", count);
    for (uint32_t i = 0; i < count; i++) {
        self->row[i] = condensed_row(n, i);
        self->active[i] = i;
        self->size[i] = 1;
        self->place[i] = NOT_IN_CHAIN;
    }
    self->active_count = count;
    return OK;
}

int merge_compare(const void *x, const void *y)
{
    const merge_t *m = x, *n = y;
    if (m->distance != n->distance)
        return m->distance < n->distance ? -1 : 1;
    if (m->a != n->a)
        return m->a < n->a ? -1 : 1;
    return m->b < n->b ? -1 : m->b > n->b;
}

int nn_chain(double *matrix, uint32_t count, linkage_method_t method, const atomic_int *stop,
             merge_t *out, uint32_t *merges, error_t *error)
{
    chain_t self = {.matrix = matrix, .method = method, .out = out};
    *merges = 0;
    if (method == LINKAGE_SINGLE)
        return error_set(error, ERR_USAGE, "single linkage needs no matrix");
    int code = allocate(&self, count, error);
    while (!code && self.active_count > 1) {
        step(&self);
        if (stop && atomic_load(stop))
            code = error_set(error, ERR_CANCELLED, "the tree was stopped");
    }
    if (self.merges)
        qsort(out, self.merges, sizeof *out, merge_compare);
    *merges = self.merges;
    free(self.row);
    free(self.active);
    free(self.size);
    free(self.height);
    free(self.chain);
    free(self.place);
    return code;
}
