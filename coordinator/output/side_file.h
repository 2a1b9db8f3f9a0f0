/* side_file.h - what a job gives beside its clusters: a JSONL file of its own, and the same text in
 * the result store, where gateways find it.
 *
 * clustered_<plural>_<job_id>.<kind>.jsonl, kind being "dendrogram" or "pairs". Written and shown as the
 * clusters are (jsonl_file.h). */
#ifndef STAGE4_COORDINATOR_OUTPUT_SIDE_FILE_H
#define STAGE4_COORDINATOR_OUTPUT_SIDE_FILE_H

#include "coordinator/output/jsonl_file.h"
#include "proto/store/result_store.h"

typedef struct side_file side_file_t;

/* What the report says of it. */
typedef struct {
    const char *kind; /* NULL: there is none */
    char name[JSONL_NAME_SIZE];
    sha256_t sha256;
    uint64_t bytes;
} side_report_t;

/* Borrows `results`, in which the job has been begun, and `kind`. */
int side_file_new(const char *folder, level_t level, const char *job_id, const char *kind,
                  result_store_t *results, side_file_t **out, error_t *error);
void side_file_destroy(side_file_t **self);
int side_file_add(side_file_t *self, const char *line, size_t length, error_t *error);
/* All of it is in the store's writing, and safe under the temporary name. */
int side_file_sync(side_file_t *self, side_report_t *report, error_t *error);
int side_file_show(side_file_t *self, error_t *error);

/* Removes what is temporary, of any kind; OK when there is nothing. */
int side_file_discard(const char *folder, level_t level, const char *job_id, error_t *error);
/* Removes what users read, of any kind; OK when there is nothing. */
int side_file_remove(const char *folder, level_t level, const char *job_id, error_t *error);

#endif
