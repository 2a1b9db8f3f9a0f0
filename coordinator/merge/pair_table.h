/* pair_table.h - the pair weight of a job: its decay, or its own table (proto/pair_weight.h). */
#ifndef STAGE4_COORDINATOR_MERGE_PAIR_TABLE_H
#define STAGE4_COORDINATOR_MERGE_PAIR_TABLE_H

#include "common/error.h"
#include "proto/job_spec.h"
#include "proto/pair_weight.h"

#include <stddef.h>

/* Factors by days apart, as far as a pair can reach min_weight at all, none without decay; or the
 * table. `out` points to *factor, malloc'd. ERR_MEMORY. */
int pair_table_make(const job_spec_t *spec, pair_weight_t *out, double **factor, error_t *error);

/* The window that follows: the job's, or the days the table reaches when those are fewer. */
int32_t pair_table_window(const job_spec_t *spec);

#endif
