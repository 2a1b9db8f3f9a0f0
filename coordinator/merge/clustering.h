/* clustering.h - the end of clustering in memory: labels over all slots and the clusters' numbers.
 *
 * Clusters are numbered by partition, then size falling, then smallest slot. */
#ifndef STAGE4_COORDINATOR_MERGE_CLUSTERING_H
#define STAGE4_COORDINATOR_MERGE_CLUSTERING_H

#include "common/error.h"

#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint32_t count; /* slots */
    int32_t *label; /* -1 noise */
    float *strength;
    float *outlier;
    uint32_t cluster_count;
    uint32_t cluster_capacity;
    uint32_t *cluster_partition;
    double *persistence;
    uint32_t *cluster_size;
} clustering_t;

/* All noise, no clusters. ERR_MEMORY. */
int clustering_init(clustering_t *self, uint32_t count, error_t *error);
void clustering_clear(clustering_t *self);

/* Slots [begin, end) of `partition` carry labels of their own in label[]: -1 or 0 .. kinds-1.
 * Renumbers them, and appends the kinds that have members; `stability` by kind, NULL for zeros.
 * Partitions come in ascending order. ERR_MEMORY. */
int clustering_append(clustering_t *self, uint32_t partition, uint32_t begin, uint32_t end,
                      uint32_t kinds, const double *stability, error_t *error);

/* cluster_begin u32[cluster_count + 1] and member: the slots of each cluster, ascending. Both
 * malloc'd, the caller's. */
int clustering_members(const clustering_t *self, uint32_t **cluster_begin, uint32_t **member,
                       error_t *error);

#endif
