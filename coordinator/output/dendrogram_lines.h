/* dendrogram_lines.h - the trees of an agglomerative job as JSON, one line a partition
 * (docs/formats.md, 1). */
#ifndef STAGE4_COORDINATOR_OUTPUT_DENDROGRAM_LINES_H
#define STAGE4_COORDINATOR_OUTPUT_DENDROGRAM_LINES_H

#include "coordinator/output/cluster_build.h"
#include "coordinator/output/side_file.h"

int dendrogram_lines(const cluster_source_t *source, side_file_t *out, error_t *error);

#endif
