/* A real coordinator in a thread, spoken to by a worker made of single messages: what a
 * well-behaved worker never does can be done here. */
#include "server_fixture.h"

/* ---- a worker made of messages ---- */

static net_socket_t *connect_worker(server_t *self)
{
    net_socket_t *socket;
    assert_int_equal(net_dealer_connect(self->workers, &NET, &socket, NULL), OK);
    return socket;
}

static void say(net_socket_t *socket, const worker_message_t *message, const char *payload)
{
    uint8_t *bytes;
    size_t length;
    int64_t until_ms = clock_monotonic_ms() + PATIENCE_MS;
    assert_int_equal(worker_message_encode(message, &bytes, &length, NULL), OK);
    net_frame_t frames[] = {{bytes, length}, {payload, payload ? strlen(payload) : 0}};
    while (net_send(socket, NULL, frames, payload ? 2 : 1, NULL))
        assert_true(clock_monotonic_ms() < until_ms);
    free(bytes);
}

static void hello(net_socket_t *socket, const char *name, uint32_t credit)
{
    worker_message_t message = {.kind = MSG_HELLO,
                                .protocol = WORKER_PROTOCOL,
                                .pid = (uint32_t)getpid(),
                                .threads = 1,
                                .credit = credit};
    strcpy(message.name, name);
    strcpy(message.host, "here");
    say(socket, &message, NULL);
}

/* The next message, and its payload in *bytes when wanted (the caller's); 0 when none came. */
static int hear_within(net_socket_t *socket, int64_t ms, worker_message_t *out, uint8_t **bytes,
                       size_t *length)
{
    int64_t until_ms = clock_monotonic_ms() + ms;
    net_message_t frames;
    net_poll_t item = {.socket = socket};
    while (!net_receive(socket, &frames)) {
        if (clock_monotonic_ms() >= until_ms)
            return 0;
        net_poll(&item, 1, 20);
    }
    assert_int_equal(
        worker_message_decode(frames.frames[0].bytes, frames.frames[0].length, out, NULL), OK);
    if (bytes && frames.count > 1) {
        *length = frames.frames[1].length;
        *bytes = malloc(*length + 1);
        memcpy(*bytes, frames.frames[1].bytes, *length);
    }
    net_message_clear(&frames);
    return 1;
}

static void hear(net_socket_t *socket, worker_message_kind_t kind, worker_message_t *out)
{
    assert_true(hear_within(socket, PATIENCE_MS, out, NULL, NULL));
    assert_string_equal(worker_message_name(out->kind), worker_message_name(kind));
}

static task_ref_t hear_task(net_socket_t *socket)
{
    worker_message_t message;
    hear(socket, MSG_TASK, &message);
    task_ref_t ref = message.task.ref;
    worker_message_clear(&message);
    return ref;
}

/* A task may come before it: one whose result made no sense is asked for again at once. */
static void hear_ack(net_socket_t *socket, worker_message_t *out)
{
    assert_true(hear_within(socket, PATIENCE_MS, out, NULL, NULL));
    if (out->kind == MSG_TASK) {
        worker_message_clear(out);
        assert_true(hear_within(socket, PATIENCE_MS, out, NULL, NULL));
    }
    assert_int_equal(out->kind, MSG_ACK);
}

static net_socket_t *welcomed_worker(server_t *self, const char *name)
{
    worker_message_t message;
    net_socket_t *socket = connect_worker(self);
    hello(socket, name, 1);
    hear(socket, MSG_WELCOME, &message);
    assert_int_equal(message.heartbeat_ms, 1000);
    assert_true(message.lease_ms > message.heartbeat_ms);
    return socket;
}

static void offer(net_socket_t *socket, const task_ref_t *ref, const char *payload,
                  const char *named)
{
    worker_message_t message = {
        .kind = MSG_RESULT, .ref = *ref, .sha256 = sha256_of(named, strlen(named))};
    say(socket, &message, payload);
}

static void fail_task(net_socket_t *socket, const task_ref_t *ref, int code)
{
    worker_message_t message = {.kind = MSG_FAILED, .ref = *ref};
    error_set(&message.error, code, "it would not");
    say(socket, &message, NULL);
}

/* ---- the tests ---- */

