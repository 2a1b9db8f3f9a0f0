#include "coordinator/merge/flat_clusters.h"

#include <math.h>
#include <stdlib.h>

/* The selected cluster that each cluster lies in, or CLUSTER_NONE. */
static void find_homes(const condensed_tree_t *tree, const uint8_t *selected, uint32_t *home)
{
    for (uint32_t c = 0; c < tree->cluster_count; c++) {
        if (selected[c])
            home[c] = c;
        else
            home[c] = c == 0 ? CLUSTER_NONE : home[tree->parent[c]];
    }
}

/* The root as the only cluster keeps the points of its last moment, or those within epsilon. */
static double root_threshold(const condensed_tree_t *tree, const selection_options_t *options)
{
    return options->epsilon > 0 ? 1 / options->epsilon : tree->death[0];
}

static double strength_of(double lambda, double death)
{
    if (death == 0 || isinf(lambda))
        return 1;
    return lambda < death ? lambda / death : 1;
}

static double outlier_of(double lambda, double deepest)
{
    if (deepest == 0 || isinf(lambda))
        return 0;
    return isinf(deepest) ? 1 : (deepest - lambda) / deepest;
}

static void find_deepest(const condensed_tree_t *tree, double *deepest)
{
    for (uint32_t c = 0; c < tree->cluster_count; c++)
        deepest[c] = tree->death[c];
    for (uint32_t c = tree->cluster_count; c-- > 1;)
        if (deepest[c] > deepest[tree->parent[c]])
            deepest[tree->parent[c]] = deepest[c];
}

int flat_clusters(const condensed_tree_t *tree, const uint8_t *selected,
                  const selection_options_t *options, int32_t *label, float *strength,
                  float *outlier, error_t *error)
{
    int code = OK;
    uint32_t *home = malloc(tree->cluster_count * sizeof *home);
    double *deepest = malloc(tree->cluster_count * sizeof *deepest);
    if (home == NULL || deepest == NULL) {
        code = error_set(error, ERR_MEMORY, "out of memory to label %u rows", tree->point_count);
        goto fail;
    }
    find_homes(tree, selected, home);
    find_deepest(tree, deepest);
    for (uint32_t i = 0; i < tree->point_count; i++) {
        double lambda = tree->point_lambda[i];
        uint32_t cluster = home[tree->point_parent[i]];
        if (cluster == 0 && !(lambda >= root_threshold(tree, options)))
            cluster = CLUSTER_NONE;
        label[i] = cluster == CLUSTER_NONE ? -1 : (int32_t)cluster;
        strength[i] =
            cluster == CLUSTER_NONE ? 0 : (float)strength_of(lambda, tree->death[cluster]);
        outlier[i] = (float)outlier_of(lambda, deepest[tree->point_parent[i]]);
    }
fail:
    free(home);
    free(deepest);
    return code;
}
