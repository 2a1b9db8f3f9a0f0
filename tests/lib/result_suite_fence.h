/* result_suite_fence.h - the part of the result stores' suite about coordinators that were displaced
 * and do not know it yet. */
#ifndef STAGE4_TESTS_LIB_RESULT_SUITE_FENCE_H
#define STAGE4_TESTS_LIB_RESULT_SUITE_FENCE_H

#include "lib/result_fixture.h"

static const result_fence_t FIRST_FENCE = {"a ledger", 4, "the first coordinator"};
static const result_fence_t SECOND_FENCE = {"a ledger", 5, "the second coordinator"};

static result_store_t *result_claimed(const result_fixture_t *self, const result_fence_t *fence)
{
    result_store_t *store = NULL;
    assert_int_equal(self->factory->open(self->place, 0, &store, NULL), OK);
    assert_int_equal(store->verbs->claim(store, fence, NULL), OK);
    return store;
}

static void result_expect_displaced(int code, const error_t *error)
{
    assert_int_equal(code, ERR_CONFLICT);
    assert_string_equal(error->field, RESULT_OWNER);
    assert_non_null(strstr(error->message, SECOND_FENCE.owner));
}

static void a_commit_begun_before_another_took_over_is_refused(void **state)
{
    result_fixture_t *self = *state;
    result_job_row_t row = result_row(&TWENTY);
    cluster_query_t query = result_any();
    error_t error = ERROR_INIT;
    result_store_t *first = result_claimed(self, &FIRST_FENCE);
    assert_int_equal(first->verbs->begin_job(first, "job-1", 1, NULL), OK);
    result_store_t *second = result_claimed(self, &SECOND_FENCE);
    assert_int_equal(result_add_all(first, &TWENTY), OK);
    result_expect_displaced(first->verbs->commit_job(first, &row, &error), &error);
    first->verbs->rollback_job(first);
    /* It finds the job cancelled, and removes what there may be of it. */
    assert_int_equal(second->verbs->remove_job(second, "job-1", NULL), OK);
    assert_int_equal(result_count(self->reader, &query), 0);
    assert_int_equal(result_write(second, &TWENTY), OK);
    assert_int_equal(result_count(self->reader, &query), 20);
    first->verbs->close(&first);
    second->verbs->close(&second);
}

static void a_displaced_coordinator_changes_nothing_any_more(void **state)
{
    result_fixture_t *self = *state;
    result_job_t other = TWENTY;
    cluster_query_t query = result_any();
    error_t error = ERROR_INIT;
    result_store_t *first = result_claimed(self, &FIRST_FENCE);
    assert_int_equal(result_write(first, &TWENTY), OK);
    result_store_t *second = result_claimed(self, &SECOND_FENCE);
    other.job_id = "job-2";
    assert_int_equal(result_write(first, &other), ERR_CONFLICT);
    result_expect_displaced(first->verbs->remove_job(first, "job-1", &error), &error);
    error = (error_t)ERROR_INIT;
    result_expect_displaced(first->verbs->claim(first, &FIRST_FENCE, &error), &error);
    query.job_id = "job-1";
    assert_int_equal(result_count(self->reader, &query), 20);
    query.job_id = "job-2";
    assert_int_equal(result_count(self->reader, &query), -1 - ERR_NOT_FOUND);
    first->verbs->close(&first);
    second->verbs->close(&second);
}

static void a_claim_is_of_one_coordinator_and_one_ledger(void **state)
{
    result_fixture_t *self = *state;
    result_job_t others = TWENTY;
    error_t error = ERROR_INIT;
    const result_fence_t elsewhere = {"another ledger", 1, "its coordinator"};
    const result_fence_t twin = {"a ledger", 5, "one with a copy of the ledger"};
    result_store_t *second = result_claimed(self, &SECOND_FENCE);
    result_store_t *again = result_claimed(self, &SECOND_FENCE);
    result_store_t *other = result_claimed(self, &elsewhere);
    result_expect_displaced(self->writer->verbs->claim(self->writer, &twin, &error), &error);
    others.job_id = "job-2";
    assert_int_equal(result_write(second, &TWENTY), OK);
    assert_int_equal(result_write(other, &others), OK);
    assert_int_equal(again->verbs->remove_job(again, "job-1", NULL), OK);
    second->verbs->close(&second);
    again->verbs->close(&again);
    other->verbs->close(&other);
}

#endif
