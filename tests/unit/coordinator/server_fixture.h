/* server_fixture.h - a real coordinator in a thread, and a client of it. */
#ifndef STAGE4_TESTS_UNIT_SERVER_FIXTURE_H
#define STAGE4_TESTS_UNIT_SERVER_FIXTURE_H

#include "common/clock.h"
#include "common/net/socket.h"
#include "common/net/start.h"
#include "coordinator/coordinator.h"
#include "proto/client_message.h"
#include "proto/worker_message.h"

#include <jansson.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define INDICES TEST_DATA "/wiki2015"
#define PATIENCE_MS 20000
#define JOB "{\"embedding_type\":\"events\",\"algorithm\":\"hdbscan\"}"

typedef struct {
    char folder[64];
    char clients[64];
    char workers[64];
    pthread_t thread;
    atomic_int stop;
    coordinator_options_t options;
    int code;
    error_t error;
} server_t;

static const net_options_t NET = {.frame_limit = WORKER_PAYLOAD_LIMIT, .queue_limit = 100};

static inline void *run(void *argument)
{
    server_t *self = argument;
    self->code = coordinator_run(&self->options, &self->stop, &self->error);
    return NULL;
}

static inline int start(void **state)
{
    static int number;
    server_t *self = calloc(1, sizeof *self);
    snprintf(self->folder, sizeof self->folder, "/tmp/stage4-coordinator-XXXXXX");
    if (!mkdtemp(self->folder))
        return -1;
    number++;
    snprintf(self->clients, sizeof self->clients, "inproc://test-clients-%d", number);
    snprintf(self->workers, sizeof self->workers, "inproc://test-workers-%d", number);
    self->options = (coordinator_options_t){.client_endpoint = self->clients,
                                            .worker_endpoint = self->workers,
                                            .indices_folder = INDICES,
                                            .state_folder = self->folder,
                                            .output_folder = self->folder,
                                            .queue_limit = 3};
    net_start();
    *state = self;
    return pthread_create(&self->thread, NULL, run, self);
}

static inline int finish(void **state)
{
    server_t *self = *state;
    char command[128];
    atomic_store(&self->stop, 1);
    pthread_join(self->thread, NULL);
    snprintf(command, sizeof command, "rm -rf %s", self->folder);
    int code = system(command) || self->code;
    free(self);
    return code;
}

/* ---- a client ---- */

static inline int ask(server_t *self, client_verb_t verb, const char *job_id, const char *body,
                      const char *key, json_t **json)
{
    client_request_t request = {
        .request_id = 5, .verb = verb, .body = body, .body_length = body ? strlen(body) : 0};
    net_socket_t *socket;
    net_message_t message;
    client_reply_t reply;
    uint8_t *bytes;
    size_t length;
    int64_t until_ms = clock_monotonic_ms() + PATIENCE_MS;
    snprintf(request.job_id, sizeof request.job_id, "%s", job_id);
    snprintf(request.idempotency_key, sizeof request.idempotency_key, "%s", key);
    assert_int_equal(client_request_encode(&request, &bytes, &length, NULL), OK);
    assert_int_equal(net_dealer_connect(self->clients, &NET, &socket, NULL), OK);
    while (net_send(socket, NULL, &(net_frame_t){bytes, length}, 1, NULL))
        assert_true(clock_monotonic_ms() < until_ms);
    net_poll_t item = {.socket = socket};
    while (!net_receive(socket, &message)) {
        assert_true(clock_monotonic_ms() < until_ms);
        net_poll(&item, 1, 20);
    }
    assert_int_equal(
        client_reply_decode(message.frames[0].bytes, message.frames[0].length, &reply, NULL), OK);
    assert_int_equal(reply.request_id, 5);
    *json = reply.error.code       ? NULL
            : verb == VERB_METRICS ? json_stringn(reply.body, reply.body_length)
                                   : json_loadb(reply.body, reply.body_length, 0, NULL);
    int code = reply.error.code;
    net_message_clear(&message);
    net_socket_close(&socket);
    free(bytes);
    return code;
}

static inline void submit_with_key(server_t *self, const char *key, char job_id[JOB_ID_SIZE])
{
    json_t *status;
    assert_int_equal(ask(self, VERB_SUBMIT, "", JOB, key, &status), OK);
    snprintf(job_id, JOB_ID_SIZE, "%s", json_string_value(json_object_get(status, "job_id")));
    json_decref(status);
}

static inline void submit(server_t *self, char job_id[JOB_ID_SIZE])
{
    submit_with_key(self, "", job_id);
}

static inline json_t *wait_for_state(server_t *self, const char *job_id, const char *state)
{
    int64_t until_ms = clock_monotonic_ms() + PATIENCE_MS;
    for (;;) {
        json_t *status;
        assert_int_equal(ask(self, VERB_STATUS, job_id, NULL, "", &status), OK);
        if (!strcmp(json_string_value(json_object_get(status, "state")), state))
            return status;
        json_decref(status);
        assert_true(clock_monotonic_ms() < until_ms);
        usleep(10000);
    }
}

#endif
