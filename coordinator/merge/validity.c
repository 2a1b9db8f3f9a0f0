#include "coordinator/merge/validity.h"

#include "common/graph/disjoint_set.h"

#include <math.h>
#include <stdlib.h>

#define NOBODY (-1)  /* a component without a member of any cluster */
#define SEVERAL (-2) /* members of two clusters or more: all of those have met another */

typedef struct {
    uint32_t *parent;
    int32_t *who; /* by the representative of a component: its only cluster, or one of the above */
    double *sparseness;
    double *separation;
} validity_t;

static int prepare(validity_t *self, const clustering_t *clustering, error_t *error)
{
    size_t slots = (size_t)clustering->count + 1, clusters = (size_t)clustering->cluster_count + 1;
    self->parent = malloc(slots * sizeof *self->parent);
    self->who = calloc(slots, sizeof *self->who);
    self->sparseness = calloc(clusters, sizeof *self->sparseness);
    self->separation = calloc(clusters, sizeof *self->separation);
    if (!self->parent || !self->who || !self->sparseness || !self->separation)
        return error_set(error, ERR_MEMORY, "out of memory to measure %u clusters",
                         clustering->cluster_count);
    disjoint_set_init(self->parent, clustering->count);
    for (uint32_t i = 0; i < clustering->count; i++)
        self->who[i] = clustering->label[i] < 0 ? NOBODY : clustering->label[i];
    for (uint32_t c = 0; c < clustering->cluster_count; c++)
        self->separation[c] = INFINITY;
    return OK;
}

static void release(validity_t *self)
{
    free(self->parent);
    free(self->who);
    free(self->sparseness);
    free(self->separation);
}

/* Edges rise, so the first other cluster that is met is the nearest. */
static void meet(validity_t *self, int32_t cluster, double distance)
{
    if (cluster >= 0 && self->separation[cluster] == INFINITY)
        self->separation[cluster] = distance;
}

/* Two components become one at that distance. A cluster's members are all together before any of
 * them meets another cluster: each cluster is a component of the forest cut at its birth. */
static int32_t joined(validity_t *self, int32_t x, int32_t y, double distance)
{
    if (x == NOBODY || y == NOBODY)
        return x == NOBODY ? y : x;
    if (x == y && x >= 0) {
        self->sparseness[x] = distance;
        return x;
    }
    meet(self, x, distance);
    meet(self, y, distance);
    return SEVERAL;
}

static void add_edge(validity_t *self, const edge_t *edge, metric_t metric)
{
    uint32_t x = disjoint_set_find(self->parent, edge->a);
    uint32_t y = disjoint_set_find(self->parent, edge->b);
    if (!disjoint_set_join(self->parent, x, y))
        return;
    int32_t who = joined(self, self->who[x], self->who[y], metric_distance(metric, edge->weight));
    self->who[disjoint_set_find(self->parent, x)] = who;
}

int validity_measure(const edge_t *forest, size_t edges, metric_t metric,
                     const clustering_t *clustering, double *validity, double *mean, error_t *error)
{
    validity_t self = {0};
    double sum = 0;
    int code = prepare(&self, clustering, error);
    for (size_t i = 0; i < edges && code == OK; i++)
        add_edge(&self, &forest[i], metric);
    for (uint32_t c = 0; c < clustering->cluster_count && code == OK; c++) {
        double separation = self.separation[c];
        validity[c] = separation > 0 ? 1 - self.sparseness[c] / separation : 0;
        sum += validity[c] * clustering->cluster_size[c];
    }
    *mean = clustering->count > 0 ? sum / clustering->count : 0;
    release(&self);
    return code;
}
