/* Requests and replies between gateways and the coordinator: what is sent arrives, and no damaged
 * frame is read outside its bytes. */
#include "proto/client_message.h"

#include "lib/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static client_request_t sample_request(void)
{
    client_request_t request = {.request_id = UINT64_MAX, .verb = VERB_SUBMIT};
    strcpy(request.job_id, "job_2015-a");
    strcpy(request.idempotency_key, "key:1/2");
    request.body = "{\"embedding_type\":\"\xc3\xa9vents\"}";
    request.body_length = strlen(request.body);
    return request;
}

static void a_request_arrives_as_it_was_sent(void **state)
{
    (void)state;
    for (int verb = 0; verb < CLIENT_VERB_COUNT; verb++) {
        client_request_t sent = sample_request(), got;
        uint8_t *bytes;
        size_t length;
        sent.verb = (client_verb_t)verb;
        assert_int_equal(client_request_encode(&sent, &bytes, &length, NULL), OK);
        assert_int_equal(client_request_decode(bytes, length, &got, NULL), OK);
        assert_true(got.request_id == UINT64_MAX);
        assert_int_equal(got.verb, verb);
        assert_string_equal(got.job_id, sent.job_id);
        assert_string_equal(got.idempotency_key, sent.idempotency_key);
        assert_int_equal(got.body_length, sent.body_length);
        assert_memory_equal(got.body, sent.body, sent.body_length);
        assert_true((const uint8_t *)got.body >= bytes &&
                    (const uint8_t *)got.body + got.body_length <= bytes + length);
        free(bytes);
    }
}

static void a_request_without_a_body_has_none(void **state)
{
    (void)state;
    client_request_t sent = {.request_id = 1, .verb = VERB_STATUS}, got;
    uint8_t *bytes;
    size_t length;
    assert_int_equal(client_request_encode(&sent, &bytes, &length, NULL), OK);
    assert_int_equal(client_request_decode(bytes, length, &got, NULL), OK);
    assert_null(got.body);
    assert_string_equal(got.job_id, "");
    free(bytes);
}

static void an_error_keeps_code_field_and_message(void **state)
{
    (void)state;
    client_reply_t sent = {.request_id = 7}, got;
    uint8_t *bytes;
    size_t length;
    error_field(&sent.error, ERR_BUSY, "params.k", "come back in %d s", 5);
    assert_int_equal(client_reply_encode(&sent, &bytes, &length, NULL), OK);
    assert_int_equal(client_reply_decode(bytes, length, &got, NULL), OK);
    assert_int_equal(got.error.code, ERR_BUSY);
    assert_string_equal(got.error.field, "params.k");
    assert_string_equal(got.error.message, "come back in 5 s");
    assert_null(got.body);
    free(bytes);
}

static void a_reply_carries_its_body(void **state)
{
    (void)state;
    client_reply_t sent = {.request_id = 7, .body = "{}", .body_length = 2}, got;
    uint8_t *bytes;
    size_t length;
    assert_int_equal(client_reply_encode(&sent, &bytes, &length, NULL), OK);
    assert_int_equal(client_reply_decode(bytes, length, &got, NULL), OK);
    assert_int_equal(got.error.code, OK);
    assert_int_equal(got.body_length, 2);
    assert_memory_equal(got.body, "{}", 2);
    free(bytes);
}

static void what_is_too_large_is_refused_at_both_ends(void **state)
{
    (void)state;
    size_t length = CLIENT_MESSAGE_LIMIT + 1;
    char *body = malloc(length);
    uint8_t *bytes = NULL;
    client_request_t request = {.verb = VERB_SUBMIT, .body = body, .body_length = length};
    memset(body, ' ', length);
    assert_int_equal(client_request_encode(&request, &bytes, &length, NULL), ERR_TOO_LARGE);
    assert_null(bytes);
    assert_int_equal(client_request_decode(body, CLIENT_MESSAGE_LIMIT + 1, &request, NULL),
                     ERR_TOO_LARGE);
    free(body);
}

static void expect_protocol_error(client_request_t sent)
{
    client_request_t got;
    uint8_t *bytes;
    size_t length;
    error_t error = ERROR_INIT;
    assert_int_equal(client_request_encode(&sent, &bytes, &length, NULL), OK);
    assert_int_equal(client_request_decode(bytes, length, &got, &error), ERR_PROTOCOL);
    assert_true(error.message[0] != '\0');
    free(bytes);
}

