/* kept.h - what a fold leaves in memory for the next one, so that it need not be read back.
 *
 * One thing at a time, named by the hash of the state that it belongs to: what is taken under a
 * state's name is what reading that state would give, so nothing depends on whether it is there.
 * After a restart, another job's turn or a failed fold it is not, and the state is read. Used by
 * one thread. */
#ifndef STAGE4_COORDINATOR_MERGE_KEPT_H
#define STAGE4_COORDINATOR_MERGE_KEPT_H

#include "common/sha256.h"
#include "proto/task.h"

typedef void (*kept_destroy_fn)(void *thing);

typedef struct {
    char job_id[JOB_ID_SIZE];
    sha256_t state;
    void *thing; /* NULL: nothing is kept */
    kept_destroy_fn destroy;
} kept_t;

/* Takes the thing over, in the place of what was kept before. */
void kept_put(kept_t *self, const char *job_id, const sha256_t *state, void *thing,
              kept_destroy_fn destroy);
/* Hands the thing out, which is then no longer kept; NULL when it is not that state's. `self` may
 * be NULL. */
void *kept_take(kept_t *self, const sha256_t *state);
/* Drops what is kept of a job; of any when job_id is NULL. */
void kept_drop(kept_t *self, const char *job_id);

#endif
