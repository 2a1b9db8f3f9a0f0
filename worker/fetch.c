#include "worker/fetch.h"

#include <stdlib.h>
#include <string.h>

void fetch_start(fetch_t *self, const char *job_id, const sha256_t *sha256)
{
    fetch_clear(self);
    self->active = 1;
    self->sha256 = *sha256;
    memccpy(self->job_id, job_id, 0, sizeof self->job_id - 1);
    self->asked_ms = INT64_MIN;
}

void fetch_clear(fetch_t *self)
{
    free(self->bytes);
    memset(self, 0, sizeof *self);
}

void fetch_request(const fetch_t *self, worker_message_t *out)
{
    memset(out, 0, sizeof *out);
    out->kind = MSG_FETCH;
    out->sha256 = self->sha256;
    memcpy(out->job_id, self->job_id, sizeof out->job_id);
    out->offset = self->received;
}

/* The first chunk says how much there will be; the later ones must agree. */
static int begin(fetch_t *self, uint64_t total, error_t *error)
{
    if (self->bytes)
        return total == self->total
                   ? OK
                   : error_set(error, ERR_NOT_FOUND, "an input changed its size on the way");
    if (total > WORKER_PAYLOAD_LIMIT)
        return error_set(error, ERR_TOO_LARGE, "an input of %llu bytes; at most %llu are possible",
                         (unsigned long long)total, WORKER_PAYLOAD_LIMIT);
    self->bytes = malloc((size_t)total + 1);
    if (!self->bytes)
        return error_set(error, ERR_MEMORY, "no memory for an input of %llu bytes",
                         (unsigned long long)total);
    self->total = (size_t)total;
    return OK;
}

static int append(fetch_t *self, const void *bytes, size_t length, error_t *error)
{
    if (length > self->total - self->received || (!length && self->received < self->total))
        return error_set(error, ERR_NOT_FOUND, "an input came with %zu bytes at %zu of %zu", length,
                         self->received, self->total);
    if (length)
        memcpy(self->bytes + self->received, bytes, length);
    self->received += length;
    return OK;
}

int fetch_accept(fetch_t *self, const worker_message_t *blob, const void *bytes, size_t length,
                 int *complete, error_t *error)
{
    *complete = 0;
    if (!self->active || !sha256_equal(&self->sha256, &blob->sha256))
        return OK;
    if (blob->error.code) {
        if (error)
            *error = blob->error;
        return blob->error.code;
    }
    if (blob->offset != self->received)
        return OK; /* an answer to a question asked twice */
    int code = begin(self, blob->total, error);
    if (!code)
        code = append(self, bytes, length, error);
    if (code || self->received < self->total)
        return code;
    sha256_t got = sha256_of(self->bytes, self->total);
    if (!sha256_equal(&got, &self->sha256))
        return error_set(error, ERR_NOT_FOUND, "an input of %zu bytes arrived damaged",
                         self->total);
    *complete = 1;
    return OK;
}

uint8_t *fetch_take(fetch_t *self, size_t *length)
{
    uint8_t *bytes = self->bytes;
    *length = self->total;
    self->bytes = NULL;
    fetch_clear(self);
    return bytes;
}
