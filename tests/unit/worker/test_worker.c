/* A real worker in a thread, spoken to by a coordinator made of single messages. */
#include "common/clock.h"
#include "common/input/flat_index.h"
#include "common/net/socket.h"
#include "proto/columns.h"
#include "proto/worker_message.h"
#include "worker/worker.h"

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
#define ROWS 300

typedef struct {
    char endpoint[64];
    pthread_t thread;
    atomic_int stop;
    worker_options_t options;
    int code;
    int ended;
    error_t error;
    net_socket_t *socket;
    net_peer_t worker;
    uint8_t *plan; /* an input that every task here has */
    size_t plan_length;
    sha256_t plan_sha;
    sha256_t fingerprint;
} bench_t;

static void *run(void *argument)
{
    bench_t *self = argument;
    self->code = worker_run(&self->options, &self->stop, &self->error);
    return NULL;
}

/* One partition, no window, slots as rows. */
static int make_plan(bench_t *self)
{
    uint32_t rows[ROWS];
    uint32_t begin[] = {0, ROWS};
    int32_t window = -1;
    uint32_t dimension = 768;
    const char *name = "";
    columns_writer_t *writer = columns_writer_new("plan");
    for (uint32_t i = 0; i < ROWS; i++)
        rows[i] = i;
    columns_put(writer, "rows", COLUMN_U32, rows, ROWS);
    columns_put(writer, "partition_begin", COLUMN_U32, begin, 2);
    columns_put(writer, "partition_window", COLUMN_I32, &window, 1);
    columns_put_strings(writer, "partition_name", &name, 1);
    columns_put(writer, "dimension", COLUMN_U32, &dimension, 1);
    int code = columns_writer_finish(&writer, &self->plan, &self->plan_length, NULL);
    if (!code)
        self->plan_sha = sha256_of(self->plan, self->plan_length);
    return code;
}

static int read_fingerprint(bench_t *self)
{
    flat_index_t *index;
    int code = flat_index_open(INDICES "/events.index", 768, &index, NULL);
    if (code)
        return code;
    self->fingerprint = flat_index_fingerprint(index);
    flat_index_close(&index);
    return OK;
}

static int start(void **state)
{
    static int number;
    net_options_t net = {.frame_limit = WORKER_PAYLOAD_LIMIT, .queue_limit = 100};
    bench_t *self = calloc(1, sizeof *self);
    snprintf(self->endpoint, sizeof self->endpoint, "inproc://test-worker-%d", ++number);
    self->options = (worker_options_t){.endpoint = self->endpoint,
                                       .indices_folder = INDICES,
                                       .name = "bench",
                                       .threads = 1,
                                       .credit = 2};
    *state = self;
    return make_plan(self) || read_fingerprint(self) ||
           net_router_bind(self->endpoint, &net, &self->socket, NULL) ||
           pthread_create(&self->thread, NULL, run, self);
}

static void stop_worker(bench_t *self)
{
    atomic_store(&self->stop, 1);
    pthread_join(self->thread, NULL);
    self->ended = 1;
}

static int finish(void **state)
{
    bench_t *self = *state;
    if (!self->ended)
        stop_worker(self);
    int code = self->code;
    net_socket_close(&self->socket);
    free(self->plan);
    free(self);
    return code;
}

/* ---- a coordinator made of messages ---- */

static int hear_within(bench_t *self, int64_t ms, worker_message_t *out, sha256_t *payload)
{
    int64_t until_ms = clock_monotonic_ms() + ms;
    net_message_t frames;
    net_poll_t item = {.socket = self->socket};
    while (!net_receive(self->socket, &frames)) {
        if (clock_monotonic_ms() >= until_ms)
            return 0;
        net_poll(&item, 1, 20);
    }
    assert_int_equal(
        worker_message_decode(frames.frames[0].bytes, frames.frames[0].length, out, NULL), OK);
    if (payload && frames.count > 1)
        *payload = sha256_of(frames.frames[1].bytes, frames.frames[1].length);
    self->worker = frames.from;
    net_message_clear(&frames);
    return 1;
}

