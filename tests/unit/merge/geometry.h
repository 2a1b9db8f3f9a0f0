/* geometry.h - made matrices of d2, and the slow, plain counterparts of the merge code over them.
 */
#ifndef STAGE4_TESTS_UNIT_MERGE_GEOMETRY_H
#define STAGE4_TESTS_UNIT_MERGE_GEOMETRY_H

#include "coordinator/merge/boruvka.h"
#include "proto/payload.h"
#include "tests/lib/random.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* One matrix over all slots; INFINITY between partitions and outside the window. */
typedef struct {
    uint32_t count;
    float *d2;
    uint32_t partition_count;
    uint32_t partition_begin[9];
} geometry_t;

static inline float geometry_d2(const geometry_t *self, uint32_t i, uint32_t j)
{
    return self->d2[(size_t)i * self->count + j];
}

static inline void geometry_set(geometry_t *self, uint32_t i, uint32_t j, float d2)
{
    self->d2[(size_t)i * self->count + j] = d2;
    self->d2[(size_t)j * self->count + i] = d2;
}

/* Everything INFINITY apart, one partition. */
static inline geometry_t geometry_new(uint32_t count)
{
    geometry_t self = {.count = count, .partition_count = 1, .partition_begin = {0, count}};
    self.d2 = malloc((size_t)count * count * sizeof *self.d2);
    for (size_t i = 0; i < (size_t)count * count; i++)
        self.d2[i] = INFINITY;
    return self;
}

static inline void geometry_clear(geometry_t *self) { free(self->d2); }

/* Points of a small grid of `dimensions` axes, `steps` values each: many equal distances. */
static inline geometry_t geometry_grid(random_t *random, uint32_t count, uint32_t dimensions,
                                       uint32_t steps, float scale)
{
    geometry_t self = geometry_new(count);
    uint32_t *place = malloc((size_t)count * dimensions * sizeof *place);
    for (uint32_t i = 0; i < count * dimensions; i++)
        place[i] = random_below(random, steps);
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t j = i + 1; j < count; j++) {
            float sum = 0;
            for (uint32_t d = 0; d < dimensions; d++) {
                float step = (float)place[i * dimensions + d] - (float)place[j * dimensions + d];
                sum += step * step;
            }
            geometry_set(&self, i, j, sum * scale);
        }
    free(place);
    return self;
}

/* Cuts the pairs between partitions of random sizes. */
static inline void geometry_divide(geometry_t *self, random_t *random, uint32_t partitions)
{
    self->partition_count = partitions;
    for (uint32_t p = 1; p < partitions; p++)
        self->partition_begin[p] = random_below(random, self->count + 1);
    self->partition_begin[partitions] = self->count;
    for (uint32_t p = 1; p < partitions; p++) /* insertion sort */
        for (uint32_t q = p; q > 1 && self->partition_begin[q - 1] > self->partition_begin[q];
             q--) {
            uint32_t kept = self->partition_begin[q];
            self->partition_begin[q] = self->partition_begin[q - 1];
            self->partition_begin[q - 1] = kept;
        }
    for (uint32_t p = 1; p < partitions; p++)
        for (uint32_t i = 0; i < self->partition_begin[p]; i++)
            for (uint32_t j = self->partition_begin[p]; j < self->count; j++)
                geometry_set(self, i, j, INFINITY);
}

/* Only slots whose numbers are at most `band` apart may meet: a window over sorted days. */
static inline void geometry_window(geometry_t *self, uint32_t band)
{
    for (uint32_t i = 0; i < self->count; i++)
        for (uint32_t j = i + band + 1; j < self->count; j++)
            geometry_set(self, i, j, INFINITY);
}

/* ---- lists ---- */

typedef struct {
    neighbour_lists_t lists;
    uint32_t *neighbour;
    float *d2;
    float *core;
    float *radius;
} geometry_lists_t;

static inline int compare_edges_plain(const void *x, const void *y) { return edge_compare(x, y); }

