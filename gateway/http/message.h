/* message.h - a request and a response as routes see them: plain data, no library, no socket. */
#ifndef STAGE4_GATEWAY_HTTP_MESSAGE_H
#define STAGE4_GATEWAY_HTTP_MESSAGE_H

#include "common/error.h"

#include <stddef.h>

#define HTTP_BODY_LIMIT (64u << 10)
#define REQUEST_ID_SIZE 72

/* All text is borrowed for the request's life; never NULL, "" for a header that is not there. */
typedef struct {
    const char *method;
    const char *path;  /* as sent: percent-encoded, without the query */
    const char *query; /* as sent, without the '?' */
    const char *content_type;
    const char *idempotency_key;
    const char *forwarded_prefix;
    const char *body; /* NUL-terminated after body_length bytes */
    size_t body_length;
    char request_id[REQUEST_ID_SIZE];
} http_request_t;

/* Gives a long answer piece by piece. *chunk lives until the next call; *length 0 is the end. An
 * error after the first piece cuts the connection, so that nobody takes half for whole. */
typedef struct {
    int (*next)(void *state, const char **chunk, size_t *length, error_t *error);
    void (*release)(void *state);
    void *state;
} http_stream_t;

typedef struct {
    int status;               /* 200 unless set */
    const char *content_type; /* application/json unless set */
    char *body;               /* malloc'd; freed by http_response_clear; NULL none */
    size_t body_length;
    http_stream_t stream; /* used when .next is set, instead of the body */
    char location[512];   /* "" none; as are the next */
    char allow[64];
    int retry_after_s;   /* 0 none */
    int close;           /* 1: the connection ends with this answer */
    const char *pattern; /* of the route that answered, for the log; "" when none did */
    error_t cause;       /* what went wrong, for the log only; code OK when nothing did */
} http_response_t;

void http_response_clear(http_response_t *self);

/* The text of a status code: "Not Found"; "Unknown" for one that this service never gives. */
const char *http_status_text(int status);

#endif