/* The next message that is none of the two kinds; heartbeats would go on for ever. */
static void hear_past(bench_t *self, worker_message_kind_t skip, worker_message_t *out)
{
    int64_t until_ms = clock_monotonic_ms() + PATIENCE_MS;
    do {
        assert_true(hear_within(self, until_ms - clock_monotonic_ms(), out, NULL));
        assert_true(clock_monotonic_ms() < until_ms);
    } while (out->kind == MSG_HEARTBEAT || out->kind == skip);
}

/* The next message, past heartbeats, must be of that kind. */
static void hear(bench_t *self, worker_message_kind_t kind, worker_message_t *out)
{
    if (kind == MSG_HEARTBEAT)
        assert_true(hear_within(self, PATIENCE_MS, out, NULL));
    else
        hear_past(self, MSG_HEARTBEAT, out);
    assert_string_equal(worker_message_name(out->kind), worker_message_name(kind));
}

static void say(bench_t *self, const worker_message_t *message, const void *payload, size_t length)
{
    uint8_t *bytes;
    size_t size;
    assert_int_equal(worker_message_encode(message, &bytes, &size, NULL), OK);
    net_frame_t frames[] = {{bytes, size}, {payload, length}};
    assert_int_equal(net_send(self->socket, &self->worker, frames, payload ? 2 : 1, NULL), OK);
    free(bytes);
}

static void welcome(bench_t *self)
{
    worker_message_t message;
    hear(self, MSG_HELLO, &message);
    message = (worker_message_t){.kind = MSG_WELCOME, .heartbeat_ms = 200, .lease_ms = 3000};
    say(self, &message, NULL, 0);
}

static void send_task(bench_t *self, uint32_t number, const sha256_t *fingerprint,
                      const sha256_t *plan)
{
    segment_t segment = {0, 10 * number, 10 * number + 10};
    worker_message_t message = {.kind = MSG_TASK};
    task_t *task = &message.task;
    *task = (task_t){.ref = {"job_1", 1, 0, number, 1},
                     .kind = TASK_KNN,
                     .index_fingerprint = *fingerprint,
                     .dimension = 768,
                     .segments = &segment,
                     .segment_count = 1,
                     .work = 10 * ROWS,
                     .input_count = 1,
                     .param_count = 1};
    strcpy(task->index_name, "events");
    strcpy(task->inputs[0].name, "plan");
    task->inputs[0].sha256 = *plan;
    strcpy(task->params[0].name, "k");
    task->params[0].value = 5;
    say(self, &message, NULL, 0);
}

/* Answers one FETCH with the bytes from its offset on, at most `chunk` of them. */
static void serve_plan(bench_t *self, size_t chunk)
{
    worker_message_t message;
    hear(self, MSG_FETCH, &message);
    assert_true(sha256_equal(&message.sha256, &self->plan_sha));
    assert_string_equal(message.job_id, "job_1");
    worker_message_t blob = {.kind = MSG_BLOB,
                             .sha256 = self->plan_sha,
                             .offset = message.offset,
                             .total = self->plan_length};
    size_t left = self->plan_length - message.offset;
    say(self, &blob, self->plan + message.offset, left < chunk ? left : chunk);
}

static void acknowledge(bench_t *self, const task_ref_t *ref)
{
    worker_message_t message = {.kind = MSG_ACK, .ref = *ref};
    say(self, &message, NULL, 0);
}

static void take_result(bench_t *self, uint32_t number)
{
    worker_message_t message;
    hear(self, MSG_RESULT, &message);
    assert_int_equal(message.ref.task, number);
    acknowledge(self, &message.ref);
}

/* ---- the tests ---- */

static void hello_is_said_until_there_is_a_welcome(void **state)
{
    bench_t *self = *state;
    worker_message_t message;
    hear(self, MSG_HELLO, &message);
    assert_string_equal(message.name, "bench");
    assert_int_equal(message.credit, 2);
    assert_int_equal(message.threads, 1);
    assert_int_equal(message.protocol, WORKER_PROTOCOL);
    assert_true(message.backend[0] && message.host[0] && message.pid == (uint32_t)getpid());
    welcome(self); /* hears the second */
    hear(self, MSG_HEARTBEAT, &message);
    assert_int_equal(message.progress_count, 0);
}

