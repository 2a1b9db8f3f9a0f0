/* The HTTP server against bytes from a socket: whole requests get to the handler, everything else
 * is answered with a problem or cut off, and nobody holds a thread for long. */
#include "gateway/http/server.h"

#include "common/clock.h"

#include <arpa/inet.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#define BODY_TIMEOUT_MS 1000

/* ---- a handler that says what it got ---- */

typedef struct {
    int pieces;
    int cut;
} pieces_t;

static int next_piece(void *state, const char **piece, size_t *length, error_t *error)
{
    pieces_t *self = state;
    if (self->pieces-- == 0) {
        *piece = "";
        *length = 0;
        return self->cut ? error_set(error, ERR_IO, "cut") : OK;
    }
    *piece = "piece\n";
    *length = 6;
    return OK;
}

static void echo(void *context, const http_request_t *request, http_response_t *response)
{
    (void)context;
    if (strcmp(request->path, "/stream") == 0 || strcmp(request->path, "/cut") == 0) {
        pieces_t *pieces = malloc(sizeof *pieces);
        *pieces = (pieces_t){3, request->path[1] == 'c'};
        response->stream = (http_stream_t){next_piece, free, pieces};
        response->content_type = "text/plain";
        return;
    }
    response->body = malloc(request->body_length + 256);
    response->body_length = (size_t)sprintf(response->body, "%s %s ? %s # %zu ", request->method,
                                            request->path, request->query, request->body_length);
    memcpy(response->body + response->body_length, request->body, request->body_length);
    response->body_length += request->body_length;
}

static int set_up(void **state)
{
    const http_options_t options = {"127.0.0.1:0", BODY_TIMEOUT_MS, echo, NULL, NULL};
    http_server_t *server;
    error_t error = ERROR_INIT;
    if (http_server_new(&options, &server, &error) != OK)
        fail_msg("%s", error.message);
    *state = server;
    return 0;
}

static int tear_down(void **state)
{
    http_server_t *server = *state;
    http_server_destroy(&server);
    return 0;
}

/* ---- a client that sends what it likes ---- */

static int dial(void *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)http_server_port(server)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void send_all(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL);
        if (sent <= 0)
            return; /* the server has closed: what it said is read next */
        bytes += sent;
        length -= (size_t)sent;
    }
}

/* Everything until the server closes; NUL-terminated. */
static size_t receive_all(int fd, char *out, size_t size)
{
    size_t used = 0;
    struct pollfd item = {fd, POLLIN, 0};
    while (used + 1 < size && poll(&item, 1, 15000) > 0) {
        ssize_t got = recv(fd, out + used, size - used - 1, 0);
        if (got <= 0)
            break;
        used += (size_t)got;
    }
    out[used] = '\0';
    close(fd);
    return used;
}

static void talk(void *server, const char *request, char *out, size_t size)
{
    int fd = dial(server);
    send_all(fd, request, strlen(request));
    receive_all(fd, out, size);
}

static void expect(void *server, const char *request, const char *status, const char *says)
{
    char answer[8192];
    talk(server, request, answer, sizeof answer);
    if (strncmp(answer, "HTTP/1.1 ", 9) != 0 || strncmp(answer + 9, status, 3) != 0 ||
        !strstr(answer, says))
        fail_msg("%s\n-> %s\nwanted %s, %s", request, answer, status, says);
}

#define CLOSE "Connection: close\r\n"

static void a_whole_request_gets_to_the_handler(void **state)
{
    expect(*state, "GET /a%20b/../c?x=%20y HTTP/1.1\r\nHost: h\r\n" CLOSE "\r\n", "200",
           "GET /a%20b/../c ? x=%20y # 0 ");
    expect(*state, "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n" CLOSE "\r\nhello", "200",
           "POST /p ?  # 5 hello");
    expect(*state,
           "POST /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n" CLOSE
           "\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
           "200", "# 5 hello");
    expect(*state, "POST /p HTTP/1.1\r\nHost: h\r\n" CLOSE "\r\n", "200", "# 0 ");
}

static void the_answer_has_the_security_headers(void **state)
{
    char answer[8192];
    talk(*state, "GET / HTTP/1.1\r\nHost: h\r\nX-Request-ID: mine-1\r\n" CLOSE "\r\n", answer,
         sizeof answer);
    assert_non_null(strstr(answer, "X-Request-ID: mine-1\r\n"));
    assert_non_null(strstr(answer, "X-Content-Type-Options: nosniff\r\n"));
    assert_non_null(strstr(answer, "Cache-Control: no-store\r\n"));
    assert_non_null(strstr(answer, "Content-Security-Policy: default-src 'none'"));
    assert_non_null(strstr(answer, "Date: "));
    assert_null(strstr(answer, "Server:"));
}

