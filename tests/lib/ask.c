/* ask ENDPOINT VERB [JOB_ID|-] [BODY] [KEY] - says one thing to a coordinator's client socket and
 * prints the JSON it answers; the exit status is that of the error. For the end-to-end tests. */
#include "common/clock.h"
#include "common/net/socket.h"
#include "proto/client_message.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATIENCE_MS 10000

static int find_verb(const char *name, client_verb_t *out)
{
    for (int i = 0; i < CLIENT_VERB_COUNT; i++) {
        if (!strcmp(name, client_verb_name((client_verb_t)i))) {
            *out = (client_verb_t)i;
            return 1;
        }
    }
    return 0;
}

static int ask(net_socket_t *socket, const client_request_t *request, error_t *error)
{
    uint8_t *bytes = NULL;
    size_t length;
    net_message_t answer;
    net_poll_t item = {.socket = socket};
    int64_t until_ms = clock_monotonic_ms() + PATIENCE_MS;
    int code = client_request_encode(request, &bytes, &length, error);
    if (code)
        return code;
    while ((code = net_send(socket, NULL, &(net_frame_t){bytes, length}, 1, error)) &&
           clock_monotonic_ms() < until_ms)
        net_poll(&item, 1, 20);
    free(bytes);
    while (!code && !item.ready && clock_monotonic_ms() < until_ms)
        net_poll(&item, 1, 100);
    if (code || !net_receive(socket, &answer))
        return code ? code : error_set(error, ERR_UNAVAILABLE, "no answer");
    client_reply_t reply;
    code = client_reply_decode(answer.frames[0].bytes, answer.frames[0].length, &reply, error);
    if (!code && reply.error.code) {
        *error = reply.error;
        code = reply.error.code;
    } else if (!code) {
        printf("%.*s\n", (int)reply.body_length, reply.body);
    }
    net_message_clear(&answer);
    return code;
}

int main(int argc, char **argv)
{
    error_t error = ERROR_INIT;
    client_request_t request = {.request_id = 1};
    net_options_t options = {.frame_limit = CLIENT_MESSAGE_LIMIT, .queue_limit = 10};
    net_socket_t *socket;
    if (argc < 3 || !find_verb(argv[2], &request.verb)) {
        fprintf(stderr, "usage: ask ENDPOINT VERB [JOB_ID|-] [BODY] [KEY]\n");
        return 2;
    }
    if (argc > 3 && strcmp(argv[3], "-") != 0)
        snprintf(request.job_id, sizeof request.job_id, "%s", argv[3]);
    if (argc > 4) {
        request.body = argv[4];
        request.body_length = strlen(argv[4]);
    }
    if (argc > 5)
        snprintf(request.idempotency_key, sizeof request.idempotency_key, "%s", argv[5]);
    int code = net_dealer_connect(argv[1], &options, &socket, &error);
    if (!code)
        code = ask(socket, &request, &error);
    net_socket_close(&socket);
    if (code)
        fprintf(stderr, "%s %s: %s\n", error_name(code), error.field, error.message);
    return error_exit_code(code);
}