static void a_stranger_is_asked_who_it_is(void **state)
{
    worker_message_t message = {.kind = MSG_HEARTBEAT};
    net_socket_t *socket = connect_worker(*state);
    say(socket, &message, NULL);
    hear(socket, MSG_WHO, &message);
    hello(socket, "w", 1);
    hear(socket, MSG_WELCOME, &message);
    net_socket_close(&socket);
}

static void another_protocol_and_a_senseless_credit_are_not_welcome(void **state)
{
    net_socket_t *socket = connect_worker(*state);
    worker_message_t message = {.kind = MSG_HELLO, .protocol = WORKER_PROTOCOL + 1, .credit = 1};
    say(socket, &message, NULL);
    message.protocol = WORKER_PROTOCOL;
    message.credit = 0;
    say(socket, &message, NULL);
    message.credit = WORKER_CREDIT_LIMIT + 1;
    say(socket, &message, NULL);
    assert_false(hear_within(socket, 300, &message, NULL, NULL));
    net_socket_close(&socket);
}

static void garbage_is_dropped_and_does_no_harm(void **state)
{
    net_socket_t *socket = connect_worker(*state);
    worker_message_t message;
    int64_t until_ms = clock_monotonic_ms() + PATIENCE_MS;
    while (net_send(socket, NULL, &(net_frame_t){"\xdd\xff\xff\xff\xff", 5}, 1, NULL))
        assert_true(clock_monotonic_ms() < until_ms);
    hello(socket, "w", 1);
    hear(socket, MSG_WELCOME, &message);
    net_socket_close(&socket);
}

static void a_damaged_result_is_neither_kept_nor_acknowledged(void **state)
{
    server_t *server = *state;
    char job_id[JOB_ID_SIZE];
    worker_message_t message;
    net_socket_t *socket = welcomed_worker(server, "w");
    submit(server, job_id);
    task_ref_t ref = hear_task(socket);
    offer(socket, &ref, "what came", "what was sent");
    assert_false(hear_within(socket, 300, &message, NULL, NULL));
    offer(socket, &ref, "what was sent", "what was sent");
    hear(socket, MSG_ACK, &message);
    assert_int_equal(message.ref.task, ref.task);
    offer(socket, &ref, "what was sent", "what was sent"); /* its ACK was lost */
    hear_ack(socket, &message);
    net_socket_close(&socket);
}

/* The result above is durable but nonsense: whoever reads it finds out, and the task runs again. */
static void a_result_that_makes_no_sense_is_asked_for_again_three_times(void **state)
{
    server_t *server = *state;
    char job_id[JOB_ID_SIZE];
    worker_message_t message;
    net_socket_t *socket = welcomed_worker(server, "w");
    submit(server, job_id);
    for (uint32_t i = 1; i <= 3; i++) {
        task_ref_t ref = hear_task(socket);
        assert_int_equal(ref.attempt, i);
        offer(socket, &ref, "nonsense", "nonsense");
        hear(socket, MSG_ACK, &message);
    }
    json_t *status = wait_for_state(server, job_id, "failed");
    const char *words =
        json_string_value(json_object_get(json_object_get(status, "error"), "message"));
    assert_non_null(words);
    assert_true(strlen(words) > 10);
    json_decref(status);
    net_socket_close(&socket);
}

static void a_returned_task_comes_again_without_blame(void **state)
{
    server_t *server = *state;
    char job_id[JOB_ID_SIZE];
    net_socket_t *socket = welcomed_worker(server, "w");
    submit(server, job_id);
    for (int i = 0; i < 10; i++) {
        task_ref_t ref = hear_task(socket);
        worker_message_t message = {.kind = MSG_RETURNED, .ref = ref};
        say(socket, &message, NULL);
    }
    json_t *status = wait_for_state(server, job_id, "running");
    json_decref(status);
    net_socket_close(&socket);
}

static void a_task_that_fails_three_times_fails_the_job(void **state)
{
    server_t *server = *state;
    char job_id[JOB_ID_SIZE];
    net_socket_t *socket = welcomed_worker(server, "w");
    submit(server, job_id);
    for (int i = 0; i < 3; i++) {
        task_ref_t ref = hear_task(socket);
        fail_task(socket, &ref, ERR_INTERNAL);
    }
    json_t *status = wait_for_state(server, job_id, "failed");
    const char *words =
        json_string_value(json_object_get(json_object_get(status, "error"), "message"));
    assert_non_null(strstr(words, "task 0"));
    assert_non_null(strstr(words, "it would not"));
    json_decref(status);
    net_socket_close(&socket);
}

