/* jsonl_file.h - the file users read, written under another name and shown whole.
 *
 * clustered_<plural>_<job_id>.jsonl appears by rename after fsync; until then its bytes lie in
 * .clustered_<plural>_<job_id>.jsonl.tmp. clustered_<plural>_YYYY-MM-DD.jsonl is a link to the job
 * that completed last with that as-of day, replaced in one step. */
#ifndef STAGE4_COORDINATOR_OUTPUT_JSONL_FILE_H
#define STAGE4_COORDINATOR_OUTPUT_JSONL_FILE_H

#include "common/error.h"
#include "common/level.h"
#include "common/sha256.h"

#include <stddef.h>
#include <stdint.h>

typedef struct jsonl_file jsonl_file_t;

#define JSONL_NAME_SIZE 128

/* "clustered_events_<job_id>.jsonl"; ERR_USAGE for a job id that is no file name. */
int jsonl_name(level_t level, const char *job_id, char out[JSONL_NAME_SIZE], error_t *error);

/* Creates the folder when it is missing, and the temporary file anew. */
int jsonl_file_new(const char *folder, const char *name, jsonl_file_t **out, error_t *error);
/* Closes, and removes the temporary file if jsonl_file_show did not succeed. */
void jsonl_file_destroy(jsonl_file_t **self);

/* One line and its line feed. */
int jsonl_file_add(jsonl_file_t *self, const char *line, size_t length, error_t *error);
/* fsync: after it the bytes are safe under the temporary name. Gives what a report says of them. */
int jsonl_file_sync(jsonl_file_t *self, sha256_t *sha256, uint64_t *bytes, error_t *error);
/* Renames to the final name, durably. After jsonl_file_sync. */
int jsonl_file_show(jsonl_file_t *self, error_t *error);

/* Points the daily name of as_of_ms at `name`. */
int jsonl_link_daily(const char *folder, level_t level, int64_t as_of_ms, const char *name,
                     error_t *error);
/* Removes the temporary file of that job at that level; OK when there is none. */
int jsonl_discard(const char *folder, const char *name, error_t *error);
/* Removes the daily names that lead to it, then the file; OK when there is none. */
int jsonl_remove(const char *folder, const char *name, error_t *error);

#endif
