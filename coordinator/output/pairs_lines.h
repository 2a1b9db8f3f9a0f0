/* pairs_lines.h - the pairs of a `pairs` job as JSON, one a line (docs/formats.md, 1). */
#ifndef STAGE4_COORDINATOR_OUTPUT_PAIRS_LINES_H
#define STAGE4_COORDINATOR_OUTPUT_PAIRS_LINES_H

#include "coordinator/output/cluster_build.h"
#include "coordinator/output/side_file.h"

int pairs_lines(const cluster_source_t *source, side_file_t *out, error_t *error);

#endif