static void an_input_comes_in_chunks_that_match_its_name(void **state)
{
    server_t *server = *state;
    char job_id[JOB_ID_SIZE];
    worker_message_t task;
    worker_message_t blob;
    uint8_t *bytes = NULL;
    size_t length = 0;
    net_socket_t *socket = welcomed_worker(server, "w");
    submit(server, job_id);
    hear(socket, MSG_TASK, &task);
    assert_string_equal(task.task.index_name, "events");
    assert_int_equal(task.task.dimension, 768);
    assert_true(task.task.segment_count > 0 && task.task.work > 0);
    worker_message_t fetch = {.kind = MSG_FETCH, .sha256 = task.task.inputs[0].sha256};
    strcpy(fetch.job_id, job_id);
    say(socket, &fetch, NULL);
    assert_true(hear_within(socket, PATIENCE_MS, &blob, &bytes, &length));
    assert_int_equal(blob.kind, MSG_BLOB);
    assert_int_equal(blob.error.code, OK);
    assert_int_equal(blob.total, length);
    sha256_t got = sha256_of(bytes, length);
    assert_true(sha256_equal(&got, &fetch.sha256));
    fetch.offset = length - 3;
    say(socket, &fetch, NULL);
    uint8_t *rest = NULL;
    size_t rest_length = 0;
    assert_true(hear_within(socket, PATIENCE_MS, &blob, &rest, &rest_length));
    assert_int_equal(rest_length, 3);
    assert_int_equal(blob.offset, length - 3);
    assert_memory_equal(rest, bytes + length - 3, 3);
    free(rest);
    free(bytes);
    fetch.sha256 = sha256_of("no such thing", 13);
    fetch.offset = 0;
    say(socket, &fetch, NULL);
    hear(socket, MSG_BLOB, &blob);
    assert_int_equal(blob.error.code, ERR_NOT_FOUND);
    worker_message_clear(&task);
    net_socket_close(&socket);
}

static void the_same_process_behind_a_new_connection_ends_the_old_one(void **state)
{
    server_t *server = *state;
    char job_id[JOB_ID_SIZE];
    worker_message_t message = {.kind = MSG_HEARTBEAT};
    net_socket_t *old = welcomed_worker(server, "w");
    submit(server, job_id);
    task_ref_t first = hear_task(old);
    int64_t begin_ms = clock_monotonic_ms();
    net_socket_t *new = welcomed_worker(server, "w");
    task_ref_t second = hear_task(new);
    assert_int_equal(first.task, second.task);
    assert_int_equal(second.attempt, first.attempt + 1);
    assert_true(clock_monotonic_ms() - begin_ms < 2500); /* no lease was waited for */
    say(old, &message, NULL);
    hear(old, MSG_WHO, &message);
    net_socket_close(&old);
    net_socket_close(&new);
}

static void a_silent_worker_loses_its_task_to_another(void **state)
{
    server_t *server = *state;
    char job_id[JOB_ID_SIZE];
    worker_message_t message = {.kind = MSG_HEARTBEAT};
    net_socket_t *silent = welcomed_worker(server, "silent");
    submit(server, job_id);
    task_ref_t first = hear_task(silent);
    net_socket_t *other = welcomed_worker(server, "other");
    int64_t begin_ms = clock_monotonic_ms();
    while (!hear_within(other, 500, &message, NULL, NULL)) {
        worker_message_t beat = {.kind = MSG_HEARTBEAT};
        assert_true(clock_monotonic_ms() - begin_ms < PATIENCE_MS);
        say(other, &beat, NULL);
    }
    assert_int_equal(message.kind, MSG_TASK);
    assert_int_equal(message.task.ref.task, first.task);
    assert_true(clock_monotonic_ms() - begin_ms > 1500);
    worker_message_clear(&message);
    hear(silent, MSG_WHO, &message); /* it is told that it was given up */
    net_socket_close(&silent);
    net_socket_close(&other);
}

