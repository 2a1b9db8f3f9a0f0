/* How a job comes in: its submit is durable before it is answered, or refused. */
#include "core_fixture.h"

static void a_submit_is_answered_once_the_ledger_has_it(void **state)
{
    (void)state;
    fixture_t f;
    core_job_view_t view;
    fixture_open(&f);
    submit(&f, "a", 7);
    assert_null(action(&f, CORE_ACTION_REPLY));
    assert_false(core_job(f.core, "a", &view));
    done(&f, ticket_of(&f, CORE_ACTION_SAVE_JOB), OK);
    assert_int_equal(action(&f, CORE_ACTION_REPLY)->request, 7);
    assert_int_equal(action(&f, CORE_ACTION_REPLY)->error.code, OK);
    assert_int_equal(state_of(&f, "a"), JOB_QUEUED);
    fixture_close(&f);
}

static void a_submit_that_cannot_be_saved_is_refused_and_forgotten(void **state)
{
    (void)state;
    fixture_t f;
    core_job_view_t view;
    fixture_open(&f);
    submit(&f, "a", 7);
    done(&f, ticket_of(&f, CORE_ACTION_SAVE_JOB), ERR_IO);
    assert_int_equal(action(&f, CORE_ACTION_REPLY)->error.code, ERR_UNAVAILABLE);
    assert_non_null(strstr(action(&f, CORE_ACTION_REPLY)->error.message, "the disk is full"));
    assert_false(core_job(f.core, "a", &view));
    submit(&f, "a", 8);
    assert_non_null(action(&f, CORE_ACTION_SAVE_JOB));
    fixture_close(&f);
}

static void a_submit_over_the_queue_limit_is_busy(void **state)
{
    (void)state;
    fixture_t f;
    core_options_t options;
    core_options_init(&options);
    options.queue_limit = 1;
    fixture_open_with(&f, &options);
    submit(&f, "a", 1);
    submit(&f, "b", 2);
    assert_int_equal(action(&f, CORE_ACTION_REPLY)->error.code, ERR_BUSY);
    assert_null(action(&f, CORE_ACTION_SAVE_JOB));
    fixture_close(&f);
}

static void the_same_job_id_twice_is_a_conflict(void **state)
{
    (void)state;
    fixture_t f;
    fixture_open(&f);
    submit(&f, "a", 1);
    submit(&f, "a", 2);
    assert_int_equal(action(&f, CORE_ACTION_REPLY)->error.code, ERR_CONFLICT);
    fixture_close(&f);
}

static void a_thousand_jobs_can_wait_and_leave(void **state)
{
    (void)state;
    fixture_t f;
    char id[JOB_ID_SIZE];
    fixture_open(&f);
    for (int i = 0; i < 1000; i++) {
        snprintf(id, sizeof id, "job-%d", i);
        submit(&f, id, 0);
        done(&f, ticket_of(&f, CORE_ACTION_SAVE_JOB), OK);
    }
    assert_true(core_job_count(f.core, JOB_QUEUED) >= 998);
    submit(&f, "one more", 1);
    assert_int_equal(action(&f, CORE_ACTION_REPLY)->error.code, ERR_BUSY);
    for (int i = 999; i > 1; i--) {
        snprintf(id, sizeof id, "job-%d", i);
        control(&f, id, VERB_CANCEL, 0);
        done(&f, ticket_of(&f, CORE_ACTION_SAVE_JOB), OK);
        done(&f, ticket_of(&f, CORE_ACTION_PURGE), OK);
        done(&f, ticket_of(&f, CORE_ACTION_SAVE_JOB), OK);
    }
    assert_int_equal(core_job_count(f.core, JOB_CANCELLED), 998);
    submit(&f, "one more", 1);
    assert_non_null(action(&f, CORE_ACTION_SAVE_JOB));
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_submit_is_answered_once_the_ledger_has_it),
        cmocka_unit_test(a_submit_that_cannot_be_saved_is_refused_and_forgotten),
        cmocka_unit_test(a_submit_over_the_queue_limit_is_busy),
        cmocka_unit_test(the_same_job_id_twice_is_a_conflict),
        cmocka_unit_test(a_thousand_jobs_can_wait_and_leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
