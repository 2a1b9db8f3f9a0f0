/* Jobs that go back: retried after a failure, or sent back to their plan by a lost file. */
#include "core_fixture.h"

/* A job of two tasks: the first is done, the second fails for good, and what was visible is gone. */
static void fail_job(fixture_t *f, const char *job_id, int code)
{
    hello(f, 1, 2);
    run_job(f, job_id, 2);
    task_ref_t first = dispatched(f, 0);
    task_ref_t second = dispatched(f, 1);
    result_saved(f, 1, &first);
    about_task(f, CORE_EVENT_FAILURE, 1, &second, code);
    done(f, ticket_of(f, CORE_ACTION_SAVE_JOB), OK);
    assert_int_equal(state_of(f, job_id), JOB_FAILED);
    assert_int_equal(action(f, CORE_ACTION_PURGE)->state, JOB_FAILED);
}

static void fail_after_three_faults(fixture_t *f, const char *job_id)
{
    hello(f, 1, 1);
    run_job(f, job_id, 1);
    for (int i = 0; i < 3; i++) {
        task_ref_t task = dispatched(f, 0);
        about_task(f, CORE_EVENT_FAILURE, 1, &task, ERR_IO);
    }
    done(f, ticket_of(f, CORE_ACTION_SAVE_JOB), OK);
    done(f, ticket_of(f, CORE_ACTION_PURGE), OK);
    assert_string_equal(action(f, CORE_ACTION_FORGOTTEN)->job_id, job_id);
}

/* Queued, and started again: the actions are those of the first dispatch or ADVANCE. */
static void retry(fixture_t *f, const char *job_id)
{
    control(f, job_id, VERB_RETRY, 9);
    assert_int_equal(action(f, CORE_ACTION_SAVE_JOB)->state, JOB_QUEUED);
    assert_null(action(f, CORE_ACTION_REPLY));
    done(f, ticket_of(f, CORE_ACTION_SAVE_JOB), OK);
    assert_int_equal(action(f, CORE_ACTION_REPLY)->error.code, OK);
    done(f, ticket_of(f, CORE_ACTION_SAVE_JOB), OK);
}

static void a_retried_job_goes_on_from_what_is_durable(void **state)
{
    (void)state;
    fixture_t f;
    fixture_open(&f);
    fail_after_three_faults(&f, "b");
    fail_job(&f, "a", ERR_CHANGED);
    done(&f, ticket_of(&f, CORE_ACTION_PURGE), OK);
    recall(&f, "b", JOB_FAILED, ERR_IO, 3, 2);
    retry(&f, "b");
    assert_null(action(&f, CORE_ACTION_ADVANCE));
    assert_int_equal(dispatched(&f, 0).epoch, 2);
    assert_int_equal(dispatched(&f, 0).task, 2);
    assert_int_equal(action_count(&f, CORE_ACTION_DISPATCH), 1);
    fixture_close(&f);
}

static void a_quarantined_task_gets_a_fresh_count(void **state)
{
    (void)state;
    fixture_t f;
    fixture_open(&f);
    fail_after_three_faults(&f, "a");
    recall(&f, "a", JOB_FAILED, ERR_IO, 1, 0);
    retry(&f, "a");
    for (int i = 0; i < 2; i++) {
        task_ref_t task = dispatched(&f, 0);
        about_task(&f, CORE_EVENT_FAILURE, 1, &task, ERR_IO);
    }
    assert_int_equal(state_of(&f, "a"), JOB_RUNNING);
    task_ref_t task = dispatched(&f, 0);
    result_saved(&f, 1, &task);
    assert_int_equal(state_of(&f, "a"), JOB_MERGING);
    fixture_close(&f);
}

static void changed_input_is_planned_anew(void **state)
{
    (void)state;
    fixture_t f;
    fixture_open(&f);
    fail_job(&f, "a", ERR_CHANGED);
    done(&f, ticket_of(&f, CORE_ACTION_PURGE), OK);
    recall(&f, "a", JOB_FAILED, ERR_CHANGED, 2, 1);
    retry(&f, "a");
    assert_true(action(&f, CORE_ACTION_ADVANCE)->first);
    fixture_close(&f);
}

static void a_retry_waits_until_the_job_is_cleaned_up(void **state)
{
    (void)state;
    fixture_t f;
    fixture_open(&f);
    fail_job(&f, "a", ERR_CHANGED);
    uint64_t purge = ticket_of(&f, CORE_ACTION_PURGE);
    control(&f, "a", VERB_RETRY, 9);
    assert_int_equal(f.actions.count, 0);
    done(&f, purge, OK);
    assert_int_equal(action(&f, CORE_ACTION_SAVE_JOB)->state, JOB_QUEUED);
    done(&f, ticket_of(&f, CORE_ACTION_SAVE_JOB), OK);
    assert_int_equal(action(&f, CORE_ACTION_REPLY)->request, 9);
    fixture_close(&f);
}

