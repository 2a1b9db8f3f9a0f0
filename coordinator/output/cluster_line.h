/* cluster_line.h - one ClusterResult line (docs/formats.md), without the line feed. */
#ifndef STAGE4_COORDINATOR_OUTPUT_CLUSTER_LINE_H
#define STAGE4_COORDINATOR_OUTPUT_CLUSTER_LINE_H

#include "coordinator/output/cluster_build.h"
#include "coordinator/output/json_text.h"

/* Replaces what is in `out`. The bytes depend on the cluster, its source and the job alone. */
int cluster_line(const cluster_t *self, const cluster_source_t *source, json_text_t *out,
                 error_t *error);

#endif
