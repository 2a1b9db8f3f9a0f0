/* all_points.h - the all-points core distance of DBCV (Moulavi et al. 2014, definition 1).
 *
 * a(o) = (sum over the others p of (1 / dist(o, p))^d / (n - 1))^(-1/d), in the metric, d being the
 * dimension. With m the least distance that is over 0 this is m * ((n - 1) / S)^(1/d), S the sum of
 * (m / dist)^d: terms of 0 to 1, the largest 1, so that nothing overflows at any d. Terms under
 * 2^-80 are left out. Distances of 0 add nothing, as in the authors' own program.
 *
 * Powers are products and roots bisections, in float64: the same bits on every machine, which a
 * mathematical library's pow() does not promise. docs/algorithms.md, 11. */
#ifndef STAGE4_WORKER_TASKS_ALL_POINTS_H
#define STAGE4_WORKER_TASKS_ALL_POINTS_H

#include "proto/job_spec.h"

#include <stddef.h>
#include <stdint.h>

typedef struct {
    metric_t metric;
    uint32_t dimension; /* d, at least 1 */
    double least_ratio; /* what is smaller has a power under 2^-80 */
} all_points_t;

void all_points_init(all_points_t *self, metric_t metric, uint32_t dimension);

/* a(o) as a canonical dist2, rounded to float32. `dist2` has `count` >= 2 entries: o's to all
 * members, its own 0 to itself among them. 0 when all of them are. */
float all_points_core(const all_points_t *self, const float *dist2, size_t count);

#endif