static void a_job_id_that_is_a_path_is_refused(void **state)
{
    (void)state;
    client_request_t request = sample_request();
    strcpy(request.job_id, "../ledger");
    expect_protocol_error(request);
    request = sample_request();
    strcpy(request.idempotency_key, "line\nfeed");
    expect_protocol_error(request);
    request = sample_request();
    request.verb = CLIENT_VERB_COUNT;
    expect_protocol_error(request);
}

static void a_text_longer_than_its_place_is_refused(void **state)
{
    (void)state;
    uint8_t bytes[256];
    size_t used = (size_t)sprintf((char *)bytes, "\x85\xa2id\x01\xa4verb\xa6status\xa3job\xd9%c",
                                  JOB_ID_SIZE);
    memset(bytes + used, 'x', JOB_ID_SIZE); /* one more than fits with its NUL */
    used += JOB_ID_SIZE;
    memcpy(bytes + used,
           "\xa3key\xa0\xa4"
           "body\xc0",
           11);
    client_request_t request;
    error_t error = ERROR_INIT;
    assert_int_equal(client_request_decode(bytes, used + 11, &request, &error), ERR_PROTOCOL);
    assert_non_null(strstr(error.message, "\"job\" is too long"));
}

static void a_map_with_a_billion_entries_costs_nothing(void **state)
{
    (void)state;
    const uint8_t bytes[] = {0xdf, 0x3f, 0xff, 0xff, 0xff};
    client_request_t request;
    client_reply_t reply;
    assert_int_equal(client_request_decode(bytes, sizeof bytes, &request, NULL), ERR_PROTOCOL);
    assert_int_equal(client_reply_decode(bytes, sizeof bytes, &reply, NULL), ERR_PROTOCOL);
    assert_int_equal(client_reply_decode("", 0, &reply, NULL), ERR_PROTOCOL);
}

/* Reads every byte that a decoded message points at, so that a sanitizer would see one outside. */
static unsigned touch(const char *body, size_t length)
{
    unsigned sum = 0;
    for (size_t i = 0; i < length; i++)
        sum += (unsigned char)body[i];
    return sum;
}

static void damaged_frames_are_refused_or_stay_inside(void **state)
{
    (void)state;
    random_t random = {11};
    client_request_t request = sample_request();
    client_reply_t reply = {.request_id = 9, .body = "{\"a\":1}", .body_length = 7};
    unsigned sum = 0, refused = 0;
    for (int round = 0; round < 20000; round++) {
        uint8_t *bytes;
        size_t length;
        int which = round % 2;
        if (which)
            assert_int_equal(client_request_encode(&request, &bytes, &length, NULL), OK);
        else
            assert_int_equal(client_reply_encode(&reply, &bytes, &length, NULL), OK);
        for (uint32_t edits = 1 + random_below(&random, 4); edits; edits--)
            bytes[random_below(&random, (uint32_t)length)] = (uint8_t)random_next(&random);
        if (random_below(&random, 4) == 0)
            length = random_below(&random, (uint32_t)length);
        uint8_t *exact = malloc(length + !length);
        memcpy(exact, bytes, length);
        client_request_t got;
        client_reply_t answer;
        if (which && client_request_decode(exact, length, &got, NULL) == OK)
            sum += touch(got.body, got.body_length);
        else if (!which && client_reply_decode(exact, length, &answer, NULL) == OK)
            sum += touch(answer.body, answer.body_length);
        else
            refused++;
        free(exact);
        free(bytes);
    }
    assert_true(sum > 0);
    assert_in_range(refused, 2000, 19900);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_arrives_as_it_was_sent),
        cmocka_unit_test(a_request_without_a_body_has_none),
        cmocka_unit_test(an_error_keeps_code_field_and_message),
        cmocka_unit_test(a_reply_carries_its_body),
        cmocka_unit_test(what_is_too_large_is_refused_at_both_ends),
        cmocka_unit_test(a_job_id_that_is_a_path_is_refused),
        cmocka_unit_test(a_text_longer_than_its_place_is_refused),
        cmocka_unit_test(a_map_with_a_billion_entries_costs_nothing),
        cmocka_unit_test(damaged_frames_are_refused_or_stay_inside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
