/* cluster_build.h - what is said about one cluster: counted from the metadata of its members.
 *
 * A cluster_t is filled again and again, so its memory grows to the largest cluster and stays.
 * Nothing in it depends on the order of the index's rows: members are sorted by the bytes of their
 * vector_id, strings by frequency and then by their bytes. */
#ifndef STAGE4_COORDINATOR_OUTPUT_CLUSTER_BUILD_H
#define STAGE4_COORDINATOR_OUTPUT_CLUSTER_BUILD_H

#include "coordinator/output/cluster.h"

void cluster_clear(cluster_t *self); /* frees */
int cluster_build(cluster_t *self, const cluster_source_t *source, uint32_t number, error_t *error);

#endif
