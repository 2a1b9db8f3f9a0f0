/* spool.h - payloads on disk, named by their SHA-256, in one folder a job.
 *
 * <root>/<job_id>/<64 hex digits>. A file appears by rename, so whoever opens it finds all of it; a
 * name is checked against its content on every get, so what a power cut tore is noticed. Nobody
 * names a file to others before it was synced. */
#ifndef STAGE4_COORDINATOR_STORE_SPOOL_H
#define STAGE4_COORDINATOR_STORE_SPOOL_H

#include "common/error.h"
#include "common/sha256.h"

typedef struct spool spool_t;

#define SPOOL_PAYLOAD "payload"

int spool_open(const char *root, spool_t **out, error_t *error);
/* For a folder that goes with the process: nothing is synced, so a power cut may lose it. */
int spool_open_scratch(const char *root, spool_t **out, error_t *error);
void spool_close(spool_t **self);

/* Durable when it returns OK (but in a scratch). Putting the same bytes twice is OK. */
int spool_put(spool_t *self, const char *job_id, const void *bytes, size_t length, sha256_t *out,
              error_t *error);
/* As spool_put, of bytes whose SHA-256 the caller has just found to be `name`. */
int spool_put_as(spool_t *self, const char *job_id, const void *bytes, size_t length,
                 const sha256_t *name, error_t *error);
/* Puts from now on are durable only after spool_settle: a sync a file, and one a folder for all of
 * them. At most SPOOL_UNSETTLED files wait; the put after that settles by itself. */
#define SPOOL_UNSETTLED 64
void spool_defer(spool_t *self);
/* When it fails nothing that was put since is durable. Puts are durable at once again. */
int spool_settle(spool_t *self, error_t *error);
/* The whole payload, malloc'd and the caller's. ERR_NOT_FOUND; ERR_INPUT when the content does not
 * match its name (the file is removed, so that the task that made it runs again). Both have the
 * field SPOOL_PAYLOAD: nothing but our own file is at fault. */
int spool_get(spool_t *self, const char *job_id, const sha256_t *sha256, uint8_t **bytes,
              size_t *length, error_t *error);
/* Reads up to `capacity` bytes at `offset`; *total is the payload's length. Not verified. */
int spool_read(spool_t *self, const char *job_id, const sha256_t *sha256, uint64_t offset,
               void *buffer, size_t capacity, size_t *read, uint64_t *total, error_t *error);
/* What is known of the results of a stage (named by what its tasks and inputs hash to), for another
 * pass over it after a file was lost. A hint, not durable, and never wrong: a torn one is none. Zeros
 * where a result is not known or its file is gone. ERR_NOT_FOUND where nothing is known. */
int spool_remember(spool_t *self, const char *job_id, const sha256_t *stage,
                   const sha256_t *results, uint32_t count, error_t *error);
int spool_recall(spool_t *self, const char *job_id, const sha256_t *stage, sha256_t *results,
                 uint32_t count, error_t *error);
/* The name of a stage in the two above: a stage's file and its state say all that a task's result
 * depends on, the index included. */
sha256_t spool_stage_name(const sha256_t *stage_sha, const sha256_t *state_sha);

/* Removes a job's folder; OK when there is none. */
int spool_remove_job(spool_t *self, const char *job_id, error_t *error);

#endif
