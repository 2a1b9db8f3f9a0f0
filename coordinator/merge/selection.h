/* selection.h - which clusters of a condensed tree are the answer.
 *
 * eom: the set of clusters, none inside another, with the greatest total stability; a cluster stays
 * unless its descendants together are strictly more stable. leaf: the clusters that never split.
 * epsilon: a selected cluster born at a distance below epsilon gives way to its first ancestor born
 * above it (Malzer, Baum 2020). The rules for ties and the root are those of scikit-learn. */
#ifndef STAGE4_COORDINATOR_MERGE_SELECTION_H
#define STAGE4_COORDINATOR_MERGE_SELECTION_H

#include "coordinator/merge/condensed_tree.h"

typedef struct {
    selection_t method;
    double epsilon;            /* 0: none; in the metric's distance */
    int allow_single_cluster;  /* the root may be selected */
    uint32_t max_cluster_size; /* 0: no limit; eom only */
} selection_options_t;

/* selected u8[cluster_count]: no selected cluster is inside another. ERR_MEMORY. */
int selection_choose(const condensed_tree_t *tree, const double *stability,
                     const selection_options_t *options, uint8_t *selected, error_t *error);

#endif
