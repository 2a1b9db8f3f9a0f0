/* flat_clusters.h - labels, membership strengths and outlier scores from selected clusters.
 *
 * strength = min(lambda of the point, death of its cluster) / death of its cluster, as scikit-learn
 * and the hdbscan library have it; 1 where the point's lambda is infinite (it repeats another
 * point) or the death is 0; 0 for noise. outlier is GLOSH (Campello et al. 2015): 1 - lambda of the
 * point / the largest death in or below the cluster that the point leaves; 0 where lambda is
 * infinite or that death is 0, and 1 where the death alone is infinite. */
#ifndef STAGE4_COORDINATOR_MERGE_FLAT_CLUSTERS_H
#define STAGE4_COORDINATOR_MERGE_FLAT_CLUSTERS_H

#include "coordinator/merge/selection.h"

/* label[i]: the condensed tree's cluster number or -1; arrays of point_count. ERR_MEMORY. */
int flat_clusters(const condensed_tree_t *tree, const uint8_t *selected,
                  const selection_options_t *options, int32_t *label, float *strength,
                  float *outlier, error_t *error);

#endif
