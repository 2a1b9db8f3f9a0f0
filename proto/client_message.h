/* client_message.h - what a gateway or the command line says to the coordinator, and its answers.
 *
 * One DEALER/ROUTER frame, a msgpack map, at most CLIENT_MESSAGE_LIMIT bytes. Bodies are JSON: the
 * coordinator is the one place where a job's status is put into words, a gateway passes it on. */
#ifndef STAGE4_PROTO_CLIENT_MESSAGE_H
#define STAGE4_PROTO_CLIENT_MESSAGE_H

#include "common/error.h"
#include "proto/task.h"

#define CLIENT_MESSAGE_LIMIT (1u << 20)

/*    name            wire       what it asks for */
#define CLIENT_VERBS(X)                                                                            \
    X(VERB_SUBMIT, "submit") /* body: a job spec; answer: the job's status */                      \
    X(VERB_STATUS, "status") /* job_id; answer: its status */                                      \
    X(VERB_LIST, "list")     /* body: {"state":..., "limit":..., "cursor":...} */                  \
    X(VERB_PAUSE, "pause")                                                                         \
    X(VERB_RESUME, "resume")                                                                       \
    X(VERB_CANCEL, "cancel")                                                                       \
    X(VERB_RETRY, "retry")                                                                         \
    X(VERB_INFO, "info")       /* health and statistics of the coordinator and its workers */      \
    X(VERB_METRICS, "metrics") /* answer: the text that Prometheus reads, no JSON */

typedef enum {
#define X(name, wire) name,
    CLIENT_VERBS(X)
#undef X
        CLIENT_VERB_COUNT
} client_verb_t;

const char *client_verb_name(client_verb_t verb);

typedef struct {
    uint64_t request_id; /* chosen by the client, returned in the reply */
    client_verb_t verb;
    char job_id[JOB_ID_SIZE]; /* "" when the verb has none */
    char idempotency_key[80]; /* submit: the same key gives the same job; "" none */
    const char *body;         /* JSON; NULL when none */
    size_t body_length;
} client_request_t;

typedef struct {
    uint64_t request_id;
    error_t error;    /* code OK: body is the answer */
    const char *body; /* JSON; NULL when none */
    size_t body_length;
} client_reply_t;

/* Encoded bytes are malloc'd and the caller's. Decoded strings point into `bytes`. */
int client_request_encode(const client_request_t *self, uint8_t **bytes, size_t *length,
                          error_t *error);
int client_request_decode(const void *bytes, size_t length, client_request_t *out, error_t *error);
int client_reply_encode(const client_reply_t *self, uint8_t **bytes, size_t *length,
                        error_t *error);
int client_reply_decode(const void *bytes, size_t length, client_reply_t *out, error_t *error);

#endif
