/* job_document.h - the row of a committed job as the JSON object that readers get. */
#ifndef STAGE4_PROTO_STORE_JOB_DOCUMENT_H
#define STAGE4_PROTO_STORE_JOB_DOCUMENT_H

#include "common/error.h"

#include <stdint.h>

typedef struct {
    const char *job_id;
    const char *algorithm;
    const char *spec_json;
    const char *report_json;
    const char *output_name; /* "" when none */
    int64_t epoch;
    int64_t level;
    int64_t as_of_ms; /* TIME_NONE when unknown */
    int64_t finished_ms;
    int64_t item_count;
    int64_t noise_count;
    int64_t cluster_count;
} job_document_t;

/* malloc'd text. A spec or report that is no JSON becomes null. */
int job_document(const job_document_t *job, char **json, error_t *error);

#endif
