#include "coordinator/merge/selection.h"

#include <stdlib.h>
#include <string.h>

/* Children come after their parents: a sweep down the numbers goes up the tree, and the reverse. */
static void keep_outermost(const condensed_tree_t *tree, uint8_t *selected, uint8_t *covered)
{
    covered[0] = 0;
    for (uint32_t c = 1; c < tree->cluster_count; c++) {
        uint32_t parent = tree->parent[c];
        covered[c] = covered[parent] || selected[parent];
        if (covered[c])
            selected[c] = 0;
    }
}

/* `below` sums what the children of a cluster are worth, each at the better of itself and its own
 * children. */
static void choose_eom(const condensed_tree_t *tree, const double *stability,
                       const selection_options_t *options, uint8_t *selected, double *below)
{
    uint32_t lowest = options->allow_single_cluster ? 0 : 1;
    for (uint32_t c = 0; c < tree->cluster_count; c++)
        below[c] = 0;
    for (uint32_t c = tree->cluster_count; c-- > lowest;) {
        int too_large = options->max_cluster_size > 0 && tree->size[c] > options->max_cluster_size;
        selected[c] = !(below[c] > stability[c] || too_large);
        if (c > 0)
            below[tree->parent[c]] += selected[c] ? stability[c] : below[c];
    }
}

static void choose_leaves(const condensed_tree_t *tree, uint8_t *selected)
{
    /* The root alone is no cluster that was ever born: no leaves, all noise. */
    memset(selected + 1, 1, tree->cluster_count - 1);
    for (uint32_t c = 1; c < tree->cluster_count; c++)
        selected[tree->parent[c]] = 0;
}

static uint32_t climb(const condensed_tree_t *tree, uint32_t cluster,
                      const selection_options_t *options)
{
    while (1 / tree->birth[cluster] <= options->epsilon) {
        uint32_t parent = tree->parent[cluster];
        if (parent == 0)
            return options->allow_single_cluster ? 0 : cluster;
        cluster = parent;
    }
    return cluster;
}

static void apply_epsilon(const condensed_tree_t *tree, const selection_options_t *options,
                          uint8_t *selected, uint8_t *climbed)
{
    memset(climbed, 0, tree->cluster_count);
    for (uint32_t c = 1; c < tree->cluster_count; c++) {
        if (!selected[c])
            continue;
        int born_above = 1 / tree->birth[c] >= options->epsilon;
        climbed[born_above ? c : climb(tree, c, options)] = 1;
    }
    climbed[0] |= selected[0];
    memcpy(selected, climbed, tree->cluster_count);
}

int selection_choose(const condensed_tree_t *tree, const double *stability,
                     const selection_options_t *options, uint8_t *selected, error_t *error)
{
    double *below = malloc(tree->cluster_count * sizeof *below);
    uint8_t *scratch = malloc(tree->cluster_count);
    int code = OK;
    if (below == NULL || scratch == NULL) {
        code = error_set(error, ERR_MEMORY, "out of memory to select among %u clusters",
                         tree->cluster_count);
        goto fail;
    }
    memset(selected, 0, tree->cluster_count);
    if (options->method == SELECTION_EOM)
        choose_eom(tree, stability, options, selected, below);
    else
        choose_leaves(tree, selected);
    keep_outermost(tree, selected, scratch);
    if (options->epsilon > 0) {
        apply_epsilon(tree, options, selected, scratch);
        keep_outermost(tree, selected, scratch);
    }
fail:
    free(below);
    free(scratch);
    return code;
}
