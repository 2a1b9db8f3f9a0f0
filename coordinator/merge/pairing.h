/* pairing.h - the two stages that find neighbours by codes: bounds, then every pair once.
 *
 * hdbscan: ... encode -> near (how far a place's k-th neighbour is at most) -> knn. Places of a
 * partition make a square of pairs; tasks take rectangles right of its diagonal, and what is on it.
 * How it is cut depends on the plan alone. */
#ifndef STAGE4_COORDINATOR_MERGE_PAIRING_H
#define STAGE4_COORDINATOR_MERGE_PAIRING_H

#include "coordinator/merge/coding.h"

/* Leaves the near stage: bounds that at least `least` neighbours are within. */
int pairing_begin(step_t *self, const coding_t *coding, uint32_t least, advance_output_t *out,
                  error_t *error);
/* After it: leaves the knn stage, whose results are "knn_part" (proto/payload.h): what is within the
 * bounds, at most k neighbours. */
int pairing_after_near(step_t *self, uint32_t k, advance_output_t *out, error_t *error);

#endif
