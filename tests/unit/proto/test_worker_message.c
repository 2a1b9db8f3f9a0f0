/* Messages survive the wire, and whatever else arrives is refused without harm. */
#include "proto/msgpack_bounds.h"
#include "proto/worker_message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static task_ref_t sample_ref(uint32_t task)
{
    task_ref_t ref = {"job_01J9ZK3M5N7P9R1T3V5X7Z9B1D", 3, 2, task, 1};
    return ref;
}

static void fill_task(task_t *task)
{
    task->ref = sample_ref(41);
    task->kind = TASK_REACH;
    strcpy(task->index_name, "events");
    task->index_fingerprint = sha256_of("index", 5);
    task->dimension = 768;
    task->segment_count = 3;
    task->segments = calloc(3, sizeof *task->segments);
    for (uint32_t i = 0; i < 3; i++)
        task->segments[i] = (segment_t){i, 10 * i, 10 * i + 7};
    task->work = 1ull << 40;
    task->input_count = 2;
    strcpy(task->inputs[0].name, "plan");
    task->inputs[0].sha256 = sha256_of("plan", 4);
    strcpy(task->inputs[1].name, "reach_in");
    task->inputs[1].sha256 = sha256_of("reach", 5);
    task->param_count = 1;
    strcpy(task->params[0].name, "k");
    task->params[0].value = 0.1;
}

/* A message with every field filled; only those of its kind travel. */
static void fill(worker_message_t *message, worker_message_kind_t kind)
{
    memset(message, 0, sizeof *message);
    message->kind = kind;
    strcpy(message->name, "host-12-1");
    strcpy(message->host, "h\xc3\xb4te");
    strcpy(message->backend, "avx512+openblas");
    strcpy(message->version, "0.1.0");
    message->protocol = WORKER_PROTOCOL;
    message->pid = UINT32_MAX;
    message->threads = 2;
    message->credit = WORKER_CREDIT_LIMIT;
    message->progress_count = 2;
    for (uint32_t i = 0; i < 2; i++)
        message->progress[i] = (task_progress_t){sample_ref(i), UINT64_MAX - i};
    message->ref = sample_ref(7);
    message->sha256 = sha256_of("payload", 7);
    strcpy(message->job_id, "job_x-1");
    message->offset = 1ull << 33;
    message->total = (1ull << 33) + 5;
    message->seconds = 1.5;
    error_field(&message->error, ERR_CHANGED, "index", "events.index has changed");
    message->heartbeat_ms = 1000;
    message->lease_ms = 3000;
    fill_task(&message->task);
}

static void encode(worker_message_kind_t kind, uint8_t **bytes, size_t *length)
{
    worker_message_t message;
    fill(&message, kind);
    assert_int_equal(worker_message_encode(&message, bytes, length, NULL), OK);
    worker_message_clear(&message);
}

static void check_ref(const task_ref_t *got, const task_ref_t *want)
{
    assert_string_equal(got->job_id, want->job_id);
    assert_int_equal(got->epoch, want->epoch);
    assert_int_equal(got->stage, want->stage);
    assert_int_equal(got->task, want->task);
    assert_int_equal(got->attempt, want->attempt);
}

static void every_kind_comes_back_and_encodes_the_same_again(void **state)
{
    (void)state;
    for (int kind = 0; kind < WORKER_MESSAGE_COUNT; kind++) {
        worker_message_t message;
        uint8_t *bytes, *again;
        size_t length, length_again;
        error_t error = ERROR_INIT;
        encode((worker_message_kind_t)kind, &bytes, &length);
        assert_int_equal(worker_message_decode(bytes, length, &message, &error), OK);
        assert_int_equal(message.kind, kind);
        assert_int_equal(worker_message_encode(&message, &again, &length_again, &error), OK);
        assert_int_equal(length, length_again);
        assert_memory_equal(bytes, again, length);
        worker_message_clear(&message);
        free(bytes);
        free(again);
    }
}

static void decode_kind(worker_message_kind_t kind, worker_message_t *message)
{
    uint8_t *bytes;
    size_t length;
    encode(kind, &bytes, &length);
    assert_int_equal(worker_message_decode(bytes, length, message, NULL), OK);
    free(bytes); /* nothing may point into the bytes */
}

