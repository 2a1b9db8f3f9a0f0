/* kmeans_runs.h - k-means from several seeds: of each partition the run with the least inertia.
 *
 * Payload kind "best": label u32[n], d2 f32[n], by slot, as in "assign". */
#ifndef STAGE4_COORDINATOR_MERGE_KMEANS_RUNS_H
#define STAGE4_COORDINATOR_MERGE_KMEANS_RUNS_H

#include "coordinator/merge/payload_io.h"
#include "coordinator/plan/plan.h"

/* Where a run came to, by slot; borrowed. */
typedef struct {
    uint32_t *label; /* number of the centre within the partition */
    float *d2;
} kmeans_run_t;

int kmeans_run_save(const kmeans_run_t *self, const plan_t *plan, const advance_input_t *input,
                    sha256_t *out, error_t *error);

/* Overwrites the partitions in which `earlier` is not worse: the sum of d2, float64 in slot order.
 */
int kmeans_run_merge(const kmeans_run_t *self, const plan_t *plan, const advance_input_t *input,
                     const sha256_t *earlier, error_t *error);

#endif
