/* http_client.h - one request to a gateway, by libcurl; this file pair alone knows it. */
#ifndef STAGE4_CLI_HTTP_CLIENT_H
#define STAGE4_CLI_HTTP_CLIENT_H

#include "common/error.h"

#include <stddef.h>
#include <stdio.h>

typedef struct {
    long status;
    char *body; /* NUL-terminated, never NULL after OK */
    size_t length;
} http_answer_t;

void http_answer_clear(http_answer_t *self);

typedef struct {
    const char *url;    /* of the gateway: "http://127.0.0.1:8000" */
    const char *method; /* "GET", "POST" */
    const char *path;   /* "/api/v1/...", already escaped */
    const char *body;   /* JSON; NULL none */
    const char *key;    /* Idempotency-Key; NULL none */
    FILE *sink; /* takes the body of a 2xx answer as it comes; NULL: it goes to the answer */
} http_question_t;

/* OK for a 2xx answer. What a gateway refuses becomes the error that its problem+json names, in
 * its words. ERR_UNAVAILABLE when nobody answers there, ERR_PROTOCOL when it is no gateway,
 * ERR_TOO_LARGE for an answer of more than 1 GiB that has no sink. */
int http_client_call(const http_question_t *request, http_answer_t *out, error_t *error);

/* `text` as one segment of a path or one value of a query. */
void http_client_escape(const char *text, FILE *out);

#endif
