#include "core_fixture.h"

static void recover(fixture_t *f, const char *job_id, uint32_t epoch, job_state_t job_state)
{
    core_event_t event = event_of(CORE_EVENT_RECOVER_JOB, job_id);
    event.epoch = epoch;
    event.state = job_state;
    feed(f, &event);
}

static void recover_stage(fixture_t *f, const char *job_id, uint32_t epoch, uint32_t task_count)
{
    core_event_t event = event_of(CORE_EVENT_RECOVER_STAGE, job_id);
    event.epoch = epoch;
    event.stage = 2;
    event.task_count = task_count;
    event.last = task_count == 0;
    event.state_sha.bytes[0] = 77;
    feed(f, &event);
}

static void recover_task(fixture_t *f, const char *job_id, uint32_t epoch, uint32_t stage,
                         uint32_t task)
{
    core_event_t event = event_of(CORE_EVENT_RECOVER_TASK, NULL);
    strcpy(event.ref.job_id, job_id);
    event.ref.epoch = epoch;
    event.ref.stage = stage;
    event.ref.task = task;
    event.sha256.bytes[0] = (uint8_t)(100 + task);
    feed(f, &event);
}

static void recovered(fixture_t *f)
{
    core_event_t event = event_of(CORE_EVENT_RECOVERED, NULL);
    feed(f, &event);
}

static void a_running_job_goes_on_in_a_new_epoch_with_its_finished_tasks(void **state)
{
    (void)state;
    fixture_t f;
    sha256_t sha;
    fixture_open(&f);
    recover(&f, "a", 4, JOB_RUNNING);
    recover_stage(&f, "a", 3, 3);
    recover_task(&f, "a", 3, 2, 0);
    recover_task(&f, "a", 4, 2, 2);
    recover_task(&f, "a", 5, 2, 1); /* of an epoch to come: no */
    recover_task(&f, "a", 4, 1, 1); /* of another stage: no */
    recover_task(&f, "a", 4, 2, 9); /* no such task */
    recovered(&f);
    hello(&f, 1, 4);
    assert_null(action(&f, CORE_ACTION_DISPATCH)); /* the new epoch is not durable */
    fixture_close(&f);

    fixture_open(&f);
    recover(&f, "a", 4, JOB_RUNNING);
    recover_stage(&f, "a", 3, 3);
    recover_task(&f, "a", 3, 2, 0);
    recover_task(&f, "a", 4, 2, 2);
    recovered(&f);
    assert_int_equal(action(&f, CORE_ACTION_SAVE_JOB)->epoch, 5);
    uint64_t ticket = ticket_of(&f, CORE_ACTION_SAVE_JOB);
    hello(&f, 1, 4);
    done(&f, ticket, OK);
    assert_int_equal(action_count(&f, CORE_ACTION_DISPATCH), 1);
    task_ref_t ref = dispatched(&f, 0);
    assert_int_equal(ref.task, 1);
    assert_int_equal(ref.epoch, 5);
    assert_true(core_result(f.core, "a", 2, &sha));
    assert_int_equal(sha.bytes[0], 102);
    ref.epoch = 4; /* a result of before the crash */
    result(&f, 1, &ref);
    assert_null(action(&f, CORE_ACTION_SAVE_RESULT));
    fixture_close(&f);
}

static void a_stage_whose_results_were_all_saved_is_merged(void **state)
{
    (void)state;
    fixture_t f;
    fixture_open(&f);
    recover(&f, "a", 1, JOB_MERGING);
    recover_stage(&f, "a", 1, 1);
    recover_task(&f, "a", 1, 2, 0);
    recovered(&f);
    done(&f, ticket_of(&f, CORE_ACTION_SAVE_JOB), OK);
    assert_int_equal(action(&f, CORE_ACTION_ADVANCE)->stage, 2);
    assert_int_equal(action(&f, CORE_ACTION_ADVANCE)->first, 0);
    fixture_close(&f);
}

static void a_job_that_was_planning_plans_again(void **state)
{
    (void)state;
    fixture_t f;
    fixture_open(&f);
    recover(&f, "a", 1, JOB_PLANNING);
    recovered(&f);
    assert_int_equal(action(&f, CORE_ACTION_SAVE_JOB)->epoch, 2);
    done(&f, ticket_of(&f, CORE_ACTION_SAVE_JOB), OK);
    assert_int_equal(action(&f, CORE_ACTION_ADVANCE)->first, 1);
    fixture_close(&f);
}

static void writing_goes_on_with_write(void **state)
{
    (void)state;
    fixture_t f;
    fixture_open(&f);
    recover(&f, "a", 3, JOB_WRITING);
    recover_stage(&f, "a", 3, 0);
    recovered(&f);
    assert_int_equal(action(&f, CORE_ACTION_WRITE)->state_sha.bytes[0], 77);
    fixture_close(&f);
}

