#include "coordinator/merge/dendrogram.h"

#include "common/graph/disjoint_set.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void dendrogram_clear(dendrogram_t *self)
{
    free(self->left);
    free(self->right);
    free(self->size);
    free(self->parent);
    *self = (dendrogram_t){0};
}

static uint32_t node_size(const dendrogram_t *self, uint32_t node)
{
    return node < self->leaf_count ? 1 : self->size[node - self->leaf_count];
}

/* `set` is the union-find over leaves, `top` the node above each representative. */
static int add_merge(dendrogram_t *self, uint32_t m, uint32_t a, uint32_t b, uint32_t *set,
                     uint32_t *top, error_t *error)
{
    if (a >= self->leaf_count || b >= self->leaf_count)
        return error_set(error, ERR_SHAPE, "merge %u leaves its partition", m);
    if (!(self->distance[m] >= 0) || isinf(self->distance[m]) ||
        (m > 0 && self->distance[m] < self->distance[m - 1]))
        return error_set(error, ERR_SHAPE, "merge %u is at %g, out of order", m, self->distance[m]);
    uint32_t x = disjoint_set_find(set, a), y = disjoint_set_find(set, b);
    if (x == y)
        return error_set(error, ERR_SHAPE, "merge %u joins what is joined already", m);
    uint32_t left = top[x] < top[y] ? top[x] : top[y], right = top[x] < top[y] ? top[y] : top[x];
    self->left[m] = left;
    self->right[m] = right;
    self->size[m] = node_size(self, left) + node_size(self, right);
    self->parent[left] = self->parent[right] = m;
    disjoint_set_join(set, x, y);
    top[x < y ? x : y] = self->leaf_count + m;
    return OK;
}

static int allocate(dendrogram_t *self, error_t *error)
{
    size_t merges = self->merge_count, nodes = merges + self->leaf_count;
    self->left = malloc((merges + 1) * sizeof *self->left);
    self->right = malloc((merges + 1) * sizeof *self->right);
    self->size = malloc((merges + 1) * sizeof *self->size);
    self->parent = malloc((nodes + 1) * sizeof *self->parent);
    if (!self->left || !self->right || !self->size || !self->parent)
        return error_set(error, ERR_MEMORY, "out of memory for a tree of %u rows",
                         self->leaf_count);
    memset(self->parent, 0xff, nodes * sizeof *self->parent); /* DENDROGRAM_NONE */
    return OK;
}

int dendrogram_build(const merges_t *merges, uint32_t partition, uint32_t first,
                     uint32_t leaf_count, dendrogram_t *out, error_t *error)
{
    uint32_t begin = merges->begin[partition], end = merges->begin[partition + 1];
    *out = (dendrogram_t){
        .leaf_count = leaf_count, .merge_count = end - begin, .distance = merges->distance + begin};
    uint32_t *set = malloc(((size_t)leaf_count + 1) * sizeof *set);
    uint32_t *top = malloc(((size_t)leaf_count + 1) * sizeof *top);
    int code = OK;
    if (end - begin > leaf_count)
        code = error_set(error, ERR_SHAPE, "%u merges of %u rows", end - begin, leaf_count);
    if (code == OK)
        code = allocate(out, error);
    if (code == OK && (!set || !top))
        code = error_set(error, ERR_MEMORY, "out of memory for a tree of %u rows", leaf_count);
    if (code == OK) {
        disjoint_set_init(set, leaf_count);
        disjoint_set_init(top, leaf_count);
    }
    for (uint32_t m = 0; code == OK && m < out->merge_count; m++)
        code = add_merge(out, m, merges->a[begin + m] - first, merges->b[begin + m] - first, set,
                         top, error);
    free(set);
    free(top);
    if (code != OK)
        dendrogram_clear(out);
    return code;
}

uint32_t dendrogram_kept(const dendrogram_t *self, const job_spec_t *spec)
{
    uint32_t kept = 0;
    if (spec->n_clusters > 0) {
        uint32_t most =
            self->leaf_count > spec->n_clusters ? self->leaf_count - spec->n_clusters : 0;
        return most < self->merge_count ? most : self->merge_count;
    }
    while (kept < self->merge_count && self->distance[kept] <= spec->distance_threshold)
        kept++;
    return kept;
}

static double lifetime(const dendrogram_t *self, uint32_t node)
{
    uint32_t above = self->parent[node];
    if (above == DENDROGRAM_NONE)
        return 0;
    double own = node < self->leaf_count ? 0 : self->distance[node - self->leaf_count];
    return self->distance[above] - own;
}

int dendrogram_cut(const dendrogram_t *self, uint32_t kept, uint32_t smallest, int32_t *label,
                   double *persistence, uint32_t *kinds, error_t *error)
{
    uint32_t nodes = self->leaf_count + kept;
    int32_t *kind = malloc(((size_t)nodes + 1) * sizeof *kind);
    *kinds = 0;
    if (kind == NULL)
        return error_set(error, ERR_MEMORY, "out of memory to cut a tree of %u rows",
                         self->leaf_count);
    for (uint32_t node = nodes; node-- > 0;) { /* what takes a node in comes after it */
        uint32_t above = self->parent[node];
        if (above != DENDROGRAM_NONE && above < kept) {
            kind[node] = kind[self->leaf_count + above];
        } else if (node_size(self, node) < smallest) {
            kind[node] = -1;
        } else {
            persistence[*kinds] = lifetime(self, node);
            kind[node] = (int32_t)(*kinds)++;
        }
    }
    memcpy(label, kind, self->leaf_count * sizeof *label);
    free(kind);
    return OK;
}