static void a_hello_carries_its_fields(void **state)
{
    (void)state;
    worker_message_t message;
    decode_kind(MSG_HELLO, &message);
    assert_string_equal(message.name, "host-12-1");
    assert_string_equal(message.host, "h\xc3\xb4te");
    assert_string_equal(message.backend, "avx512+openblas");
    assert_string_equal(message.version, "0.1.0");
    assert_int_equal(message.protocol, WORKER_PROTOCOL);
    assert_int_equal(message.pid, UINT32_MAX);
    assert_int_equal(message.threads, 2);
    assert_int_equal(message.credit, WORKER_CREDIT_LIMIT);
    assert_int_equal(message.progress_count, 0); /* is no part of a hello */
    worker_message_clear(&message);
}

static void a_heartbeat_carries_its_fields(void **state)
{
    (void)state;
    worker_message_t message;
    decode_kind(MSG_HEARTBEAT, &message);
    assert_int_equal(message.progress_count, 2);
    task_ref_t want = sample_ref(1);
    check_ref(&message.progress[1].ref, &want);
    assert_true(message.progress[1].work_done == UINT64_MAX - 1);
    worker_message_clear(&message);
}

static void a_failure_carries_its_error(void **state)
{
    (void)state;
    worker_message_t message;
    decode_kind(MSG_FAILED, &message);
    task_ref_t want = sample_ref(7);
    check_ref(&message.ref, &want);
    assert_int_equal(message.error.code, ERR_CHANGED);
    assert_string_equal(message.error.field, "index");
    assert_string_equal(message.error.message, "events.index has changed");
    worker_message_clear(&message);
}

static void a_task_carries_its_fields(void **state)
{
    (void)state;
    worker_message_t message;
    task_t want;
    memset(&want, 0, sizeof want);
    fill_task(&want);
    decode_kind(MSG_TASK, &message);
    const task_t *got = &message.task;
    check_ref(&got->ref, &want.ref);
    assert_int_equal(got->kind, want.kind);
    assert_string_equal(got->index_name, "events");
    assert_true(sha256_equal(&got->index_fingerprint, &want.index_fingerprint));
    assert_int_equal(got->dimension, 768);
    assert_int_equal(got->segment_count, 3);
    assert_memory_equal(got->segments, want.segments, 3 * sizeof(segment_t));
    assert_true(got->work == want.work);
    assert_true(sha256_equal(task_input(got, "reach_in"), &want.inputs[1].sha256));
    assert_true(task_param(got, "k", 0) == 0.1);
    worker_message_clear(&message);
    task_clear(&want);
}

static void a_text_replaced(const char *from, const char *to, worker_message_kind_t kind,
                            int expected)
{
    uint8_t *bytes;
    size_t length;
    worker_message_t message;
    error_t error = ERROR_INIT;
    encode(kind, &bytes, &length);
    uint8_t *at = memmem(bytes, length, from, strlen(from));
    assert_non_null(at);
    memcpy(at, to, strlen(from));
    assert_int_equal(worker_message_decode(bytes, length, &message, &error), expected);
    assert_true(!expected || error.message[0]);
    worker_message_clear(&message);
    free(bytes);
}

static void what_makes_no_sense_is_refused(void **state)
{
    (void)state;
    a_text_replaced("seconds", "sekunde", MSG_RESULT, ERR_PROTOCOL); /* a key is missing */
    a_text_replaced("result", "rezult", MSG_RESULT, ERR_PROTOCOL);   /* a kind not known */
    a_text_replaced("job_x-1", "../../x", MSG_FETCH, ERR_PROTOCOL);  /* a path in a name */
    a_text_replaced("events", "../etc", MSG_TASK, ERR_PROTOCOL);     /* a path in a name */
    a_text_replaced("reach", "teach", MSG_TASK, ERR_PROTOCOL);       /* a task kind not known */
    a_text_replaced("ERR_CHANGED", "ERR_NOVELTY", MSG_FAILED, OK);   /* a newer peer's code */
}

static void a_nul_inside_a_text_is_refused(void **state)
{
    (void)state;
    uint8_t *bytes;
    size_t length;
    worker_message_t message;
    encode(MSG_HELLO, &bytes, &length);
    uint8_t *at = memmem(bytes, length, "host-12-1", 9);
    assert_non_null(at);
    at[4] = 0;
    assert_int_equal(worker_message_decode(bytes, length, &message, NULL), ERR_PROTOCOL);
    free(bytes);
}

static void unknown_keys_are_skipped(void **state)
{
    (void)state;
    worker_message_t message;
    const char bytes[] = "\x83\xa1m\xa7goodbye\xa3why\xa5tired\xa4more\x92\x01\x81\xa1x\xc0";
    assert_int_equal(worker_message_decode(bytes, sizeof bytes - 1, &message, NULL), OK);
    assert_int_equal(message.kind, MSG_GOODBYE);
    worker_message_clear(&message);
}

