/* Questions over a real socket: each thread gets its own answer, whatever the order, and nobody
 * waits for ever. The peer is a router socket that this test answers on. */
#include "gateway/coordinator_client.h"

#include "common/clock.h"
#include "common/net/socket.h"
#include "common/net/start.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define ENDPOINT "tcp://127.0.0.1:*"
#define THREADS 8
#define CALLS 50

typedef struct {
    net_socket_t *router;
    coordinator_client_t *client;
} pair_t;

static int set_up(void **state)
{
    const net_options_t options = {CLIENT_MESSAGE_LIMIT, 1000, 0, 0};
    pair_t *self = calloc(1, sizeof *self);
    net_start();
    assert_int_equal(net_router_bind(ENDPOINT, &options, &self->router, NULL), OK);
    assert_int_equal(coordinator_client_new(net_socket_endpoint(self->router), &self->client, NULL),
                     OK);
    *state = self;
    return 0;
}

static int tear_down(void **state)
{
    pair_t *self = *state;
    coordinator_client_destroy(&self->client);
    net_socket_close(&self->router);
    free(self);
    return 0;
}

/* 1 and the next question, or 0 when none comes within the time. */
static int try_question(net_socket_t *router, int wait_ms, net_message_t *message,
                        client_request_t *request)
{
    net_poll_t item = {.socket = router};
    int64_t end = clock_monotonic_ms() + wait_ms;
    while (!net_receive(router, message)) {
        if (clock_monotonic_ms() >= end)
            return 0;
        net_poll(&item, 1, 10);
    }
    assert_int_equal(message->count, 1);
    assert_int_equal(
        client_request_decode(message->frames[0].bytes, message->frames[0].length, request, NULL),
        OK);
    return 1;
}

static net_message_t next_question(net_socket_t *router, client_request_t *request)
{
    net_message_t message;
    assert_true(try_question(router, 30000, &message, request));
    return message;
}

static void answer(net_socket_t *router, const net_peer_t *to, const client_reply_t *reply)
{
    uint8_t *bytes;
    size_t length;
    assert_int_equal(client_reply_encode(reply, &bytes, &length, NULL), OK);
    net_frame_t frame = {bytes, length};
    assert_int_equal(net_send(router, to, &frame, 1, NULL), OK);
    free(bytes);
}

typedef struct {
    coordinator_client_t *client;
    int number;
    int wrong;
} asker_t;

static void *ask_many(void *argument)
{
    asker_t *self = argument;
    for (int i = 0; i < CALLS; i++) {
        char body[40], *text = NULL;
        snprintf(body, sizeof body, "{\"n\":%d}", self->number * CALLS + i);
        int code = coordinator_client_call(self->client, VERB_SUBMIT, NULL, NULL, body,
                                           strlen(body), 10000, &text, NULL);
        self->wrong += code != OK || strcmp(text, body) != 0;
        free(text);
    }
    return NULL;
}

/* Of two questions that are there, the second is answered first. */
static void each_thread_gets_its_own_answer(void **state)
{
    pair_t *self = *state;
    pthread_t threads[THREADS];
    asker_t askers[THREADS];
    int swapped = 0;
    for (int i = 0; i < THREADS; i++) {
        askers[i] = (asker_t){self->client, i, 0};
        pthread_create(&threads[i], NULL, ask_many, &askers[i]);
    }
    for (int answered = 0; answered < THREADS * CALLS;) {
        client_request_t requests[2];
        net_message_t messages[2];
        int count = 1;
        messages[0] = next_question(self->router, &requests[0]);
        count += try_question(self->router, 5, &messages[1], &requests[1]);
        swapped += count == 2;
        for (int j = count - 1; j >= 0; j--) {
            client_reply_t reply = {.request_id = requests[j].request_id,
                                    .body = requests[j].body,
                                    .body_length = requests[j].body_length};
            answer(self->router, &messages[j].from, &reply);
            net_message_clear(&messages[j]);
        }
        answered += count;
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(askers[i].wrong, 0);
    }
    assert_true(swapped > 0);
}

typedef struct {
    pair_t *pair;
    client_reply_t reply;
    int rubbish_first;
    client_request_t seen;
} peer_t;

