/* An input put together from chunks: in order, whole, and what its name says. */
#include "worker/fetch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char INPUT[] = "the plan of a job, in three chunks";
#define LENGTH (sizeof INPUT - 1)

static sha256_t name(void) { return sha256_of(INPUT, LENGTH); }

static void begin(fetch_t *fetch)
{
    sha256_t sha256 = name();
    memset(fetch, 0, sizeof *fetch);
    fetch_start(fetch, "job_1", &sha256);
}

static worker_message_t blob_at(uint64_t offset)
{
    worker_message_t blob = {.kind = MSG_BLOB, .sha256 = name(), .offset = offset, .total = LENGTH};
    return blob;
}

static int give(fetch_t *fetch, uint64_t offset, size_t length, int *complete, error_t *error)
{
    worker_message_t blob = blob_at(offset);
    return fetch_accept(fetch, &blob, INPUT + offset, length, complete, error);
}

static void chunks_make_the_whole(void **state)
{
    (void)state;
    fetch_t fetch;
    worker_message_t request;
    int complete;
    size_t length;
    begin(&fetch);
    fetch_request(&fetch, &request);
    assert_int_equal(request.kind, MSG_FETCH);
    assert_int_equal(request.offset, 0);
    assert_string_equal(request.job_id, "job_1");
    assert_int_equal(give(&fetch, 0, 10, &complete, NULL), OK);
    assert_false(complete);
    fetch_request(&fetch, &request);
    assert_int_equal(request.offset, 10);
    assert_int_equal(give(&fetch, 10, 10, &complete, NULL), OK);
    assert_int_equal(give(&fetch, 20, LENGTH - 20, &complete, NULL), OK);
    assert_true(complete);
    uint8_t *bytes = fetch_take(&fetch, &length);
    assert_int_equal(length, LENGTH);
    assert_memory_equal(bytes, INPUT, LENGTH);
    assert_false(fetch.active);
    free(bytes);
}

static void a_chunk_twice_or_of_something_else_is_ignored(void **state)
{
    (void)state;
    fetch_t fetch;
    int complete;
    begin(&fetch);
    assert_int_equal(give(&fetch, 0, 10, &complete, NULL), OK);
    assert_int_equal(give(&fetch, 0, 10, &complete, NULL), OK);
    assert_int_equal(fetch.received, 10);
    worker_message_t blob = blob_at(10);
    blob.sha256 = sha256_of("other", 5);
    assert_int_equal(fetch_accept(&fetch, &blob, INPUT, 5, &complete, NULL), OK);
    assert_int_equal(fetch.received, 10);
    fetch_clear(&fetch);
    assert_int_equal(give(&fetch, 0, 10, &complete, NULL), OK); /* none is active */
    assert_null(fetch.bytes);
}

static void damaged_bytes_are_refused(void **state)
{
    (void)state;
    fetch_t fetch;
    int complete;
    char wrong[LENGTH];
    error_t error = ERROR_INIT;
    memcpy(wrong, INPUT, LENGTH);
    wrong[3] ^= 1;
    begin(&fetch);
    worker_message_t blob = blob_at(0);
    assert_int_equal(fetch_accept(&fetch, &blob, wrong, LENGTH, &complete, &error), ERR_NOT_FOUND);
    assert_false(complete);
    assert_non_null(strstr(error.message, "damaged"));
    fetch_clear(&fetch);
}

static void lengths_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    fetch_t fetch;
    int complete;
    begin(&fetch);
    worker_message_t blob = blob_at(0);
    blob.total = WORKER_PAYLOAD_LIMIT + 1;
    assert_int_equal(fetch_accept(&fetch, &blob, INPUT, 1, &complete, NULL), ERR_TOO_LARGE);
    begin(&fetch);
    blob.total = 4;
    assert_int_equal(fetch_accept(&fetch, &blob, INPUT, 5, &complete, NULL), ERR_NOT_FOUND);
    fetch_clear(&fetch);
    begin(&fetch);
    assert_int_equal(give(&fetch, 0, 0, &complete, NULL), ERR_NOT_FOUND); /* no end in sight */
    fetch_clear(&fetch);
    begin(&fetch);
    assert_int_equal(give(&fetch, 0, 10, &complete, NULL), OK);
    blob = blob_at(10);
    blob.total = LENGTH + 1;
    assert_int_equal(fetch_accept(&fetch, &blob, INPUT + 10, 5, &complete, NULL), ERR_NOT_FOUND);
    fetch_clear(&fetch);
}

static void the_coordinators_error_is_passed_on(void **state)
{
    (void)state;
    fetch_t fetch;
    int complete;
    error_t error = ERROR_INIT;
    begin(&fetch);
    worker_message_t blob = blob_at(0);
    error_set(&blob.error, ERR_NOT_FOUND, "no such payload");
    assert_int_equal(fetch_accept(&fetch, &blob, "", 0, &complete, &error), ERR_NOT_FOUND);
    assert_string_equal(error.message, "no such payload");
    fetch_clear(&fetch);
}

static void an_empty_input_is_complete_at_once(void **state)
{
    (void)state;
    fetch_t fetch = {.active = 0};
    int complete;
    size_t length;
    worker_message_t blob = {.kind = MSG_BLOB, .sha256 = sha256_of("", 0)};
    fetch_start(&fetch, "job_1", &blob.sha256);
    assert_int_equal(fetch_accept(&fetch, &blob, "", 0, &complete, NULL), OK);
    assert_true(complete);
    free(fetch_take(&fetch, &length));
    assert_int_equal(length, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunks_make_the_whole),
        cmocka_unit_test(a_chunk_twice_or_of_something_else_is_ignored),
        cmocka_unit_test(damaged_bytes_are_refused),
        cmocka_unit_test(lengths_that_do_not_fit_are_refused),
        cmocka_unit_test(the_coordinators_error_is_passed_on),
        cmocka_unit_test(an_empty_input_is_complete_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