static void paused_stays_paused_and_pausing_becomes_paused(void **state)
{
    (void)state;
    fixture_t f;
    fixture_open(&f);
    hello(&f, 1, 4);
    recover(&f, "a", 1, JOB_PAUSED);
    recover_stage(&f, "a", 1, 2);
    recover(&f, "b", 1, JOB_PAUSING);
    recover_stage(&f, "b", 1, 2);
    recovered(&f);
    assert_int_equal(action_count(&f, CORE_ACTION_SAVE_JOB), 1);
    assert_int_equal(action(&f, CORE_ACTION_SAVE_JOB)->state, JOB_PAUSED);
    done(&f, ticket_of(&f, CORE_ACTION_SAVE_JOB), OK);
    assert_null(action(&f, CORE_ACTION_DISPATCH));
    control(&f, "a", VERB_RESUME, 1);
    done(&f, ticket_of(&f, CORE_ACTION_SAVE_JOB), OK);
    done(&f, ticket_of(&f, CORE_ACTION_SAVE_JOB), OK);
    assert_int_equal(dispatched(&f, 0).epoch, 2); /* attempts of before the crash are another's */
    fixture_close(&f);
}

static void cancelling_goes_on_with_the_purge(void **state)
{
    (void)state;
    fixture_t f;
    fixture_open(&f);
    recover(&f, "a", 2, JOB_CANCELLING);
    recovered(&f);
    done(&f, ticket_of(&f, CORE_ACTION_PURGE), OK);
    assert_int_equal(action(&f, CORE_ACTION_SAVE_JOB)->state, JOB_CANCELLED);
    assert_int_equal(action(&f, CORE_ACTION_SAVE_JOB)->epoch, 2);
    fixture_close(&f);
}

static void an_ended_job_that_is_not_settled_is_purged_again(void **state)
{
    (void)state;
    fixture_t f;
    fixture_open(&f);
    core_event_t event = event_of(CORE_EVENT_RECOVER_COUNT, NULL);
    event.state = JOB_COMPLETED;
    event.count = 7; /* that are settled */
    feed(&f, &event);
    recover(&f, "left", 1, JOB_COMPLETED);
    recover_stage(&f, "left", 1, 0);
    recover(&f, "failed", 1, JOB_FAILED);
    recovered(&f);
    assert_int_equal(action_count(&f, CORE_ACTION_PURGE), 2);
    assert_int_equal(core_job_count(f.core, JOB_COMPLETED), 8);
    assert_int_equal(core_job_total(f.core), 2);
    control(&f, "left", VERB_CANCEL, 1);
    assert_int_equal(action(&f, CORE_ACTION_REPLY)->error.code, ERR_CONFLICT);
    fixture_close(&f);
}

static void queued_jobs_wait_in_their_order_behind_those_that_ran(void **state)
{
    (void)state;
    fixture_t f;
    core_options_t options;
    core_options_init(&options);
    options.running_limit = 1;
    fixture_open_with(&f, &options);
    recover(&f, "a", 1, JOB_QUEUED);
    recover(&f, "b", 1, JOB_PLANNING);
    recover(&f, "c", 1, JOB_QUEUED);
    recovered(&f);
    assert_int_equal(action_count(&f, CORE_ACTION_SAVE_JOB), 1);
    assert_string_equal(action(&f, CORE_ACTION_SAVE_JOB)->job_id, "b");
    control(&f, "b", VERB_CANCEL, 0);
    assert_string_equal(action_at(&f, CORE_ACTION_SAVE_JOB, 0)->job_id, "a");
    fixture_close(&f);
}

static void a_priority_outlives_the_coordinator(void **state)
{
    (void)state;
    fixture_t f;
    core_options_t options;
    core_options_init(&options);
    options.running_limit = 1;
    fixture_open_with(&f, &options);
    recover(&f, "low", 1, JOB_QUEUED);
    core_event_t event = event_of(CORE_EVENT_RECOVER_JOB, "high");
    event.epoch = 1;
    event.state = JOB_QUEUED;
    event.priority = 1;
    feed(&f, &event);
    recovered(&f);
    assert_string_equal(action(&f, CORE_ACTION_SAVE_JOB)->job_id, "high");
    fixture_close(&f);
}

static void a_stage_row_of_a_later_epoch_or_of_no_size_is_ignored(void **state)
{
    (void)state;
    fixture_t f;
    core_job_view_t view;
    fixture_open(&f);
    recover(&f, "a", 1, JOB_RUNNING);
    recover_stage(&f, "a", 2, 3);
    core_event_t event = event_of(CORE_EVENT_RECOVER_STAGE, "a");
    event.epoch = 1;
    event.task_count = UINT32_MAX;
    feed(&f, &event);
    recovered(&f);
    assert_true(core_job(f.core, "a", &view));
    assert_int_equal(view.task_count, 0);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_running_job_goes_on_in_a_new_epoch_with_its_finished_tasks),
        cmocka_unit_test(a_stage_whose_results_were_all_saved_is_merged),
        cmocka_unit_test(a_job_that_was_planning_plans_again),
        cmocka_unit_test(writing_goes_on_with_write),
        cmocka_unit_test(paused_stays_paused_and_pausing_becomes_paused),
        cmocka_unit_test(cancelling_goes_on_with_the_purge),
        cmocka_unit_test(an_ended_job_that_is_not_settled_is_purged_again),
        cmocka_unit_test(a_priority_outlives_the_coordinator),
        cmocka_unit_test(queued_jobs_wait_in_their_order_behind_those_that_ran),
        cmocka_unit_test(a_stage_row_of_a_later_epoch_or_of_no_size_is_ignored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
