/* coordinator_client.h - questions to the coordinator and its answers, from any number of threads.
 *
 * One thread owns the socket; a call hands its question over and waits. Questions are told apart by
 * their request_id, so a slow one holds up nobody else. Nothing is asked twice: a question that was
 * on its way when the coordinator died ends in ERR_UNAVAILABLE, and the caller decides. */
#ifndef STAGE4_GATEWAY_COORDINATOR_CLIENT_H
#define STAGE4_GATEWAY_COORDINATOR_CLIENT_H

#include "common/error.h"
#include "proto/client_message.h"

typedef struct coordinator_client coordinator_client_t;

/* `endpoint`: "tcp://127.0.0.1:5570" or "inproc://clients". OK also while nobody is there yet. */
int coordinator_client_new(const char *endpoint, coordinator_client_t **out, error_t *error);
/* Calls that are waiting end with ERR_UNAVAILABLE; no new one may come. */
void coordinator_client_destroy(coordinator_client_t **self);

/* Thread-safe. `job_id`, `key` and `body` may be NULL. *answer_json: malloc'd, NUL-terminated, the
 * caller's; NULL unless OK. ERR_UNAVAILABLE when no answer came within timeout_ms; else what the
 * coordinator said. */
int coordinator_client_call(coordinator_client_t *self, client_verb_t verb, const char *job_id,
                            const char *key, const char *body, size_t body_length, int timeout_ms,
                            char **answer_json, error_t *error);

#endif
