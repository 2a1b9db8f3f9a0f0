#include "gateway/http/server.h"

#include "common/clock.h"
#include "common/net/actor.h"
#include "gateway/http/request_id.h"
#include "gateway/routes/problem.h"

#include <arpa/inet.h>
#include <civetweb.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define HEAD_SIZE 2048
#define TEXT_OF(number) TEXT_OF_EXPANDED(number)
#define TEXT_OF_EXPANDED(number) #number

struct http_server {
    http_options_t options;
    struct mg_context *context;
    char start_message[256]; /* what civetweb said first while starting; constant afterwards */
    int started;
};

static http_server_t *server_of(const struct mg_connection *connection)
{
    return mg_get_user_data(mg_get_context(connection));
}

static const char *header_of(const struct mg_connection *connection, const char *name)
{
    const char *value = mg_get_header(connection, name);
    return value ? value : "";
}

/* ---- writing ---- */

static size_t append(char *head, size_t used, const char *name, const char *value)
{
    if (value[0] == '\0' || used >= HEAD_SIZE)
        return used;
    return used + (size_t)snprintf(head + used, HEAD_SIZE - used, "%s: %s\r\n", name, value);
}

static size_t append_date(char *head, size_t used)
{
    char text[64];
    time_t now = (time_t)(clock_wall_ms() / 1000);
    struct tm utc;
    gmtime_r(&now, &utc);
    strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &utc);
    return append(head, used, "Date", text);
}

static size_t append_length(char *head, size_t used, const http_response_t *response)
{
    char text[32];
    if (response->stream.next)
        return append(head, used, "Transfer-Encoding", response->close ? "" : "chunked");
    if (response->status == 204)
        return used;
    snprintf(text, sizeof text, "%zu", response->body_length);
    return append(head, used, "Content-Length", text);
}

/* 1 when all of it is on its way: not so for a reader that has gone, or takes nothing for 10 s. */
static int write_all(struct mg_connection *connection, const char *bytes, size_t length)
{
    return length == 0 || mg_write(connection, bytes, length) == (int)length;
}

static int write_head(struct mg_connection *connection, const http_request_t *request,
                      const http_response_t *response)
{
    char head[HEAD_SIZE], retry[16] = "";
    if (response->retry_after_s > 0)
        snprintf(retry, sizeof retry, "%d", response->retry_after_s);
    size_t used = (size_t)snprintf(head, sizeof head, "HTTP/1.1 %d %s\r\n", response->status,
                                   http_status_text(response->status));
    used = append_date(head, used);
    used = append(head, used, "Content-Type", response->content_type);
    used = append_length(head, used, response);
    used = append(head, used, "Location", response->location);
    used = append(head, used, "Allow", response->allow);
    used = append(head, used, "Retry-After", retry);
    used = append(head, used, "X-Request-ID", request->request_id);
    used = append(head, used, "X-Content-Type-Options", "nosniff");
    used = append(head, used, "Cache-Control", "no-store");
    used =
        append(head, used, "Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'");
    used = append(head, used, "Referrer-Policy", "no-referrer");
    used = append(head, used, "Connection", response->close ? "close" : "keep-alive");
    if (used < sizeof head)
        used += (size_t)snprintf(head + used, sizeof head - used, "\r\n");
    return used < sizeof head && /* its parts are bounded: it always is */
           write_all(connection, head, used);
}

static int is_http_1_0(const struct mg_connection *connection)
{
    const char *version = mg_get_request_info(connection)->http_version;
    return !version || strcmp(version, "1.1") != 0;
}

/* 1 when it is on its way. HTTP/1.0 knows no chunks: there the end of the connection is the end. */
static int write_piece(struct mg_connection *connection, const char *piece, size_t length)
{
    if (is_http_1_0(connection))
        return write_all(connection, piece, length);
    return mg_send_chunk(connection, piece, (unsigned)length) >= 0;
}

/* The last chunk is written only when the stream came to its end: else the reader sees a cut. */
static int64_t write_stream(struct mg_connection *connection, http_response_t *response)
{
    int64_t written = 0;
    const char *piece;
    size_t length;
    do {
        int code = response->stream.next(response->stream.state, &piece, &length, &response->cause);
        if (code != OK || length > INT32_MAX || !write_piece(connection, piece, length)) {
            response->close = 1;
            return written;
        }
        written += (int64_t)length;
    } while (length > 0);
    return written;
}