static void only_what_has_failed_or_was_cancelled_is_retried(void **state)
{
    (void)state;
    fixture_t f;
    fixture_open(&f);
    hello(&f, 1, 2);
    run_job(&f, "a", 2);
    control(&f, "a", VERB_RETRY, 9);
    assert_int_equal(action(&f, CORE_ACTION_REPLY)->error.code, ERR_CONFLICT);
    control(&f, "a", VERB_CANCEL, 1);
    done(&f, ticket_of(&f, CORE_ACTION_SAVE_JOB), OK);
    done(&f, ticket_of(&f, CORE_ACTION_PURGE), OK);
    assert_true(action(&f, CORE_ACTION_SAVE_JOB)->settled);
    done(&f, ticket_of(&f, CORE_ACTION_SAVE_JOB), OK);
    recall(&f, "a", JOB_CANCELLED, OK, 0, 0);
    retry(&f, "a");
    assert_true(action(&f, CORE_ACTION_ADVANCE)->first);
    assert_int_equal(action(&f, CORE_ACTION_ADVANCE)->epoch, 2);
    fixture_close(&f);
}

static void a_retry_counts_against_the_queue_limit(void **state)
{
    (void)state;
    fixture_t f;
    core_options_t options;
    core_options_init(&options);
    options.queue_limit = 1;
    fixture_open_with(&f, &options);
    fail_after_three_faults(&f, "a");
    submit(&f, "b", 1);
    done(&f, ticket_of(&f, CORE_ACTION_SAVE_JOB), OK);
    recall(&f, "a", JOB_FAILED, ERR_IO, 1, 0);
    control(&f, "a", VERB_RETRY, 9);
    assert_non_null(action(&f, CORE_ACTION_FORGOTTEN)); /* nothing came of it */
    assert_int_equal(action(&f, CORE_ACTION_REPLY)->error.code, ERR_BUSY);
    assert_string_equal(action(&f, CORE_ACTION_REPLY)->error.field, "queue_limit");
    fixture_close(&f);
}

static void lose_file(fixture_t *f, const char *job_id)
{
    core_event_t event = event_of(CORE_EVENT_LOST, job_id);
    error_set(&event.error, ERR_NOT_FOUND, "the spool has no payload x");
    feed(f, &event);
}

static void a_lost_file_sends_the_job_back_to_its_plan_in_a_new_epoch(void **state)
{
    (void)state;
    fixture_t f;
    fixture_open(&f);
    hello(&f, 1, 2);
    run_job(&f, "a", 2);
    task_ref_t first = dispatched(&f, 0);
    result(&f, 1, &first);
    uint64_t late = ticket_of(&f, CORE_ACTION_SAVE_RESULT);
    lose_file(&f, "a");
    assert_int_equal(action_count(&f, CORE_ACTION_ABORT), 1);
    assert_int_equal(action(&f, CORE_ACTION_SAVE_JOB)->state, JOB_PLANNING);
    assert_int_equal(action(&f, CORE_ACTION_SAVE_JOB)->epoch, 2);
    uint64_t row = ticket_of(&f, CORE_ACTION_SAVE_JOB);
    done(&f, late, OK); /* a result of the pass that is over */
    assert_non_null(action(&f, CORE_ACTION_ACK));
    done(&f, row, OK);
    assert_true(action(&f, CORE_ACTION_ADVANCE)->first);
    lose_file(&f, "a"); /* told twice: nothing is left to lose */
    assert_int_equal(f.actions.count, 0);
    fixture_close(&f);
}

static void what_an_earlier_pass_left_is_not_computed_again(void **state)
{
    (void)state;
    fixture_t f;
    sha256_t found[3] = {{{0}}, {{7}}, {{0}}};
    fixture_open(&f);
    hello(&f, 1, 3);
    plan_job(&f, "a", 3);
    core_event_t event = event_of(CORE_EVENT_DONE, NULL);
    event.ticket = ticket_of(&f, CORE_ACTION_SAVE_STAGE);
    event.found = found;
    feed(&f, &event);
    assert_int_equal(action_count(&f, CORE_ACTION_DISPATCH), 2);
    assert_int_equal(dispatched(&f, 0).task, 0);
    assert_int_equal(dispatched(&f, 1).task, 2);
    sha256_t sha;
    assert_true(core_result(f.core, "a", 1, &sha));
    assert_int_equal(sha.bytes[0], 7);
    fixture_close(&f);
}

