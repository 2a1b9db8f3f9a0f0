#include "coordinator/merge/condensed_tree.h"

#include <math.h>
#include <stdlib.h>

typedef struct {
    const linkage_t *linkage;
    condensed_tree_t *tree;
    uint32_t min_cluster_size;
    uint32_t *queue; /* inner nodes in the order they are reached */
    uint32_t queue_count;
    uint32_t *cluster_of; /* by inner node, once queued */
    uint32_t *stack;
} condenser_t;

static int allocate(condenser_t *self, condensed_tree_t *tree)
{
    size_t points = tree->point_count;
    /* Each cluster but the root has min_cluster_size points of its own at birth, and every split
     * makes two or more: fewer than 2 n / min_cluster_size clusters, min_cluster_size >= 2. */
    size_t clusters = 2 * points / self->min_cluster_size + 1;
    tree->point_parent = calloc(points, sizeof *tree->point_parent);
    tree->point_lambda = calloc(points, sizeof *tree->point_lambda);
    tree->parent = malloc(clusters * sizeof *tree->parent);
    tree->birth = malloc(clusters * sizeof *tree->birth);
    tree->size = malloc(clusters * sizeof *tree->size);
    tree->death = malloc(clusters * sizeof *tree->death);
    self->queue = malloc(points * sizeof *self->queue);
    self->cluster_of = malloc(points * sizeof *self->cluster_of);
    self->stack = malloc(points * sizeof *self->stack);
    return tree->point_parent && tree->point_lambda && tree->parent && tree->birth && tree->size &&
           tree->death && self->queue && self->cluster_of && self->stack;
}

static uint32_t add_cluster(condensed_tree_t *tree, uint32_t parent, double birth, uint32_t size)
{
    uint32_t cluster = tree->cluster_count++;
    tree->parent[cluster] = parent;
    tree->birth[cluster] = birth;
    tree->size[cluster] = size;
    tree->death[cluster] = 0;
    return cluster;
}

static void reach(condenser_t *self, uint32_t node, uint32_t cluster)
{
    uint32_t inner = node - self->linkage->leaf_count;
    self->cluster_of[inner] = cluster;
    self->queue[self->queue_count++] = inner;
}

/* All leaves below `node` leave `cluster`. */
static void drop(condenser_t *self, uint32_t node, uint32_t cluster, double lambda)
{
    const linkage_t *linkage = self->linkage;
    uint32_t depth = 0;
    self->stack[depth++] = node;
    while (depth > 0) {
        node = self->stack[--depth];
        if (node < linkage->leaf_count) {
            self->tree->point_parent[node] = cluster;
            self->tree->point_lambda[node] = lambda;
            continue;
        }
        node -= linkage->leaf_count;
        for (uint32_t c = linkage->child_begin[node]; c < linkage->child_begin[node + 1]; c++)
            self->stack[depth++] = linkage->child[c];
    }
}

static void condense_node(condenser_t *self, uint32_t inner)
{
    const linkage_t *linkage = self->linkage;
    condensed_tree_t *tree = self->tree;
    uint32_t begin = linkage->child_begin[inner], end = linkage->child_begin[inner + 1];
    uint32_t cluster = self->cluster_of[inner], big = 0;
    double distance = linkage->distance[inner];
    double lambda = distance > 0 ? 1 / distance : INFINITY;
    for (uint32_t c = begin; c < end; c++)
        big += linkage_size(linkage, linkage->child[c]) >= self->min_cluster_size;
    for (uint32_t c = begin; c < end; c++) {
        uint32_t child = linkage->child[c], size = linkage_size(linkage, child);
        if (size < self->min_cluster_size)
            drop(self, child, cluster, lambda);
        else
            reach(self, child, big > 1 ? add_cluster(tree, cluster, lambda, size) : cluster);
    }
    if (lambda > tree->death[cluster]) /* something leaves: a node has at least two children */
        tree->death[cluster] = lambda;
}

int condensed_tree_build(const linkage_t *linkage, uint32_t min_cluster_size, condensed_tree_t *out,
                         error_t *error)
{
    int code = OK;
    condenser_t self = {.linkage = linkage, .tree = out, .min_cluster_size = min_cluster_size};
    *out = (condensed_tree_t){.point_count = linkage->leaf_count};
    if (!allocate(&self, out)) {
        code = error_set(error, ERR_MEMORY, "out of memory to condense a tree of %u rows",
                         linkage->leaf_count);
        goto fail;
    }
    add_cluster(out, CLUSTER_NONE, 0, linkage->leaf_count);
    if (linkage->node_count > 0)
        reach(&self, linkage->leaf_count + linkage->node_count - 1, 0);
    for (uint32_t i = 0; i < self.queue_count; i++)
        condense_node(&self, self.queue[i]);
fail:
    free(self.queue);
    free(self.cluster_of);
    free(self.stack);
    if (code != OK)
        condensed_tree_clear(out);
    return code;
}

void condensed_tree_clear(condensed_tree_t *self)
{
    free(self->point_parent);
    free(self->point_lambda);
    free(self->parent);
    free(self->birth);
    free(self->size);
    free(self->death);
    *self = (condensed_tree_t){0};
}

void condensed_tree_stability(const condensed_tree_t *self, double *stability)
{
    for (uint32_t c = 0; c < self->cluster_count; c++)
        stability[c] = 0;
    for (uint32_t i = 0; i < self->point_count; i++) {
        uint32_t c = self->point_parent[i];
        stability[c] += self->point_lambda[i] - self->birth[c];
    }
    for (uint32_t c = 1; c < self->cluster_count; c++) {
        uint32_t parent = self->parent[c];
        stability[parent] += (self->birth[c] - self->birth[parent]) * self->size[c];
    }
}