static int64_t write_response(struct mg_connection *connection, const http_request_t *request,
                              http_response_t *response)
{
    int64_t written = 0;
    if (response->status == 0)
        response->status = 200;
    if (!response->content_type)
        response->content_type = response->status == 204 ? "" : "application/json";
    if (is_http_1_0(connection))
        response->close = 1;
    int sent = write_head(connection, request, response);
    if (sent && strcmp(request->method, "HEAD") != 0) {
        if (response->stream.next)
            written = write_stream(connection, response);
        else if ((sent = write_all(connection, response->body, response->body_length)))
            written = (int64_t)response->body_length;
    }
    if (!sent) /* the requests that it has sent meanwhile would each hold the thread as long */
        response->close = 1;
    if (response->close)
        mg_disable_connection_keep_alive(connection);
    return written;
}

/* ---- reading ---- */

static int is_digits(const char *text)
{
    size_t length = strspn(text, "0123456789");
    return length > 0 && length < 19 && text[length] == '\0';
}

/* How often a header is there; its first value goes to *value, "" when it is not. */
static int count_header(const struct mg_connection *connection, const char *name,
                        const char **value)
{
    const struct mg_request_info *info = mg_get_request_info(connection);
    int count = 0;
    *value = "";
    for (int i = 0; i < info->num_headers; i++) {
        if (strcasecmp(info->http_headers[i].name, name) != 0)
            continue;
        if (count++ == 0)
            *value = info->http_headers[i].value;
    }
    return count;
}

/* The declared length; -1 when chunked. What two readers could understand differently is refused:
 * that is how requests are smuggled past a proxy. */
static int declared_length(const struct mg_connection *connection, long long *length,
                           error_t *error)
{
    const char *declared, *encoding, *host;
    int lengths = count_header(connection, "Content-Length", &declared);
    int encodings = count_header(connection, "Transfer-Encoding", &encoding);
    *length = 0;
    if (count_header(connection, "Host", &host) > 1)
        return error_field(error, ERR_USAGE, "Host", "a request has one Host, not several");
    if (lengths && encodings)
        return error_field(error, ERR_USAGE, "Content-Length",
                           "a request has Content-Length or Transfer-Encoding, not both");
    if (lengths > 1 || encodings > 1)
        return error_field(error, ERR_USAGE, lengths ? "Content-Length" : "Transfer-Encoding",
                           "a request says the length of its body once, not %d times",
                           lengths + encodings);
    if (encodings && strcasecmp(encoding, "chunked") != 0)
        return error_field(error, ERR_USAGE, "Transfer-Encoding",
                           "Transfer-Encoding is \"%.40s\"; only chunked is read", encoding);
    if (lengths && !is_digits(declared))
        return error_field(error, ERR_USAGE, "Content-Length", "Content-Length is not a number");
    *length = encodings ? -1 : strtoll(declared, NULL, 10);
    return OK;
}

/* One byte at a time (most come from civetweb's buffer): mg_read waits for all it is asked for, and
 * somebody who sends a byte a second would hold a thread for hours. */
static int read_bytes(struct mg_connection *connection, long long length, int timeout_ms,
                      char *body, size_t *body_length, error_t *error)
{
    int64_t deadline = clock_monotonic_ms() + timeout_ms;
    size_t used = 0;
    while (length < 0 || used < (size_t)length) {
        char byte;
        int got = mg_read(connection, &byte, 1);
        if (got == 0 && length < 0)
            break;
        if (got < 1 && clock_monotonic_ms() < deadline)
            return error_set(error, ERR_USAGE, "the body ended early or is badly chunked");
        if (got < 1 || clock_monotonic_ms() > deadline)
            return error_set(error, ERR_CANCELLED, "the body did not arrive within %d s",
                             timeout_ms / 1000);
        if (used == HTTP_BODY_LIMIT)
            return error_set(error, ERR_TOO_LARGE, "the body has more than %u bytes",
                             HTTP_BODY_LIMIT);
        body[used++] = byte;
    }
    body[used] = '\0';
    *body_length = used;
    return OK;
}