static void *answer_once(void *argument)
{
    peer_t *self = argument;
    net_message_t message = next_question(self->pair->router, &self->seen);
    const net_frame_t rubbish[] = {{"\xc1", 1}, {"", 0}};
    if (self->rubbish_first) {
        client_reply_t stranger = {
            .request_id = self->seen.request_id + 1000, .body = "{}", .body_length = 2};
        net_send(self->pair->router, &message.from, rubbish, 1, NULL);
        net_send(self->pair->router, &message.from, rubbish, 2, NULL);
        answer(self->pair->router, &message.from, &stranger);
    }
    self->reply.request_id = self->seen.request_id;
    answer(self->pair->router, &message.from, &self->reply);
    net_message_clear(&message);
    return NULL;
}

static void an_error_of_the_coordinator_comes_through(void **state)
{
    peer_t peer = {.pair = *state};
    pthread_t thread;
    error_t error = ERROR_INIT;
    char *text = NULL;
    error_field(&peer.reply.error, ERR_CONFLICT, "id", "it is completed");
    pthread_create(&thread, NULL, answer_once, &peer);
    int code = coordinator_client_call(peer.pair->client, VERB_PAUSE, "job-1", "key-1", NULL, 0,
                                       10000, &text, &error);
    pthread_join(thread, NULL);
    assert_int_equal(code, ERR_CONFLICT);
    assert_string_equal(error.field, "id");
    assert_string_equal(error.message, "it is completed");
    assert_null(text);
    assert_string_equal(peer.seen.job_id, "job-1");
    assert_string_equal(peer.seen.idempotency_key, "key-1");
    assert_int_equal(peer.seen.verb, VERB_PAUSE);
}

static void rubbish_and_answers_to_others_are_passed_over(void **state)
{
    peer_t peer = {.pair = *state, .rubbish_first = 1};
    pthread_t thread;
    char *text = NULL;
    peer.reply.body = "{\"mine\":1}";
    peer.reply.body_length = strlen(peer.reply.body);
    pthread_create(&thread, NULL, answer_once, &peer);
    int code = coordinator_client_call(peer.pair->client, VERB_INFO, NULL, NULL, NULL, 0, 10000,
                                       &text, NULL);
    pthread_join(thread, NULL);
    assert_int_equal(code, OK);
    assert_string_equal(text, "{\"mine\":1}");
    free(text);
}

static void silence_ends_in_unavailable(void **state)
{
    pair_t *self = *state;
    error_t error = ERROR_INIT;
    char *text = NULL;
    int64_t before = clock_monotonic_ms();
    assert_int_equal(
        coordinator_client_call(self->client, VERB_INFO, NULL, NULL, NULL, 0, 200, &text, &error),
        ERR_UNAVAILABLE);
    assert_true(clock_monotonic_ms() - before >= 200);
    assert_string_equal(error.message, "the coordinator did not answer in time");
    assert_null(text);
}

static void nobody_there_ends_in_unavailable(void **state)
{
    (void)state;
    coordinator_client_t *client;
    error_t error = ERROR_INIT;
    char *text = NULL;
    assert_int_equal(coordinator_client_new("tcp://127.0.0.1:1", &client, NULL), OK);
    assert_int_equal(
        coordinator_client_call(client, VERB_INFO, NULL, NULL, NULL, 0, 150, &text, &error),
        ERR_UNAVAILABLE);
    assert_string_equal(error.message, "the coordinator cannot be reached");
    coordinator_client_destroy(&client);
    assert_null(client);
    assert_int_equal(coordinator_client_new("nonsense", &client, &error), ERR_USAGE);
    assert_null(client);
}

static void *ask_one(void *argument)
{
    asker_t *self = argument;
    char *text = NULL;
    self->wrong = coordinator_client_call(self->client, VERB_INFO, NULL, NULL, NULL, 0, 60000,
                                          &text, NULL) != ERR_UNAVAILABLE;
    return NULL;
}

static void a_waiting_call_ends_with_the_client(void **state)
{
    pair_t *self = *state;
    pthread_t thread;
    asker_t asker = {self->client, 0, 0};
    client_request_t request;
    pthread_create(&thread, NULL, ask_one, &asker);
    net_message_t message = next_question(self->router, &request);
    net_message_clear(&message);
    coordinator_client_destroy(&self->client);
    pthread_join(thread, NULL);
    assert_int_equal(asker.wrong, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_thread_gets_its_own_answer),
        TEST(an_error_of_the_coordinator_comes_through),
        TEST(rubbish_and_answers_to_others_are_passed_over),
        TEST(silence_ends_in_unavailable),
        TEST(nobody_there_ends_in_unavailable),
        TEST(a_waiting_call_ends_with_the_client),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