static void a_job_that_loses_files_again_and_again_fails(void **state)
{
    (void)state;
    fixture_t f;
    fixture_open(&f);
    hello(&f, 1, 2);
    run_job(&f, "a", 2);
    for (int i = 0; i < 3; i++) {
        lose_file(&f, "a");
        done(&f, ticket_of(&f, CORE_ACTION_SAVE_JOB), OK);
        advanced(&f, ticket_of(&f, CORE_ACTION_ADVANCE), 0, 2);
        done(&f, ticket_of(&f, CORE_ACTION_SAVE_STAGE), OK);
    }
    lose_file(&f, "a");
    assert_int_equal(action(&f, CORE_ACTION_SAVE_JOB)->state, JOB_FAILED);
    assert_non_null(strstr(action(&f, CORE_ACTION_SAVE_JOB)->error.message, "4 times"));
    fixture_close(&f);
}

/* The ledger has a stage that the job, which fails meanwhile, has not. The last action is the purge. */
static void fail_while_a_stage_is_saved(fixture_t *f, const char *job_id)
{
    hello(f, 1, 1);
    run_job(f, job_id, 1);
    for (int i = 0; i < 3; i++) {
        lose_file(f, job_id);
        done(f, ticket_of(f, CORE_ACTION_SAVE_JOB), OK);
        advanced(f, ticket_of(f, CORE_ACTION_ADVANCE), 0, 1);
        done(f, ticket_of(f, CORE_ACTION_SAVE_STAGE), OK);
    }
    task_ref_t task = dispatched(f, 0);
    result_saved(f, 1, &task);
    advanced(f, ticket_of(f, CORE_ACTION_ADVANCE), 1, 2);
    uint64_t stage = ticket_of(f, CORE_ACTION_SAVE_STAGE);
    lose_file(f, job_id);
    done(f, stage, OK);
    assert_int_equal(action(f, CORE_ACTION_SAVE_JOB)->state, JOB_FAILED);
    done(f, ticket_of(f, CORE_ACTION_SAVE_JOB), OK);
}

static void a_stage_saved_after_its_job_has_failed_is_where_a_retry_goes_on(void **state)
{
    (void)state;
    fixture_t f;
    fixture_open(&f);
    fail_while_a_stage_is_saved(&f, "a");
    done(&f, ticket_of(&f, CORE_ACTION_PURGE), OK);
    recall(&f, "a", JOB_FAILED, ERR_NOT_FOUND, 2, 0); /* the ledger is a stage further */
    retry(&f, "a");
    assert_null(action(&f, CORE_ACTION_ADVANCE));
    assert_int_equal(dispatched(&f, 0).epoch, 2);
    fixture_close(&f);
}

/* What is in memory then is a stage behind the ledger. */
static void a_retry_before_such_a_job_is_forgotten_plans_it_anew(void **state)
{
    (void)state;
    fixture_t f;
    fixture_open(&f);
    fail_while_a_stage_is_saved(&f, "a");
    uint64_t purge = ticket_of(&f, CORE_ACTION_PURGE);
    control(&f, "a", VERB_RETRY, 9);
    done(&f, purge, OK);
    assert_int_equal(action(&f, CORE_ACTION_SAVE_JOB)->state, JOB_QUEUED);
    done(&f, ticket_of(&f, CORE_ACTION_SAVE_JOB), OK);
    done(&f, ticket_of(&f, CORE_ACTION_SAVE_JOB), OK);
    assert_true(action(&f, CORE_ACTION_ADVANCE)->first);
    fixture_close(&f);
}

/* It computes nothing: when it works again there is time to fail. */
static void a_paused_job_that_loses_one_file_too_many_goes_back(void **state)
{
    (void)state;
    fixture_t f;
    core_job_view_t view;
    fixture_open(&f);
    run_job(&f, "a", 2);
    for (int i = 0; i < 3; i++) {
        lose_file(&f, "a");
        done(&f, ticket_of(&f, CORE_ACTION_SAVE_JOB), OK);
        advanced(&f, ticket_of(&f, CORE_ACTION_ADVANCE), 0, 2);
        done(&f, ticket_of(&f, CORE_ACTION_SAVE_STAGE), OK);
    }
    control(&f, "a", VERB_PAUSE, 1);
    while (action(&f, CORE_ACTION_SAVE_JOB))
        done(&f, ticket_of(&f, CORE_ACTION_SAVE_JOB), OK);
    assert_true(core_job(f.core, "a", &view));
    assert_int_equal(view.state, JOB_PAUSED);
    assert_true(view.has_stage);
    lose_file(&f, "a");
    assert_true(core_job(f.core, "a", &view));
    assert_int_equal(view.state, JOB_PAUSED);
    assert_false(view.has_stage); /* it will be planned anew */
    fixture_close(&f);
}

