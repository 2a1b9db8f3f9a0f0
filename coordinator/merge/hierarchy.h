/* hierarchy.h - from the minimum spanning forest of one partition to its clusters: linkage tree,
 * condensed tree, selection, labels. */
#ifndef STAGE4_COORDINATOR_MERGE_HIERARCHY_H
#define STAGE4_COORDINATOR_MERGE_HIERARCHY_H

#include "coordinator/merge/clustering.h"
#include "common/graph/edge.h"
#include "coordinator/merge/selection.h"

typedef struct {
    metric_t metric;
    uint32_t min_cluster_size;
    selection_options_t selection;
} hierarchy_options_t;

void hierarchy_options_init(hierarchy_options_t *self, const job_spec_t *spec);

/* Clusters slots [begin, end) of `partition` and appends to `out`. `edges` are the partition's,
 * sorted. A partition with fewer than min_cluster_size slots is noise. */
int hierarchy_cluster(const edge_t *edges, size_t edge_count, uint32_t partition, uint32_t begin,
                      uint32_t end, const hierarchy_options_t *options, clustering_t *out,
                      error_t *error);

/* Sorts `forest` by the total order and deals it out by partition: partition p has (*dealt)[begin[p]
 * .. begin[p + 1]), in order. Both malloc'd, the caller's. ERR_MEMORY. */
int hierarchy_deal_out(edge_t *forest, size_t edge_count, const uint32_t *partition_begin,
                       uint32_t partition_count, edge_t **dealt, size_t **dealt_begin,
                       error_t *error);

/* The same for all partitions: `forest` is sorted by the total order on return. */
int hierarchy_cluster_all(edge_t *forest, size_t edge_count, const uint32_t *partition_begin,
                          uint32_t partition_count, const hierarchy_options_t *options,
                          clustering_t *out, error_t *error);

#endif
