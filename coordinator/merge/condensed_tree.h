/* condensed_tree.h - the linkage tree with only its real splits left.
 *
 * Walked from the top: where two or more children have min_cluster_size leaves, the cluster ends
 * and each of them is born; where one has, it is the same cluster, grown smaller; the leaves of
 * smaller children leave at that lambda = 1 / distance (Campello, Moulavi, Zimek, Sander 2015, with
 * more than two children for equal weights). Cluster 0 is the root, born at lambda 0; parents come
 * before children. Lambda is INFINITY at distance 0, for leaves only, and 0 at distance INFINITY.
 */
#ifndef STAGE4_COORDINATOR_MERGE_CONDENSED_TREE_H
#define STAGE4_COORDINATOR_MERGE_CONDENSED_TREE_H

#include "coordinator/merge/linkage.h"

#define CLUSTER_NONE UINT32_MAX

typedef struct {
    uint32_t point_count;
    uint32_t *point_parent; /* the cluster that the point leaves ... */
    double *point_lambda;   /* ... and when */
    uint32_t cluster_count; /* >= 1 */
    uint32_t *parent;       /* CLUSTER_NONE for the root */
    double *birth;
    uint32_t *size;
    double *death; /* the largest lambda at which anything leaves the cluster, or splits from it */
} condensed_tree_t;

int condensed_tree_build(const linkage_t *linkage, uint32_t min_cluster_size, condensed_tree_t *out,
                         error_t *error);
void condensed_tree_clear(condensed_tree_t *self);

/* stability[c] = sum over what leaves c of (lambda - birth of c) * size, added in the order of the
 * points, then of the clusters. INFINITY where points leave at INFINITY. */
void condensed_tree_stability(const condensed_tree_t *self, double *stability);

#endif