static void a_stage_that_cannot_be_read_back_is_made_again(void **state)
{
    (void)state;
    fixture_t f;
    fixture_open(&f);
    plan_job(&f, "a", 2);
    core_event_t event = event_of(CORE_EVENT_DONE, NULL);
    event.ticket = ticket_of(&f, CORE_ACTION_SAVE_STAGE);
    event.lost = 1;
    error_set(&event.error, ERR_NOT_FOUND, "the spool has no payload x");
    feed(&f, &event);
    assert_true(action(&f, CORE_ACTION_ADVANCE)->first);
    fixture_close(&f);
}

static void expire(fixture_t *f, const char *job_id)
{
    core_event_t event = event_of(CORE_EVENT_EXPIRE, job_id);
    feed(f, &event);
}

static void an_expired_job_is_removed_once_that_is_durable(void **state)
{
    (void)state;
    fixture_t f;
    core_job_view_t view;
    fixture_open(&f);
    fail_after_three_faults(&f, "a");
    assert_int_equal(core_job_count(f.core, JOB_FAILED), 1);
    recall(&f, "a", JOB_FAILED, ERR_IO, 1, 0);
    expire(&f, "a");
    assert_int_equal(action(&f, CORE_ACTION_SAVE_JOB)->state, JOB_REMOVING);
    assert_null(action(&f, CORE_ACTION_REMOVE));
    done(&f, ticket_of(&f, CORE_ACTION_SAVE_JOB), OK);
    uint64_t removal = ticket_of(&f, CORE_ACTION_REMOVE);
    control(&f, "a", VERB_RETRY, 9);
    assert_int_equal(action(&f, CORE_ACTION_REPLY)->error.code, ERR_CONFLICT);
    done(&f, removal, ERR_UNAVAILABLE);
    assert_int_equal(f.actions.count, 0); /* until the next EXPIRE */
    expire(&f, "a");
    done(&f, ticket_of(&f, CORE_ACTION_REMOVE), OK);
    assert_non_null(action(&f, CORE_ACTION_FORGOTTEN));
    assert_false(core_job(f.core, "a", &view));
    assert_int_equal(core_job_count(f.core, JOB_FAILED) + core_job_count(f.core, JOB_REMOVING), 0);
    fixture_close(&f);
}

static void only_what_has_ended_expires(void **state)
{
    (void)state;
    fixture_t f;
    fixture_open(&f);
    hello(&f, 1, 1);
    run_job(&f, "a", 1);
    expire(&f, "a");
    expire(&f, "unknown");
    assert_int_equal(f.actions.count, 0);
    assert_int_equal(state_of(&f, "a"), JOB_RUNNING);
    fixture_close(&f);
}

static void a_removal_that_was_cut_short_goes_on_after_a_restart(void **state)
{
    (void)state;
    fixture_t f;
    fixture_open(&f);
    core_event_t event = event_of(CORE_EVENT_RECOVER_JOB, "a");
    event.epoch = 1;
    event.state = JOB_REMOVING;
    feed(&f, &event);
    event = event_of(CORE_EVENT_RECOVERED, NULL);
    feed(&f, &event);
    assert_non_null(action(&f, CORE_ACTION_REMOVE));
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_retried_job_goes_on_from_what_is_durable),
        cmocka_unit_test(a_quarantined_task_gets_a_fresh_count),
        cmocka_unit_test(changed_input_is_planned_anew),
        cmocka_unit_test(a_retry_waits_until_the_job_is_cleaned_up),
        cmocka_unit_test(only_what_has_failed_or_was_cancelled_is_retried),
        cmocka_unit_test(a_retry_counts_against_the_queue_limit),
        cmocka_unit_test(a_lost_file_sends_the_job_back_to_its_plan_in_a_new_epoch),
        cmocka_unit_test(what_an_earlier_pass_left_is_not_computed_again),
        cmocka_unit_test(a_job_that_loses_files_again_and_again_fails),
        cmocka_unit_test(a_stage_saved_after_its_job_has_failed_is_where_a_retry_goes_on),
        cmocka_unit_test(a_retry_before_such_a_job_is_forgotten_plans_it_anew),
        cmocka_unit_test(a_paused_job_that_loses_one_file_too_many_goes_back),
        cmocka_unit_test(a_stage_that_cannot_be_read_back_is_made_again),
        cmocka_unit_test(an_expired_job_is_removed_once_that_is_durable),
        cmocka_unit_test(only_what_has_ended_expires),
        cmocka_unit_test(a_removal_that_was_cut_short_goes_on_after_a_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