static void a_connection_is_kept_for_the_next_request(void **state)
{
    char answer[8192];
    talk(*state,
         "POST /1 HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nxGET /2 HTTP/1.1\r\nHost: h\r\n"
         "\r\nGET /3 HTTP/1.1\r\nHost: h\r\n" CLOSE "\r\n",
         answer, sizeof answer);
    assert_non_null(strstr(answer, "POST /1 ?  # 1 x"));
    assert_non_null(strstr(answer, "GET /2 "));
    assert_non_null(strstr(answer, "GET /3 "));
}

static void what_is_no_request_gets_a_problem(void **state)
{
    static const char *const BAD[] = {
        "NONSENSE\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "BREW /pot HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET noslash HTTP/1.1\r\nHost: h\r\n\r\n",
        "\x16\x03\x01\x02\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        char answer[8192];
        talk(*state, BAD[i], answer, sizeof answer);
        if (strncmp(answer, "HTTP/1.1 4", 10) != 0 && strncmp(answer, "HTTP/1.1 505", 12) != 0)
            fail_msg("%s -> %s", BAD[i], answer);
        assert_non_null(strstr(answer, "application/problem+json"));
        assert_null(strstr(answer, "civetweb"));
    }
}

static void two_lengths_are_refused(void **state)
{
    expect(*state,
           "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
           "0\r\n\r\n",
           "400", "not both");
    expect(*state, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3abc\r\n\r\nabc", "400",
           "not a number");
    expect(*state, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +3\r\n\r\nabc", "400", "number");
    expect(*state, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n", "400", "head");
}

/* Each hides a second request in what another reader takes for the body of the first. */
static void a_head_of_two_meanings_is_refused(void **state)
{
#define HIDDEN "GET /hidden HTTP/1.1\r\nHost: h\r\n\r\n"
    static const char *const HEADS[] = {
        "Content-Length: 0\r\nContent-Length: 36\r\n",
        "Content-Length: 36\r\nContent-Length: 0\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length:\r\n",
        "Content-Length : 36\r\n",
        "X-Folded: a\r\n b\r\nContent-Length: 36\r\n",
        "X-Folded: a\r\n\tb\r\nContent-Length: 36\r\n",
        ": no name\r\nContent-Length: 36\r\n",
        "Host: other\r\n",
    };
    for (size_t i = 0; i < sizeof HEADS / sizeof HEADS[0]; i++) {
        char request[512], answer[8192];
        snprintf(request, sizeof request, "POST /p HTTP/1.1\r\nHost: h\r\n%s\r\n" HIDDEN, HEADS[i]);
        talk(*state, request, answer, sizeof answer);
        if (strncmp(answer, "HTTP/1.1 4", 10) != 0 || strstr(answer, "/hidden"))
            fail_msg("%s\n-> %s", request, answer);
    }
}

static void a_length_after_too_many_headers_is_not_overlooked(void **state)
{
    char request[4096], answer[8192];
    size_t used = (size_t)sprintf(request, "GET /p HTTP/1.1\r\nHost: h\r\n");
    for (int i = 0; i < 63; i++)
        used += (size_t)sprintf(request + used, "X-%d: y\r\n", i);
    sprintf(request + used, "Content-Length: 36\r\n\r\n" HIDDEN);
    talk(*state, request, answer, sizeof answer);
    assert_int_equal(strncmp(answer, "HTTP/1.1 4", 10), 0);
    assert_null(strstr(answer, "/hidden"));
}

static void a_body_too_large_is_refused_unread(void **state)
{
    expect(*state, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 65537\r\n\r\n", "413", "65536");
    expect(*state, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 999999999999999999\r\n\r\n",
           "413", "65536");
    size_t length = 70000;
    char *request = malloc(length + 200);
    size_t used = (size_t)sprintf(request, "POST / HTTP/1.1\r\nHost: h\r\n"
                                           "Transfer-Encoding: chunked\r\n\r\n11170\r\n");
    memset(request + used, 'x', length);
    request[used + length] = '\0';
    expect(*state, request, "413", "more than 65536");
    free(request);
}

static void the_largest_body_is_read(void **state)
{
    char *request = malloc(HTTP_BODY_LIMIT + 200), *answer = malloc(HTTP_BODY_LIMIT + 4096);
    size_t used = (size_t)sprintf(
        request, "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: %u\r\n" CLOSE "\r\n",
        HTTP_BODY_LIMIT);
    memset(request + used, 'x', HTTP_BODY_LIMIT);
    request[used + HTTP_BODY_LIMIT] = '\0';
    talk(*state, request, answer, HTTP_BODY_LIMIT + 4096);
    assert_non_null(strstr(answer, "# 65536 xxxx"));
    free(request);
    free(answer);
}

/* As many bytes as are read and no more: what stays unread could reset the connection before the
 * answer is seen. */
static void a_head_too_long_is_refused(void **state)
{
    char request[16384 + 1];
    size_t used = (size_t)sprintf(request, "GET / HTTP/1.1\r\nX-Long: ");
    memset(request + used, 'a', sizeof request - 1 - used);
    request[sizeof request - 1] = '\0';
    expect(*state, request, "400", "16384");
}

static void a_body_that_does_not_come_is_given_up(void **state)
{
    char answer[8192];
    int fd = dial(*state);
    const char *head = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 60\r\n\r\n";
    int64_t before = clock_monotonic_ms();
    send_all(fd, head, strlen(head));
    for (int i = 0; i < 8; i++) { /* a byte now and then: each in time, the body never */
        send_all(fd, "x", 1);
        usleep(200000);
    }
    receive_all(fd, answer, sizeof answer);
    assert_true(clock_monotonic_ms() - before < 10000);
    assert_int_equal(strncmp(answer, "HTTP/1.1 408", 12), 0);
    fd = dial(*state);
    send_all(fd, head, strlen(head));
    shutdown(fd, SHUT_WR);
    receive_all(fd, answer, sizeof answer);
    assert_int_equal(strncmp(answer, "HTTP/1.1 400", 12), 0);
}

static void a_client_may_ask_before_it_sends(void **state)
{
    char answer[8192];
    int fd = dial(*state);
    const char *head =
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n" CLOSE "Expect: 100-continue\r\n\r\n";
    send_all(fd, head, strlen(head));
    assert_int_equal(recv(fd, answer, 25, MSG_WAITALL), 25);
    assert_memory_equal(answer, "HTTP/1.1 100 Continue\r\n\r\n", 25);
    send_all(fd, "ok", 2);
    receive_all(fd, answer, sizeof answer);
    assert_non_null(strstr(answer, "# 2 ok"));
}

static void head_has_the_length_and_no_body(void **state)
{
    char answer[8192];
    talk(*state, "HEAD /h HTTP/1.1\r\nHost: h\r\n" CLOSE "\r\n", answer, sizeof answer);
    assert_non_null(strstr(answer, "Content-Length: 15\r\n"));
    assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
}

static void a_stream_ends_with_its_last_chunk(void **state)
{
    char answer[8192];
    talk(*state, "GET /stream HTTP/1.1\r\nHost: h\r\n" CLOSE "\r\n", answer, sizeof answer);
    assert_non_null(strstr(answer, "Transfer-Encoding: chunked\r\n"));
    assert_non_null(strstr(answer, "6\r\npiece\n\r\n"));
    assert_string_equal(answer + strlen(answer) - 5, "0\r\n\r\n");
    talk(*state, "GET /stream HTTP/1.0\r\n\r\n", answer, sizeof answer);
    assert_null(strstr(answer, "chunked"));
    assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\npiece\npiece\npiece\n");
}

static void a_stream_that_fails_is_cut(void **state)
{
    char answer[8192];
    talk(*state, "GET /cut HTTP/1.1\r\nHost: h\r\n\r\n", answer, sizeof answer);
    assert_non_null(strstr(answer, "6\r\npiece\n\r\n"));
    assert_null(strstr(answer, "\r\n0\r\n\r\n"));
}

static void a_taken_port_is_named(void **state)
{
    char listen[40];
    error_t error = ERROR_INIT;
    http_server_t *second;
    snprintf(listen, sizeof listen, "127.0.0.1:%d", http_server_port(*state));
    const http_options_t options = {listen, 1000, echo, NULL, NULL};
    assert_int_equal(http_server_new(&options, &second, &error), ERR_UNAVAILABLE);
    assert_non_null(strstr(error.message, listen));
    assert_string_equal(error.field, "http_listen");
    const http_options_t nonsense = {"here", 1000, echo, NULL, NULL};
    assert_int_equal(http_server_new(&nonsense, &second, &error), ERR_USAGE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_whole_request_gets_to_the_handler),
        TEST(the_answer_has_the_security_headers),
        TEST(a_connection_is_kept_for_the_next_request),
        TEST(what_is_no_request_gets_a_problem),
        TEST(two_lengths_are_refused),
        TEST(a_head_of_two_meanings_is_refused),
        TEST(a_length_after_too_many_headers_is_not_overlooked),
        TEST(a_body_too_large_is_refused_unread),
        TEST(the_largest_body_is_read),
        TEST(a_head_too_long_is_refused),
        TEST(a_body_that_does_not_come_is_given_up),
        TEST(a_client_may_ask_before_it_sends),
        TEST(head_has_the_length_and_no_body),
        TEST(a_stream_ends_with_its_last_chunk),
        TEST(a_stream_that_fails_is_cut),
        TEST(a_taken_port_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
