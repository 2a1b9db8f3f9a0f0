/* checkpoint.h - what a job knows between two stages: payload kind "state".
 *
 * plan u8[32], index_fingerprint u8[32], metadata_fingerprint u8[32], report: strings, one (JSON).
 * The algorithm's own columns stand beside them (hdbscan.c, kmeans.c, summarise.c list theirs). */
#ifndef STAGE4_COORDINATOR_MERGE_CHECKPOINT_H
#define STAGE4_COORDINATOR_MERGE_CHECKPOINT_H

#include "coordinator/merge/payload_io.h"
#include "coordinator/plan/plan.h"
#include "coordinator/plan/task_cutter.h"

#include <jansson.h>

typedef struct {
    sha256_t plan_sha;
    sha256_t index_fingerprint;
    sha256_t metadata_fingerprint;
    json_t *report;
    plan_t plan;
    payload_t payload; /* of the state that was read: the algorithm's columns */
} checkpoint_t;

/* Reads input->state_sha and the plan it names. */
int checkpoint_read(checkpoint_t *self, const advance_input_t *input, error_t *error);
void checkpoint_clear(checkpoint_t *self);

/* A writer of the given kind with the common columns in it (the plan's hash first). NULL only when
 * out of memory; columns_put and columns_writer_finish take that. */
columns_writer_t *checkpoint_writer(const checkpoint_t *self, const char *kind);

/* The end of an advance: stage and state go to the spool, `out` is filled. Takes both over. */
int checkpoint_leave(const advance_input_t *input, task_cutter_t *cutter, columns_writer_t **writer,
                     advance_output_t *out, error_t *error);

#endif
