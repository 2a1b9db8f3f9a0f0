/* partition.h - puts rows into partitions and orders them: the plan's slots.
 *
 * Partitions are sorted by the bytes of their values (domain's long form, then event_type or
 * entity_type; an absent value is "unknown"), dated before undated; slots in a partition by (day,
 * vector_id) where there is a window, else by vector_id, ids compared as bytes. So the plan's order
 * does not depend on the order of the index's rows. */
#ifndef STAGE4_COORDINATOR_PLAN_PARTITION_H
#define STAGE4_COORDINATOR_PLAN_PARTITION_H

#include "common/input/catalog.h"
#include "coordinator/plan/plan.h"
#include "proto/job_spec.h"

/* `rows` is reordered. *undated: rows without a day, of a job with a window. */
int partition_rows(const job_spec_t *spec, const catalog_t *catalog, uint32_t *rows, uint32_t count,
                   plan_t *out, uint32_t *undated, error_t *error);

#endif