static void a_task_is_computed_and_its_result_offered_until_ack(void **state)
{
    bench_t *self = *state;
    worker_message_t first, second;
    sha256_t payload;
    welcome(self);
    send_task(self, 0, &self->fingerprint, &self->plan_sha);
    serve_plan(self, 700); /* in several chunks */
    while (self->plan_length > 700 && hear_within(self, PATIENCE_MS, &first, &payload) &&
           first.kind != MSG_RESULT) {
        worker_message_t blob = {.kind = MSG_BLOB,
                                 .sha256 = self->plan_sha,
                                 .offset = first.offset,
                                 .total = self->plan_length};
        size_t left = self->plan_length - first.offset;
        if (first.kind == MSG_FETCH)
            say(self, &blob, self->plan + first.offset, left < 700 ? left : 700);
    }
    assert_int_equal(first.kind, MSG_RESULT);
    assert_true(sha256_equal(&payload, &first.sha256));
    hear(self, MSG_RESULT, &second); /* nobody acknowledged the first */
    assert_true(sha256_equal(&first.sha256, &second.sha256));
    acknowledge(self, &second.ref);
    for (int i = 0; i < 25; i++) { /* five seconds: longer than the next offer would take */
        hear_within(self, PATIENCE_MS, &first, NULL);
        assert_int_equal(first.kind, MSG_HEARTBEAT);
    }
}

static void an_input_is_fetched_once(void **state)
{
    bench_t *self = *state;
    welcome(self);
    send_task(self, 0, &self->fingerprint, &self->plan_sha);
    send_task(self, 1, &self->fingerprint, &self->plan_sha);
    serve_plan(self, SIZE_MAX);
    take_result(self, 0);
    take_result(self, 1);
    send_task(self, 2, &self->fingerprint, &self->plan_sha);
    take_result(self, 2); /* a FETCH in between would not be a RESULT */
}

static void a_task_over_the_credit_is_returned(void **state)
{
    bench_t *self = *state;
    worker_message_t message;
    welcome(self);
    for (uint32_t i = 0; i < 3; i++)
        send_task(self, i, &self->fingerprint, &self->plan_sha);
    hear_past(self, MSG_FETCH, &message);
    assert_int_equal(message.kind, MSG_RETURNED);
    assert_int_equal(message.ref.task, 2);
}

static void an_index_that_is_not_the_plans_is_a_failure(void **state)
{
    bench_t *self = *state;
    worker_message_t message;
    sha256_t other = sha256_of("another file", 12);
    welcome(self);
    send_task(self, 0, &other, &self->plan_sha);
    serve_plan(self, SIZE_MAX);
    hear(self, MSG_FAILED, &message);
    assert_int_equal(message.error.code, ERR_CHANGED);
    assert_non_null(strstr(message.error.message, "events.index"));
    send_task(self, 1, &self->fingerprint, &self->plan_sha);
    take_result(self, 1);
}

static void an_input_that_is_nowhere_is_a_failure(void **state)
{
    bench_t *self = *state;
    worker_message_t message;
    welcome(self);
    send_task(self, 0, &self->fingerprint, &self->plan_sha);
    hear(self, MSG_FETCH, &message);
    worker_message_t blob = {.kind = MSG_BLOB, .sha256 = self->plan_sha};
    error_set(&blob.error, ERR_NOT_FOUND, "it is gone");
    say(self, &blob, "", 0);
    hear(self, MSG_FAILED, &message);
    assert_int_equal(message.error.code, ERR_NOT_FOUND);
    assert_string_equal(message.error.message, "it is gone");
}

static void an_aborted_task_is_forgotten(void **state)
{
    bench_t *self = *state;
    worker_message_t message;
    welcome(self);
    send_task(self, 0, &self->fingerprint, &self->plan_sha);
    hear(self, MSG_FETCH, &message);
    hear(self, MSG_HEARTBEAT, &message);
    assert_int_equal(message.progress_count, 1);
    message.kind = MSG_ABORT;
    message.ref = message.progress[0].ref;
    say(self, &message, NULL, 0);
    for (int i = 0; i < 20 && message.progress_count != 0; i++)
        hear(self, MSG_HEARTBEAT, &message);
    assert_int_equal(message.progress_count, 0);
    send_task(self, 1, &self->fingerprint, &self->plan_sha);
    serve_plan(self, SIZE_MAX);
    take_result(self, 1);
}