/* min_samples - 1 <= k. With `within`, every other row's list ends at a radius beyond its core. */
static inline geometry_lists_t geometry_lists_within(const geometry_t *self, uint32_t k,
                                                     uint32_t min_samples, int within)
{
    uint32_t n = self->count;
    geometry_lists_t out = {.neighbour = malloc(((size_t)n * k + 1) * sizeof(uint32_t)),
                            .d2 = malloc(((size_t)n * k + 1) * sizeof(float)),
                            .core = malloc(((size_t)n + 1) * sizeof(float)),
                            .radius = malloc(((size_t)n + 1) * sizeof(float))};
    edge_t *row = malloc(((size_t)n + 1) * sizeof *row);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t found = 0;
        for (uint32_t j = 0; j < n; j++)
            if (j != i && geometry_d2(self, i, j) < INFINITY)
                row[found++] = (edge_t){geometry_d2(self, i, j), j, 0};
        qsort(row, found, sizeof *row, compare_edges_plain);
        uint32_t last = min_samples + i % 3;
        out.radius[i] = within && i % 2 && last < found ? row[last].weight : INFINITY;
        while (found > 0 && row[found - 1].weight > out.radius[i])
            found--;
        for (uint32_t m = 0; m < k; m++) {
            out.neighbour[(size_t)i * k + m] = m < found ? row[m].a : SLOT_NONE;
            out.d2[(size_t)i * k + m] = m < found ? row[m].weight : INFINITY;
        }
        out.core[i] = min_samples < 2           ? 0
                      : min_samples - 2 < found ? row[min_samples - 2].weight
                                                : INFINITY;
    }
    free(row);
    out.lists = (neighbour_lists_t){n,
                                    k,
                                    out.neighbour,
                                    out.d2,
                                    out.core,
                                    within ? out.radius : NULL,
                                    self->partition_count,
                                    self->partition_begin};
    return out;
}

static inline geometry_lists_t geometry_lists(const geometry_t *self, uint32_t k,
                                              uint32_t min_samples)
{
    return geometry_lists_within(self, k, min_samples, 0);
}

static inline void geometry_lists_clear(geometry_lists_t *self)
{
    free(self->neighbour);
    free(self->d2);
    free(self->core);
    free(self->radius);
}

static inline edge_t geometry_edge(const geometry_t *self, const float *core, uint32_t i,
                                   uint32_t j)
{
    return edge_between(i, j, fmaxf(geometry_d2(self, i, j), fmaxf(core[i], core[j])));
}

/* ---- the slow ways ---- */

/* Kruskal over all pairs in the total order; sorted. The caller's. */
static inline edge_t *geometry_forest(const geometry_t *self, const float *core, size_t *count)
{
    uint32_t n = self->count;
    edge_t *all = malloc(((size_t)n * n + 1) * sizeof *all);
    uint32_t *set = malloc(((size_t)n + 1) * sizeof *set);
    size_t pairs = 0;
    *count = 0;
    for (uint32_t i = 0; i < n; i++) {
        set[i] = i;
        for (uint32_t j = i + 1; j < n; j++) {
            edge_t edge = geometry_edge(self, core, i, j);
            if (edge.weight < INFINITY)
                all[pairs++] = edge;
        }
    }
    qsort(all, pairs, sizeof *all, compare_edges_plain);
    for (size_t e = 0; e < pairs; e++) {
        uint32_t from = set[all[e].a], to = set[all[e].b];
        if (from == to)
            continue;
        all[(*count)++] = all[e];
        for (uint32_t i = 0; i < n; i++)
            if (set[i] == from)
                set[i] = to;
    }
    free(set);
    return all;
}

/* What a reach task answers for one row; 0 when nothing is at or below the floor. */
static inline int geometry_reach(const geometry_t *self, const float *core,
                                 const uint32_t *component, uint32_t slot, float floor, edge_t *out)
{
    *out = edge_none();
    for (uint32_t j = 0; j < self->count; j++) {
        if (component[j] == component[slot])
            continue;
        edge_t edge = geometry_edge(self, core, slot, j);
        if (edge.weight < INFINITY && edge.weight <= floor && edge_compare(&edge, out) < 0)
            *out = edge;
    }
    return out->weight < INFINITY;
}

#endif
