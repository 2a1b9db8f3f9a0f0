/* validity.h - how well the minimum spanning forest of a job holds its clusters apart.
 *
 * After density-based cluster validity (dbcv.c), on the densities that HDBSCAN* itself works with;
 * docs/algorithms.md, 11 says what that changes. No pair is compared again. */
#ifndef STAGE4_COORDINATOR_MERGE_VALIDITY_H
#define STAGE4_COORDINATOR_MERGE_VALIDITY_H

#include "coordinator/merge/clustering.h"
#include "common/graph/edge.h"
#include "proto/job_spec.h"

/* Of each cluster: 1 - sparseness / separation. Sparseness is the least weight at which its members
 * hang together, separation the least at which another cluster hangs together with it, INFINITY when
 * none does (then the validity is 1). `forest` is sorted by the total order. `validity` holds
 * cluster_count; `mean` is weighted by size over all slots, noise counting 0. ERR_MEMORY. */
int validity_measure(const edge_t *forest, size_t edges, metric_t metric,
                     const clustering_t *clustering, double *validity, double *mean,
                     error_t *error);

#endif