/* A new coordinator: several WHO are on the way, HELLO is said once, what was held is dropped, and
 * what was computed is offered again. */
static void after_who_the_worker_begins_anew(void **state)
{
    bench_t *self = *state;
    worker_message_t message;
    task_ref_t held = {"job_1", 1, 0, 1, 1};
    welcome(self);
    send_task(self, 0, &self->fingerprint, &self->plan_sha);
    serve_plan(self, SIZE_MAX);
    hear(self, MSG_RESULT, &message); /* not acknowledged */
    sha256_t missing = sha256_of("missing", 7);
    send_task(self, 1, &self->fingerprint, &missing);
    hear(self, MSG_FETCH, &message);
    worker_message_t who = {.kind = MSG_WHO};
    say(self, &who, NULL, 0);
    hear(self, MSG_HELLO, &message);
    say(self, &who, NULL, 0); /* for a heartbeat that waited */
    say(self, &who, NULL, 0);
    int64_t begin_ms = clock_monotonic_ms();
    message = (worker_message_t){.kind = MSG_WELCOME, .heartbeat_ms = 200, .lease_ms = 3000};
    say(self, &message, NULL, 0);
    hear(self, MSG_RESULT, &message);
    assert_int_equal(message.ref.task, 0);
    assert_true(clock_monotonic_ms() - begin_ms < 1000); /* at once */
    hear(self, MSG_HEARTBEAT, &message);
    for (size_t i = 0; i < message.progress_count; i++)
        assert_int_not_equal(message.progress[i].ref.task, held.task);
    acknowledge(self, &(task_ref_t){"job_1", 1, 0, 0, 1});
    assert_true(hear_within(self, PATIENCE_MS, &message, NULL));
    assert_int_equal(message.kind, MSG_HEARTBEAT); /* not a second HELLO */
}

static void a_worker_told_to_stop_returns_what_it_holds(void **state)
{
    bench_t *self = *state;
    worker_message_t message;
    welcome(self);
    send_task(self, 0, &self->fingerprint, &self->plan_sha);
    hear(self, MSG_FETCH, &message);
    int64_t begin_ms = clock_monotonic_ms();
    stop_worker(self);
    assert_true(clock_monotonic_ms() - begin_ms < 3000);
    hear(self, MSG_RETURNED, &message);
    assert_int_equal(message.ref.task, 0);
    hear(self, MSG_GOODBYE, &message);
    assert_int_equal(self->code, OK);
}

static void options_without_sense_are_refused(void **state)
{
    (void)state;
    atomic_int stop = 1;
    error_t error = ERROR_INIT;
    worker_options_t options = {
        .endpoint = "inproc://nobody", .indices_folder = INDICES, .threads = 0};
    assert_int_equal(worker_run(&options, &stop, &error), ERR_USAGE);
    assert_string_equal(error.field, "threads");
    options.threads = 1;
    options.credit = WORKER_CREDIT_LIMIT + 1;
    assert_int_equal(worker_run(&options, &stop, &error), ERR_USAGE);
    options.credit = 1;
    options.indices_folder = "/nowhere/at/all";
    assert_int_equal(worker_run(&options, &stop, &error), ERR_NOT_FOUND);
    options.indices_folder = INDICES;
    options.endpoint = "nonsense";
    assert_int_equal(worker_run(&options, &stop, &error), ERR_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test_setup_teardown(test, start, finish)
        T(hello_is_said_until_there_is_a_welcome),
        T(a_task_is_computed_and_its_result_offered_until_ack),
        T(an_input_is_fetched_once),
        T(a_task_over_the_credit_is_returned),
        T(an_index_that_is_not_the_plans_is_a_failure),
        T(an_input_that_is_nowhere_is_a_failure),
        T(an_aborted_task_is_forgotten),
        T(after_who_the_worker_begins_anew),
        T(a_worker_told_to_stop_returns_what_it_holds),
        cmocka_unit_test(options_without_sense_are_refused),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
