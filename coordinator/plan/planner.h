/* planner.h - the first step of a job: index and metadata in, plan and report out.
 *
 * A pure function of the job and the two files. What is left out (catalog.h, vector_check.h) is
 * counted by kind; more than max_bad_fraction of the index's rows is ERR_INPUT before any work. */
#ifndef STAGE4_COORDINATOR_PLAN_PLANNER_H
#define STAGE4_COORDINATOR_PLAN_PLANNER_H

#include "common/sha256.h"
#include "coordinator/plan/plan.h"
#include "proto/job_spec.h"

#include <jansson.h>
#include <stdatomic.h>

typedef struct {
    plan_t plan;
    sha256_t index_fingerprint;
    sha256_t metadata_fingerprint;
    uint64_t metadata_bytes; /* of the file */
    json_t *report;          /* rows, left_out, problems, selected, undated, partitions */
} planned_t;

/* ERR_INPUT: nothing matches, or too much is wrong; ERR_USAGE: a parameter over what is there. */
int planner_run(const job_spec_t *spec, const char *indices_folder, const char *cache_folder,
                const atomic_int *stop, planned_t *out, error_t *error);
void planned_clear(planned_t *self);

#endif
