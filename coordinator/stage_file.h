/* stage_file.h - a stage as it lies in the spool: what its tasks are, and what is known of their
 * results from an earlier pass over it. Used by whoever has a handle on the spool. */
#ifndef STAGE4_COORDINATOR_STAGE_FILE_H
#define STAGE4_COORDINATOR_STAGE_FILE_H

#include "coordinator/core/core.h"
#include "coordinator/store/spool.h"
#include "proto/stage.h"

/* What an action or a row of the ledger says of a stage. */
typedef struct {
    const char *job_id;
    uint32_t number;
    uint32_t task_count;
    sha256_t stage_sha;
    sha256_t state_sha;
} stage_name_t;

/* `out` is the caller's, to be cleared; `fingerprint` is the index's. Errors as spool_get has them,
 * with the field SPOOL_PAYLOAD where a file is at fault. */
int stage_file_read(spool_t *spool, const stage_name_t *name, stage_t *out, sha256_t *fingerprint,
                    error_t *error);
/* Results of an earlier pass, task_count of them, malloc'd; zeros where one is not known. NULL: none
 * is. */
sha256_t *stage_file_recall(spool_t *spool, const stage_name_t *name);

#endif
