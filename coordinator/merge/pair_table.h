/* pair_table.h - the factors of the pair weight that a job's decay gives (proto/pair_weight.h). */
#ifndef STAGE4_COORDINATOR_MERGE_PAIR_TABLE_H
#define STAGE4_COORDINATOR_MERGE_PAIR_TABLE_H

#include "common/error.h"
#include "proto/job_spec.h"

#include <stddef.h>

/* By days apart, as far as a pair can reach min_weight at all; *count 0 without decay. malloc'd.
 * ERR_MEMORY. */
int pair_table_make(const job_spec_t *spec, double **factor, size_t *count, error_t *error);

/* The window that follows: the job's, or the days the table reaches when those are fewer. */
int32_t pair_table_window(const job_spec_t *spec);

#endif
