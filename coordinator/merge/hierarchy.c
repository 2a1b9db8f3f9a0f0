#include "coordinator/merge/hierarchy.h"

#include "coordinator/merge/flat_clusters.h"

#include <stdlib.h>

void hierarchy_options_init(hierarchy_options_t *self, const job_spec_t *spec)
{
    *self = (hierarchy_options_t){.metric = spec->metric,
                                  .min_cluster_size = spec->min_cluster_size,
                                  .selection = {.method = spec->selection,
                                                .epsilon = spec->cluster_selection_epsilon,
                                                .allow_single_cluster = spec->allow_single_cluster,
                                                .max_cluster_size = spec->max_cluster_size}};
}

static int choose_and_label(const condensed_tree_t *tree, uint32_t partition, uint32_t begin,
                            const hierarchy_options_t *options, clustering_t *out, error_t *error)
{
    int code = OK;
    double *stability = malloc(tree->cluster_count * sizeof *stability);
    uint8_t *selected = malloc(tree->cluster_count);
    if (stability == NULL || selected == NULL) {
        code = error_set(error, ERR_MEMORY, "out of memory for %u clusters", tree->cluster_count);
        goto fail;
    }
    condensed_tree_stability(tree, stability);
    code = selection_choose(tree, stability, &options->selection, selected, error);
    if (code == OK)
        code = flat_clusters(tree, selected, &options->selection, out->label + begin,
                             out->strength + begin, out->outlier + begin, error);
    if (code == OK)
        code = clustering_append(out, partition, begin, begin + tree->point_count,
                                 tree->cluster_count, stability, error);
fail:
    free(stability);
    free(selected);
    return code;
}

int hierarchy_cluster(const edge_t *edges, size_t edge_count, uint32_t partition, uint32_t begin,
                      uint32_t end, const hierarchy_options_t *options, clustering_t *out,
                      error_t *error)
{
    linkage_t linkage = {0};
    condensed_tree_t tree = {0};
    if (end - begin < options->min_cluster_size)
        return OK;
    int code =
        linkage_build(edges, edge_count, begin, end - begin, options->metric, &linkage, error);
    if (code == OK)
        code = condensed_tree_build(&linkage, options->min_cluster_size, &tree, error);
    if (code == OK)
        code = choose_and_label(&tree, partition, begin, options, out, error);
    condensed_tree_clear(&tree);
    linkage_clear(&linkage);
    return code;
}

/* Which partition a slot is of: the last one that begins at or before it and is not empty. */
static uint32_t partition_of(uint32_t slot, const uint32_t *begin, uint32_t count)
{
    uint32_t low = 0, high = count;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (begin[middle] <= slot)
            low = middle;
        else
            high = middle;
    }
    return low;
}

int hierarchy_deal_out(edge_t *forest, size_t edge_count, const uint32_t *partition_begin,
                       uint32_t partition_count, edge_t **dealt, size_t **dealt_begin,
                       error_t *error)
{
    edge_sort(forest, edge_count);
    edge_t *edges = malloc((edge_count > 0 ? edge_count : 1) * sizeof *edges);
    size_t *begin = calloc((size_t)partition_count + 2, sizeof *begin);
    if (edges == NULL || begin == NULL) {
        free(edges);
        free(begin);
        return error_set(error, ERR_MEMORY, "out of memory for %zu edges", edge_count);
    }
    for (size_t i = 0; i < edge_count; i++)
        begin[partition_of(forest[i].a, partition_begin, partition_count) + 2]++;
    for (uint32_t p = 0; p < partition_count; p++)
        begin[p + 2] += begin[p + 1];
    for (size_t i = 0; i < edge_count; i++)
        edges[begin[partition_of(forest[i].a, partition_begin, partition_count) + 1]++] = forest[i];
    *dealt = edges;
    *dealt_begin = begin;
    return OK;
}

int hierarchy_cluster_all(edge_t *forest, size_t edge_count, const uint32_t *partition_begin,
                          uint32_t partition_count, const hierarchy_options_t *options,
                          clustering_t *out, error_t *error)
{
    edge_t *dealt = NULL;
    size_t *begin = NULL;
    int code = hierarchy_deal_out(forest, edge_count, partition_begin, partition_count, &dealt,
                                  &begin, error);
    if (code != OK || dealt == NULL || begin == NULL)
        return code;
    for (uint32_t p = 0; p < partition_count && code == OK; p++)
        code = hierarchy_cluster(dealt + begin[p], begin[p + 1] - begin[p], p, partition_begin[p],
                                 partition_begin[p + 1], options, out, error);
    free(dealt);
    free(begin);
    return code;
}
