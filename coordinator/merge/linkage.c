#include "coordinator/merge/linkage.h"

#include "common/graph/disjoint_set.h"

#include <math.h>
#include <stdlib.h>

/* A set is named by its smallest leaf, its representative in the union-find. */
typedef struct {
    linkage_t *tree;
    uint32_t *parent;  /* union-find over leaves */
    uint32_t *node_of; /* by representative: the node on top of the set */
    uint32_t *fresh;   /* by representative: the node that the group under way makes */
    uint32_t *count;   /* by inner node: its children, then where the next one goes */
    uint32_t *mark;    /* by representative: the last group that touched it */
    uint32_t *touched; /* sets that the group under way joins, by their old names */
    uint32_t touched_count;
    uint32_t group;
} builder_t;

static void builder_clear(builder_t *self)
{
    free(self->parent);
    free(self->node_of);
    free(self->fresh);
    free(self->count);
    free(self->mark);
    free(self->touched);
}

static int builder_init(builder_t *self, linkage_t *tree)
{
    size_t n = tree->leaf_count;
    *self = (builder_t){.tree = tree};
    self->parent = malloc(n * sizeof *self->parent);
    self->node_of = malloc(n * sizeof *self->node_of);
    self->fresh = malloc(n * sizeof *self->fresh);
    self->count = malloc(n * sizeof *self->count);
    self->mark = calloc(n, sizeof *self->mark);
    self->touched = malloc(n * sizeof *self->touched);
    tree->distance = malloc(n * sizeof *tree->distance);
    tree->size = malloc(n * sizeof *tree->size);
    tree->child_begin = calloc(n + 1, sizeof *tree->child_begin);
    tree->child = malloc(2 * n * sizeof *tree->child);
    if (!self->parent || !self->node_of || !self->fresh || !self->count || !self->mark ||
        !self->touched || !tree->distance || !tree->size || !tree->child_begin || !tree->child)
        return 0;
    disjoint_set_init(self->parent, tree->leaf_count);
    disjoint_set_init(self->node_of, tree->leaf_count);
    return 1;
}

static void touch(builder_t *self, uint32_t leaf)
{
    uint32_t set = disjoint_set_find(self->parent, leaf);
    if (self->mark[set] == self->group)
        return;
    self->mark[set] = self->group;
    self->touched[self->touched_count++] = set;
}

static int compare_u32(const void *x, const void *y)
{
    uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;
    return a < b ? -1 : a > b;
}

/* Opens one node a set that the group has made, and counts its children. `touched` holds the joined
 * sets by their old names: the smallest of them is the new name, and comes first. */
static void open_nodes(builder_t *self, double distance)
{
    linkage_t *tree = self->tree;
    for (uint32_t t = 0; t < self->touched_count; t++) {
        uint32_t set = disjoint_set_find(self->parent, self->touched[t]);
        if (set == self->touched[t]) {
            self->fresh[set] = tree->node_count;
            self->count[tree->node_count] = 0;
            tree->distance[tree->node_count] = distance;
            tree->size[tree->node_count++] = 0;
        }
        self->count[self->fresh[set]]++;
        tree->size[self->fresh[set]] += linkage_size(tree, self->node_of[self->touched[t]]);
    }
}

static void close_group(builder_t *self, double distance)
{
    linkage_t *tree = self->tree;
    uint32_t first_node = tree->node_count;
    qsort(self->touched, self->touched_count, sizeof *self->touched, compare_u32);
    open_nodes(self, distance);
    for (uint32_t i = first_node; i < tree->node_count; i++) {
        tree->child_begin[i + 1] = tree->child_begin[i] + self->count[i];
        self->count[i] = tree->child_begin[i];
    }
    for (uint32_t t = 0; t < self->touched_count; t++) {
        uint32_t old = self->touched[t], set = disjoint_set_find(self->parent, old);
        tree->child[self->count[self->fresh[set]]++] = self->node_of[old];
    }
    for (uint32_t t = 0; t < self->touched_count; t++) {
        uint32_t set = self->touched[t];
        if (disjoint_set_find(self->parent, set) == set)
            self->node_of[set] = tree->leaf_count + self->fresh[set];
    }
    self->touched_count = 0;
}

static int join_group(builder_t *self, const edge_t *edges, size_t count, uint32_t first,
                      error_t *error)
{
    uint32_t leaves = self->tree->leaf_count;
    self->group++;
    for (size_t i = 0; i < count; i++) {
        if (edges[i].a < first || edges[i].b < first || edges[i].a - first >= leaves ||
            edges[i].b - first >= leaves)
            return error_set(error, ERR_SHAPE, "the edge (%u, %u) leaves its partition", edges[i].a,
                             edges[i].b);
        touch(self, edges[i].a - first);
        touch(self, edges[i].b - first);
    }
    for (size_t i = 0; i < count; i++)
        if (!disjoint_set_join(self->parent, edges[i].a - first, edges[i].b - first))
            return error_set(error, ERR_SHAPE, "the edge (%u, %u) closes a circle", edges[i].a,
                             edges[i].b);
    return OK;
}

static void join_forest(builder_t *self)
{
    uint32_t leaves = self->tree->leaf_count;
    self->group++;
    for (uint32_t i = 0; i < leaves; i++)
        touch(self, i);
    if (self->touched_count > 1) {
        for (uint32_t t = 1; t < self->touched_count; t++)
            disjoint_set_join(self->parent, self->touched[0], self->touched[t]);
        close_group(self, INFINITY);
    }
    self->touched_count = 0;
}

int linkage_build(const edge_t *edges, size_t edge_count, uint32_t first, uint32_t leaf_count,
                  metric_t metric, linkage_t *out, error_t *error)
{
    int code = OK;
    builder_t builder;
    *out = (linkage_t){.leaf_count = leaf_count};
    if (!builder_init(&builder, out)) {
        code = error_set(error, ERR_MEMORY, "out of memory for a tree of %u rows", leaf_count);
        goto fail;
    }
    for (size_t begin = 0, end; begin < edge_count; begin = end) {
        for (end = begin + 1; end < edge_count && edges[end].weight == edges[begin].weight;)
            end++;
        code = join_group(&builder, edges + begin, end - begin, first, error);
        if (code != OK)
            goto fail;
        close_group(&builder, metric_distance(metric, edges[begin].weight));
    }
    join_forest(&builder);
fail:
    builder_clear(&builder);
    if (code != OK)
        linkage_clear(out);
    return code;
}

void linkage_clear(linkage_t *self)
{
    free(self->distance);
    free(self->size);
    free(self->child_begin);
    free(self->child);
    *self = (linkage_t){0};
}

uint32_t linkage_size(const linkage_t *self, uint32_t node)
{
    return node < self->leaf_count ? 1 : self->size[node - self->leaf_count];
}