/* *body is malloc'd, the caller's; NULL when there is none. */
static int read_body(struct mg_connection *connection, int timeout_ms, char **body,
                     size_t *body_length, error_t *error)
{
    long long length;
    int code = declared_length(connection, &length, error);
    if (code != OK || length == 0)
        return code;
    if (length > (long long)HTTP_BODY_LIMIT)
        return error_set(error, ERR_TOO_LARGE, "the body has %lld bytes; at most %u are read",
                         length, HTTP_BODY_LIMIT);
    *body = malloc(HTTP_BODY_LIMIT + 1);
    if (!*body)
        return error_set(error, ERR_MEMORY, "out of memory");
    if (strcasecmp(header_of(connection, "Expect"), "100-continue") == 0)
        mg_write(connection, "HTTP/1.1 100 Continue\r\n\r\n", 25);
    return read_bytes(connection, length, timeout_ms, *body, body_length, error);
}

static void fill_request(const struct mg_connection *connection, http_request_t *request)
{
    const struct mg_request_info *info = mg_get_request_info(connection);
    *request = (http_request_t){
        .method = info->request_method ? info->request_method : "",
        .path = info->local_uri_raw ? info->local_uri_raw : "",
        .query = info->query_string ? info->query_string : "",
        .content_type = header_of(connection, "Content-Type"),
        .idempotency_key = header_of(connection, "Idempotency-Key"),
        .forwarded_prefix = header_of(connection, "X-Forwarded-Prefix"),
        .body = "",
    };
    request_id_make(header_of(connection, "X-Request-ID"), request->request_id);
}

/* ---- civetweb's callbacks ---- */

/* One line a request. The route's pattern and not the path: no value a user sent is logged. */
static void log_access(const http_server_t *self, const http_request_t *request,
                       const http_response_t *response, int64_t started_ms, int64_t bytes)
{
    log_level_t level = response->status >= 500 ? LOG_ERROR : LOG_INFO;
    const char *pattern = response->pattern ? response->pattern : "";
    if (response->cause.code == OK)
        log_event(self->options.log, level, "request", LOG_TEXT("request_id", request->request_id),
                  LOG_TEXT("method", request->method), LOG_TEXT("route", pattern),
                  LOG_INT("status", response->status), LOG_INT("bytes", bytes),
                  LOG_INT("duration_ms", clock_monotonic_ms() - started_ms));
    else
        log_event(self->options.log, level, "request", LOG_TEXT("request_id", request->request_id),
                  LOG_TEXT("method", request->method), LOG_TEXT("route", pattern),
                  LOG_INT("status", response->status), LOG_INT("bytes", bytes),
                  LOG_INT("duration_ms", clock_monotonic_ms() - started_ms),
                  LOG_TEXT("error", error_name(response->cause.code)),
                  LOG_TEXT("cause", response->status >= 500 ? response->cause.message : ""));
}

static int on_request(struct mg_connection *connection)
{
    http_server_t *self = server_of(connection);
    int64_t started_ms = clock_monotonic_ms();
    http_request_t request;
    http_response_t response;
    error_t error = ERROR_INIT;
    char *body = NULL;
    memset(&response, 0, sizeof response);
    fill_request(connection, &request);
    int code =
        read_body(connection, self->options.body_timeout_ms, &body, &request.body_length, &error);
    if (code == OK) {
        request.body = body ? body : "";
        self->options.handler(self->options.context, &request, &response);
    } else {
        problem_respond(&response, request.path, code == ERR_CANCELLED ? 408 : 0, &error);
        response.close = 1; /* what is left of the body is not read */
    }
    int64_t bytes = write_response(connection, &request, &response);
    log_access(self, &request, &response, started_ms, bytes);
    int status = response.status;
    http_response_clear(&response);
    free(body);
    return status;
}

