/* linkage.h - the single-linkage tree of one partition, with equal weights contracted.
 *
 * All edges of one weight join at once: a node has as many children as sets met at that weight, and
 * no tree depends on the order of tied edges (DESIGN 1.3; docs/algorithms.md, 5). Leaves are
 * 0 .. leaf_count-1, inner node i is number leaf_count + i; a node comes after its children, the
 * last one is the top. Children stand in the order of their smallest leaf. A forest is joined by
 * one top node at distance INFINITY. */
#ifndef STAGE4_COORDINATOR_MERGE_LINKAGE_H
#define STAGE4_COORDINATOR_MERGE_LINKAGE_H

#include "common/error.h"
#include "common/graph/edge.h"
#include "proto/job_spec.h"

typedef struct {
    uint32_t leaf_count;
    uint32_t node_count;   /* inner nodes; 0 for a single leaf */
    double *distance;      /* by inner node: in the metric, never decreasing */
    uint32_t *size;        /* by inner node: leaves below */
    uint32_t *child_begin; /* node_count + 1 */
    uint32_t *child;
} linkage_t;

/* `edges`: the minimum spanning forest of slots first .. first+leaf_count-1, sorted. ERR_MEMORY;
 * ERR_SHAPE when an edge leaves the range or closes a circle. linkage_clear frees. */
int linkage_build(const edge_t *edges, size_t edge_count, uint32_t first, uint32_t leaf_count,
                  metric_t metric, linkage_t *out, error_t *error);
void linkage_clear(linkage_t *self);

/* Leaves below node number `node`, 1 for a leaf. */
uint32_t linkage_size(const linkage_t *self, uint32_t node);

#endif
