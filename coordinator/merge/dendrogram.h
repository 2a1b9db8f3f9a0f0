/* dendrogram.h - the tree of one partition that a sorted list of merges makes, and where it is cut.
 *
 * scipy's Z layout: leaves are 0 .. leaf_count-1, merge m makes node leaf_count + m, of the nodes
 * left[m] < right[m], at distance[m], which never falls. A partition in which some never join
 * (windows) has fewer than leaf_count - 1 merges: a forest. */
#ifndef STAGE4_COORDINATOR_MERGE_DENDROGRAM_H
#define STAGE4_COORDINATOR_MERGE_DENDROGRAM_H

#include "common/error.h"
#include "proto/job_spec.h"

#include <stddef.h>
#include <stdint.h>

/* The merges of all partitions: kind "merges" (proto/payload.h). Arrays are borrowed or owned as
 * their maker says. */
typedef struct {
    uint32_t partition_count;
    const uint32_t *begin; /* partition_count + 1 */
    const uint32_t *a;
    const uint32_t *b;
    const double *distance;
} merges_t;

typedef struct {
    uint32_t leaf_count;
    uint32_t merge_count;
    uint32_t *left;
    uint32_t *right;
    uint32_t *size;
    const double *distance; /* borrowed */
    uint32_t *parent;       /* by node: the merge that takes it in; DENDROGRAM_NONE: none */
} dendrogram_t;

#define DENDROGRAM_NONE UINT32_MAX

/* The partition's slots are first .. first + leaf_count - 1. ERR_MEMORY; ERR_SHAPE when a merge
 * leaves the partition, closes a circle or is out of order. */
int dendrogram_build(const merges_t *merges, uint32_t partition, uint32_t first,
                     uint32_t leaf_count, dendrogram_t *out, error_t *error);
void dendrogram_clear(dendrogram_t *self);

/* How many merges, the first ones, a job's distance_threshold or n_clusters lets happen. */
uint32_t dendrogram_kept(const dendrogram_t *self, const job_spec_t *spec);

/* Labels of the leaves after so many merges: 0 .. *kinds - 1, or -1 in sets of fewer than
 * `smallest`. persistence[kind]: how far it is from the set's own distance to that at which the next
 * merge takes it in; 0 where none does. Room for leaf_count of each. ERR_MEMORY. */
int dendrogram_cut(const dendrogram_t *self, uint32_t kept, uint32_t smallest, int32_t *label,
                   double *persistence, uint32_t *kinds, error_t *error);

#endif