static void declared_lengths_are_not_believed(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t length;
    } CASES[] = {
        {"", 0},
        {"\xdd\xff\xff\xff\xff", 5},                              /* an array of 4 billion */
        {"\xdf\xff\xff\xff\xff", 5},                              /* a map of 4 billion */
        {"\xc6\xff\xff\xff\xff", 5},                              /* 4 GB of bytes */
        {"\xdb\x7f\xff\xff\xff", 5},                              /* 2 GB of text */
        {"\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x01", 12}, /* 11 deep */
        {"\xc1", 1},                                              /* no format */
        {"\x80\x80", 2},                                          /* two values */
        {"\x81\xa1m", 3},                                         /* a key without a value */
        {"\xdc\x01\x01", 3},                                      /* 257 entries */
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        worker_message_t message;
        error_t error = ERROR_INIT;
        assert_int_equal(msgpack_bounds_check(CASES[i].bytes, CASES[i].length, &error),
                         ERR_PROTOCOL);
        assert_int_equal(worker_message_decode(CASES[i].bytes, CASES[i].length, &message, &error),
                         ERR_PROTOCOL);
    }
    worker_message_t message;
    uint8_t *large = calloc(1, WORKER_MESSAGE_LIMIT + 1);
    assert_int_equal(worker_message_decode(large, WORKER_MESSAGE_LIMIT + 1, &message, NULL),
                     ERR_TOO_LARGE);
    free(large);
}

static void a_message_cut_anywhere_is_refused(void **state)
{
    (void)state;
    for (int kind = 0; kind < WORKER_MESSAGE_COUNT; kind++) {
        uint8_t *bytes;
        size_t length;
        encode((worker_message_kind_t)kind, &bytes, &length);
        for (size_t cut = 0; cut < length; cut++) {
            worker_message_t message;
            uint8_t *copy = malloc(cut + 1); /* exact, so that the sanitizer sees an overrun */
            memcpy(copy, bytes, cut);
            assert_int_equal(worker_message_decode(copy, cut, &message, NULL), ERR_PROTOCOL);
            free(copy);
        }
        free(bytes);
    }
}

static void mutate(uint8_t *bytes, size_t length, uint64_t *random)
{
    size_t changes = 1 + next_random(random) % 4;
    for (size_t i = 0; i < changes; i++) {
        uint8_t *at = &bytes[next_random(random) % length];
        switch (next_random(random) % 3) {
        case 0:
            *at = (uint8_t)next_random(random);
            break;
        case 1:
            *at ^= (uint8_t)(1u << (next_random(random) % 8));
            break;
        default:
            *at = (uint8_t)(0xc0 + next_random(random) % 32); /* the formats with lengths */
        }
    }
}

/* What a mutated message decodes to must be encodable and decode to the same: so the decoder lets
 * nothing through that it would not take itself. */
static void twenty_thousand_mutated_messages_do_no_harm(void **state)
{
    (void)state;
    uint64_t random = 20151123;
    size_t refused = 0;
    for (int round = 0; round < 20000; round++) {
        worker_message_t message;
        uint8_t *bytes, *again;
        size_t length, length_again;
        encode((worker_message_kind_t)(round % WORKER_MESSAGE_COUNT), &bytes, &length);
        mutate(bytes, length, &random);
        if (worker_message_decode(bytes, length, &message, NULL)) {
            refused++;
        } else {
            assert_true(message.progress_count <= WORKER_CREDIT_LIMIT);
            assert_int_equal(worker_message_encode(&message, &again, &length_again, NULL), OK);
            worker_message_clear(&message);
            assert_int_equal(worker_message_decode(again, length_again, &message, NULL), OK);
            free(again);
        }
        worker_message_clear(&message);
        free(bytes);
    }
    assert_true(refused > 5000 && refused < 20000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_comes_back_and_encodes_the_same_again),
        cmocka_unit_test(a_hello_carries_its_fields),
        cmocka_unit_test(a_heartbeat_carries_its_fields),
        cmocka_unit_test(a_failure_carries_its_error),
        cmocka_unit_test(a_task_carries_its_fields),
        cmocka_unit_test(what_makes_no_sense_is_refused),
        cmocka_unit_test(a_nul_inside_a_text_is_refused),
        cmocka_unit_test(unknown_keys_are_skipped),
        cmocka_unit_test(declared_lengths_are_not_believed),
        cmocka_unit_test(a_message_cut_anywhere_is_refused),
        cmocka_unit_test(twenty_thousand_mutated_messages_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