static void the_queue_has_an_end(void **state)
{
    server_t *server = *state;
    char job_id[JOB_ID_SIZE];
    json_t *json;
    for (int i = 0; i < 3; i++)
        submit(server, job_id);
    assert_int_equal(ask(server, VERB_SUBMIT, "", JOB, "key", &json), ERR_BUSY);
    assert_int_equal(ask(server, VERB_CANCEL, job_id, NULL, "", &json), OK);
    json_decref(json);
    json_decref(wait_for_state(server, job_id, "cancelled"));
    assert_int_equal(ask(server, VERB_SUBMIT, "", JOB, "key", &json),
                     OK); /* the key was not used */
    json_decref(json);
    assert_int_equal(ask(server, VERB_LIST, "", NULL, "", &json), OK);
    assert_int_equal(json_integer_value(json_object_get(json, "total")), 4); /* not the refused */
    json_decref(json);
}

static void info_names_the_workers_and_what_they_hold(void **state)
{
    server_t *server = *state;
    char job_id[JOB_ID_SIZE];
    json_t *info;
    net_socket_t *socket = welcomed_worker(server, "w");
    submit(server, job_id);
    task_ref_t ref = hear_task(socket);
    worker_message_t beat = {.kind = MSG_HEARTBEAT, .progress_count = 1};
    beat.progress[0] = (task_progress_t){ref, 1000};
    say(socket, &beat, NULL);
    int64_t until_ms = clock_monotonic_ms() + PATIENCE_MS;
    json_int_t held = 0;
    while (held == 0) {
        assert_true(clock_monotonic_ms() < until_ms);
        assert_int_equal(ask(server, VERB_INFO, "", NULL, "", &info), OK);
        json_t *worker = json_array_get(json_object_get(info, "workers"), 0);
        assert_string_equal(json_string_value(json_object_get(worker, "name")), "w");
        held = json_integer_value(json_object_get(worker, "tasks_held"));
        json_decref(info);
    }
    assert_int_equal(held, 1);
    json_t *status = wait_for_state(server, job_id, "running");
    assert_int_equal(json_integer_value(json_object_get(status, "work_done")), 1000);
    assert_true(json_real_value(json_object_get(status, "phase_progress")) > 0);
    json_decref(status);
    net_socket_close(&socket);
}

static int start_scratch(void **state)
{
    server_t *self = calloc(1, sizeof *self);
    snprintf(self->folder, sizeof self->folder, "/tmp/stage4-coordinator-XXXXXX");
    if (!mkdtemp(self->folder))
        return -1;
    strcpy(self->clients, "inproc://test-clients-scratch");
    strcpy(self->workers, "inproc://test-workers-scratch");
    self->options = (coordinator_options_t){.client_endpoint = self->clients,
                                            .worker_endpoint = self->workers,
                                            .indices_folder = INDICES,
                                            .state_folder = self->folder,
                                            .output_folder = self->folder,
                                            .scratch = 1};
    net_start();
    *state = self;
    return pthread_create(&self->thread, NULL, run, self);
}

static int is_there(const server_t *self, const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", self->folder, name);
    return access(path, F_OK) == 0;
}

static void a_scratch_state_has_no_databases(void **state)
{
    server_t *server = *state;
    char job_id[JOB_ID_SIZE];
    submit(server, job_id);
    json_t *status = wait_for_state(server, job_id, "running"); /* planned: the stores are open */
    json_decref(status);
    assert_true(is_there(server, "spool"));
    assert_false(is_there(server, "ledger.db"));
    assert_false(is_there(server, "stage4.db"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test_setup_teardown(test, start, finish)
        T(a_stranger_is_asked_who_it_is),
        T(another_protocol_and_a_senseless_credit_are_not_welcome),
        T(garbage_is_dropped_and_does_no_harm),
        T(a_damaged_result_is_neither_kept_nor_acknowledged),
        T(a_result_that_makes_no_sense_is_asked_for_again_three_times),
        T(a_returned_task_comes_again_without_blame),
        T(a_task_that_fails_three_times_fails_the_job),
        T(an_input_comes_in_chunks_that_match_its_name),
        T(the_same_process_behind_a_new_connection_ends_the_old_one),
        T(a_silent_worker_loses_its_task_to_another),
        T(the_queue_has_an_end),
        T(info_names_the_workers_and_what_they_hold),
#undef T
        cmocka_unit_test_setup_teardown(a_scratch_state_has_no_databases, start_scratch, finish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
