/* write.h - turns an outcome into what users read: the JSONL file, the daily name, the result
 * store.
 *
 * Order: JSONL to a temporary file and fsync; result store transaction (the commit point); rename;
 * daily link. Replaying any prefix of it is harmless. The bytes of the JSONL depend on the job and
 * the input alone: no job id, no clock but the job's as_of. */
#ifndef STAGE4_COORDINATOR_OUTPUT_WRITE_H
#define STAGE4_COORDINATOR_OUTPUT_WRITE_H

#include "common/error.h"
#include "common/sha256.h"
#include "coordinator/store/spool.h"
#include "proto/job_spec.h"
#include "proto/store/result_store.h"

typedef struct {
    const char *job_id;
    uint32_t epoch;
    const job_spec_t *spec;
    const char *spec_json;
    const char *indices_folder;
    const char *cache_folder;
    const char *output_folder;
    spool_t *spool;
    result_store_t *results;
    sha256_t state_sha;
    int64_t finished_ms; /* the shell's clock */
} write_input_t;

/* *report_json: malloc'd, the caller's: what the job's report says (outcome's report, plus
 * clusters, sizes, noise, the largest clusters with labels, sha256 and name of the JSONL). */
int write_outcome(const write_input_t *input, char **report_json, error_t *error);

/* Removes what a job may have left beside what users read: temporary files. */
int write_discard(const char *output_folder, const char *job_id, error_t *error);
/* Removes that, and what users read: the JSONL file, and a daily name that leads to it. */
int write_remove(const char *output_folder, const char *job_id, error_t *error);

#endif
