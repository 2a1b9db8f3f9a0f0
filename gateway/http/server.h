/* server.h - the HTTP server: reads whole requests, hands them to one handler, writes its answer.
 *
 * Bounds: the head of a request 16 KiB, its body HTTP_BODY_LIMIT bytes and BODY_TIMEOUT;
 * connections are served by HTTP_THREADS threads. What never becomes a request (a bad head, a body
 * too large) is answered here. server.c is the only file that includes civetweb. */
#ifndef STAGE4_GATEWAY_HTTP_SERVER_H
#define STAGE4_GATEWAY_HTTP_SERVER_H

#include "common/error.h"
#include "common/log.h"
#include "gateway/http/message.h"

#define HTTP_THREADS 128 /* each slow client holds one, for 10 s at most */

typedef struct http_server http_server_t;

/* Fills `response`, which comes zeroed; called from many threads at once. */
typedef void (*http_handler_t)(void *context, const http_request_t *request,
                               http_response_t *response);

typedef struct {
    const char *listen; /* "127.0.0.1:8000"; port 0 lets the system choose */
    int body_timeout_ms;
    http_handler_t handler;
    void *context;
    log_t *log; /* borrowed */
} http_options_t;

/* Serves until destroyed. ERR_UNAVAILABLE naming the address when it is taken, ERR_USAGE when it
 * cannot be one. */
int http_server_new(const http_options_t *options, http_server_t **out, error_t *error);
/* Lets the requests that are being answered finish. */
void http_server_destroy(http_server_t **self);
int http_server_port(const http_server_t *self);

#endif
