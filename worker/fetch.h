/* fetch.h - one input on its way from the coordinator, put together from chunks.
 *
 * Plain data and no socket: the worker sends what fetch_request says and hands in what arrives. */
#ifndef STAGE4_WORKER_FETCH_H
#define STAGE4_WORKER_FETCH_H

#include "common/error.h"
#include "proto/worker_message.h"

typedef struct {
    int active;
    sha256_t sha256;
    char job_id[JOB_ID_SIZE];
    uint8_t *bytes; /* owned; NULL before the first chunk */
    size_t total;
    size_t received;
    int64_t asked_ms; /* when the last request went out; INT64_MIN: not yet */
} fetch_t;

void fetch_start(fetch_t *self, const char *job_id, const sha256_t *sha256);
void fetch_clear(fetch_t *self);

/* Fills the message that asks for the next chunk. */
void fetch_request(const fetch_t *self, worker_message_t *out);

/* A chunk has come. OK, with *complete = 1 when all bytes are there and their hash is right; then
 * fetch_take gives them. Chunks of something else or of another offset are ignored. An error ends
 * the fetch: what the coordinator said, ERR_MEMORY, or ERR_NOT_FOUND when the bytes are damaged. */
int fetch_accept(fetch_t *self, const worker_message_t *blob, const void *bytes, size_t length,
                 int *complete, error_t *error);
uint8_t *fetch_take(fetch_t *self, size_t *length); /* malloc'd, the caller's; clears the fetch */

#endif