/* What civetweb refuses by itself: a head that is no HTTP, too long, of another version. */
static int on_http_error(struct mg_connection *connection, int status, const char *message)
{
    http_server_t *self = server_of(connection);
    http_request_t request = {.method = "", .path = "", .query = ""};
    http_response_t response;
    error_t error = ERROR_INIT;
    (void)message;
    memset(&response, 0, sizeof response);
    request_id_make("", request.request_id);
    error_set(
        &error, ERR_USAGE,
        "the head of the request is not valid HTTP/1.1, has more than 16384 bytes or came too "
        "slowly");
    problem_respond(&response, "", status, &error);
    response.close = 1;
    write_response(connection, &request, &response);
    log_access(self, &request, &response, clock_monotonic_ms(), (int64_t)response.body_length);
    http_response_clear(&response);
    return 0;
}

/* During the start this says why it failed; later it is noise about single connections. */
static int on_log_message(const struct mg_connection *connection, const char *message)
{
    http_server_t *self = connection ? server_of(connection) : NULL;
    if (self && !self->started && !self->start_message[0])
        snprintf(self->start_message, sizeof self->start_message, "%s", message);
    else if (self)
        log_event(self->options.log, LOG_DEBUG, "http_library", LOG_TEXT("message", message));
    return 1;
}

int http_server_new(const http_options_t *options, http_server_t **out, error_t *error)
{
    const char *settings[] = {
        "listening_ports",
        options->listen,
        "num_threads",
        TEXT_OF(HTTP_THREADS),
        "request_timeout_ms",
        "10000",
        "enable_keep_alive",
        "yes",
        "keep_alive_timeout_ms",
        "1000",
        "max_request_size",
        "16384",
        "decode_url",
        "no",
        "tcp_nodelay",
        "1",
        "linger_timeout_ms",
        "1000",
        NULL,
    };
    struct mg_callbacks callbacks = {
        .begin_request = on_request,
        .http_error = on_http_error,
        .log_message = on_log_message,
    };
    http_server_t *self = calloc(1, sizeof *self);
    *out = NULL;
    if (!self)
        return error_set(error, ERR_MEMORY, "out of memory");
    self->options = *options;
    self->context = mg_start(&callbacks, self, settings);
    if (!self->context) {
        int taken = strstr(self->start_message, "cannot bind") != NULL;
        error_field(error, taken ? ERR_UNAVAILABLE : ERR_USAGE, "http_listen",
                    "cannot listen on %s: %s", options->listen,
                    taken ? "the address is taken or not of this machine"
                          : "it must be HOST:PORT, with a number for the host");
        free(self);
        return taken ? ERR_UNAVAILABLE : ERR_USAGE;
    }
    self->started = 1;
    *out = self;
    return OK;
}

/* ---- stopping ---- */

#define POKE_MS 20

/* In a thread of its own: it waits for the threads of the library. */
static void stop(net_pipe_t *pipe, void *argument)
{
    void *item;
    mg_stop(argument);
    net_pipe_put(pipe, argument);
    while (net_pipe_take(pipe, -1, &item) > 0)
        ;
}

static void keep(void *item) { (void)item; }

/* The library looks at its stop flag when it accepts somebody, or else every two seconds. */
static void poke(const http_server_t *self, int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    char host[64];
    snprintf(host, sizeof host, "%.*s", (int)strcspn(self->options.listen, ":"),
             self->options.listen);
    int caller = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (caller < 0)
        return;
    if (inet_pton(AF_INET, host, &address.sin_addr) == 1)
        (void)!connect(caller, (const struct sockaddr *)&address, sizeof address);
    close(caller);
}

void http_server_destroy(http_server_t **self)
{
    net_actor_t *stopper = NULL;
    void *item;
    if (!*self)
        return;
    int port = http_server_port(*self); /* while there is a server to ask */
    if (net_actor_new(stop, (*self)->context, keep, &stopper, NULL) == OK)
        while (net_pipe_take(net_actor_pipe(stopper), POKE_MS, &item) == 0)
            poke(*self, port);
    else
        mg_stop((*self)->context);
    net_actor_destroy(&stopper);
    free(*self);
    *self = NULL;
}

int http_server_port(const http_server_t *self)
{
    struct mg_server_port port;
    return mg_get_server_ports(self->context, 1, &port) == 1 ? port.port : -1;
}
