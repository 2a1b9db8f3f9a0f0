#include "core_fixture.h"

static void the_freest_worker_gets_the_lowest_task(void **state)
{
    (void)state;
    fixture_t f;
    fixture_open(&f);
    hello(&f, 9, 1);
    hello(&f, 4, 2);
    hello(&f, 6, 2);
    run_job(&f, "a", 4);
    /* 4 and 6 have two free: 4 comes first, then 6; then all have one left, in order 4, 6, 9. */
    static const uint32_t EXPECTED[] = {4, 6, 4, 6};
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(action_at(&f, CORE_ACTION_DISPATCH, i)->worker, EXPECTED[i]);
        assert_int_equal(dispatched(&f, i).task, i);
        assert_int_equal(dispatched(&f, i).attempt, 1);
    }
    fixture_close(&f);
}

static void a_worker_never_holds_more_than_its_credit_and_an_ack_frees_one(void **state)
{
    (void)state;
    fixture_t f;
    fixture_open(&f);
    hello(&f, 1, 2);
    run_job(&f, "a", 4);
    assert_int_equal(action_count(&f, CORE_ACTION_DISPATCH), 2);
    task_ref_t ref = dispatched(&f, 0);
    result(&f, 1, &ref);
    assert_null(action(&f, CORE_ACTION_DISPATCH)); /* it still keeps the payload */
    done(&f, ticket_of(&f, CORE_ACTION_SAVE_RESULT), OK);
    assert_int_equal(dispatched(&f, 0).task, 2);
    fixture_close(&f);
}

static void running_jobs_take_turns(void **state)
{
    (void)state;
    fixture_t f;
    fixture_open(&f);
    run_job(&f, "a", 3);
    run_job(&f, "b", 3);
    hello(&f, 1, 4);
    static const char *const ORDER[] = {"a", "b", "a", "b"};
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(dispatched(&f, i).job_id, ORDER[i]);
    fixture_close(&f);
}

/* One worker, one task at a time: the small job behind a giant one gets as much of its time. */
static void time_is_shared_and_not_tasks(void **state)
{
    (void)state;
    fixture_t f;
    int64_t given_ms[2] = {0, 0};
    fixture_open(&f);
    run_job(&f, "giant", 1000);
    run_job(&f, "small", 1000);
    hello(&f, 1, 1);
    for (int i = 0; i < 300; i++) {
        task_ref_t task = dispatched(&f, 0);
        int giant = !strcmp(task.job_id, "giant");
        f.now_ms += giant ? 2000 : 100;
        given_ms[giant] += giant ? 2000 : 100;
        heartbeat(&f, 1, &task);
        result_saved(&f, 1, &task);
    }
    assert_true(given_ms[0] > given_ms[1] / 2 && given_ms[1] > given_ms[0] / 2);
    fixture_close(&f);
}

/* It has no claim on the time that it was not there. */
static void a_job_that_comes_later_does_not_catch_up(void **state)
{
    (void)state;
    fixture_t f;
    fixture_open(&f);
    run_job(&f, "old", 100);
    hello(&f, 1, 1);
    for (int i = 0; i < 10; i++) {
        task_ref_t task = dispatched(&f, 0);
        result_saved(&f, 1, &task);
    }
    task_ref_t task = dispatched(&f, 0);
    run_job(&f, "new", 100);
    size_t of_old = 0;
    for (int i = 0; i < 10; i++) {
        result_saved(&f, 1, &task);
        task = dispatched(&f, 0);
        of_old += !strcmp(task.job_id, "old");
    }
    assert_in_range(of_old, 3, 7);
    fixture_close(&f);
}

static void a_higher_priority_is_served_first_and_leaves_the_rest(void **state)
{
    (void)state;
    fixture_t f;
    fixture_open(&f);
    run_job(&f, "a", 3);
    submit_with(&f, "b", 7);
    done(&f, ticket_of(&f, CORE_ACTION_SAVE_JOB), OK);
    done(&f, ticket_of(&f, CORE_ACTION_SAVE_JOB), OK);
    advanced(&f, ticket_of(&f, CORE_ACTION_ADVANCE), 0, 2);
    done(&f, ticket_of(&f, CORE_ACTION_SAVE_STAGE), OK);
    hello(&f, 1, 4);
    static const char *const ORDER[] = {"b", "b", "a", "a"};
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(dispatched(&f, i).job_id, ORDER[i]);
    fixture_close(&f);
}

static void a_result_is_acknowledged_when_it_is_durable(void **state)
{
    (void)state;
    fixture_t f;
    fixture_open(&f);
    hello(&f, 1, 1);
    run_job(&f, "a", 2);
    task_ref_t ref = dispatched(&f, 0);
    result(&f, 1, &ref);
    uint64_t ticket = ticket_of(&f, CORE_ACTION_SAVE_RESULT);
    assert_null(action(&f, CORE_ACTION_ACK));
    result(&f, 1, &ref); /* re-sent: the payload under that name is the one being saved */
    assert_int_equal(f.actions.count, 0);
    done(&f, ticket, OK);
    assert_int_equal(action_count(&f, CORE_ACTION_ACK), 1);
    result(&f, 1, &ref); /* the ACK was lost */
    assert_non_null(action(&f, CORE_ACTION_ACK));
    assert_non_null(action(&f, CORE_ACTION_DROP_RESULT));
    fixture_close(&f);
}

static void a_failed_save_is_tried_again_with_the_same_payload(void **state)
{
    (void)state;
    fixture_t f;
    fixture_open(&f);
    hello(&f, 1, 1);
    run_job(&f, "a", 2);
    task_ref_t ref = dispatched(&f, 0);
    result(&f, 1, &ref);
    done(&f, ticket_of(&f, CORE_ACTION_SAVE_RESULT), ERR_IO);
    assert_null(action(&f, CORE_ACTION_ACK));
    tick_at(&f, f.now_ms + 499);
    assert_null(action(&f, CORE_ACTION_SAVE_RESULT));
    tick_at(&f, f.now_ms + 1);
    assert_int_equal(action(&f, CORE_ACTION_SAVE_RESULT)->worker, 1);
    assert_int_equal(action(&f, CORE_ACTION_SAVE_RESULT)->ref.task, 0);
    done(&f, ticket_of(&f, CORE_ACTION_SAVE_RESULT), OK);
    assert_non_null(action(&f, CORE_ACTION_ACK));
    fixture_close(&f);
}

static void results_that_can_never_be_saved_fail_the_job_with_the_stores_error(void **state)
{
    (void)state;
    fixture_t f;
    fixture_open(&f);
    hello(&f, 1, 1);
    run_job(&f, "a", 2);
    task_ref_t ref = dispatched(&f, 0);
    result(&f, 1, &ref);
    for (int i = 0; i < 20; i++) {
        done(&f, ticket_of(&f, CORE_ACTION_SAVE_RESULT), ERR_IO);
        heartbeat(&f, 1, &ref);
        tick_at(&f, f.now_ms + 500);
    }
    done(&f, ticket_of(&f, CORE_ACTION_SAVE_RESULT), ERR_IO);
    assert_int_equal(action(&f, CORE_ACTION_SAVE_JOB)->state, JOB_FAILED);
    assert_int_equal(action(&f, CORE_ACTION_SAVE_JOB)->error.code, ERR_IO);
    assert_non_null(action(&f, CORE_ACTION_DROP_RESULT));
    assert_non_null(action(&f, CORE_ACTION_ACK));
    fixture_close(&f);
}

static void a_result_from_an_older_epoch_is_dropped(void **state)
{
    (void)state;
    fixture_t f;
    core_job_view_t view;
    fixture_open(&f);
    hello(&f, 1, 1);
    run_job(&f, "a", 2);
    task_ref_t ref = dispatched(&f, 0);
    ref.epoch--;
    result(&f, 1, &ref);
    assert_null(action(&f, CORE_ACTION_SAVE_RESULT));
    assert_non_null(action(&f, CORE_ACTION_DROP_RESULT));
    assert_non_null(action(&f, CORE_ACTION_ACK));
    assert_true(core_job(f.core, "a", &view));
    assert_int_equal(view.late_results, 1);
    fixture_close(&f);
}

static void results_of_unknown_jobs_stages_and_tasks_are_dropped(void **state)
{
    (void)state;
    fixture_t f;
    fixture_open(&f);
    hello(&f, 1, 1);
    run_job(&f, "a", 2);
    task_ref_t refs[3] = {dispatched(&f, 0), dispatched(&f, 0), dispatched(&f, 0)};
    strcpy(refs[0].job_id, "nobody");
    refs[1].stage = 1;
    refs[2].task = 2;
    for (int i = 0; i < 3; i++) {
        result(&f, 1, &refs[i]);
        assert_null(action(&f, CORE_ACTION_SAVE_RESULT));
        assert_non_null(action(&f, CORE_ACTION_ACK));
    }
    fixture_close(&f);
}

/* ---- workers that die, hang and lie ---- */

static void a_silent_worker_is_dismissed_and_its_tasks_go_to_another(void **state)
{
    (void)state;
    fixture_t f;
    core_job_view_t view;
    fixture_open(&f);
    hello(&f, 1, 1);
    run_job(&f, "a", 1);
    tick_at(&f, 3000);
    hello(&f, 2, 1);
    assert_int_equal(f.wake_ms, 4000);
    tick_at(&f, 4000);
    assert_int_equal(action(&f, CORE_ACTION_DISMISS)->worker, 1);
    assert_int_equal(action(&f, CORE_ACTION_DISPATCH)->worker, 2);
    assert_int_equal(dispatched(&f, 0).attempt, 2);
    assert_int_equal(core_worker_count(f.core), 1);
    assert_true(core_job(f.core, "a", &view));
    assert_int_equal(view.workers_lost, 1);
    assert_int_equal(view.retries, 1);
    fixture_close(&f);
}

static void a_result_of_a_dismissed_worker_still_counts(void **state)
{
    (void)state;
    fixture_t f;
    fixture_open(&f);
    hello(&f, 1, 1);
    run_job(&f, "a", 2);
    task_ref_t ref = dispatched(&f, 0);
    tick_at(&f, 4000);
    hello(&f, 2, 1);
    task_ref_t again = dispatched(&f, 0);
    assert_int_equal(again.task, ref.task);
    result(&f, 1, &ref);
    uint64_t ticket = ticket_of(&f, CORE_ACTION_SAVE_RESULT);
    result(&f, 2, &again);
    assert_non_null(action(&f, CORE_ACTION_DROP_RESULT));
    assert_null(action(&f, CORE_ACTION_ACK));
    done(&f, ticket, OK);
    assert_int_equal(action_count(&f, CORE_ACTION_ACK), 2); /* all who brought it */
    fixture_close(&f);
}

static void a_lost_dispatch_is_noticed_by_heartbeats(void **state)
{
    (void)state;
    fixture_t f;
    fixture_open(&f);
    hello(&f, 1, 1);
    run_job(&f, "a", 1);
    task_ref_t ref = dispatched(&f, 0);
    tick_at(&f, 2900);
    heartbeat(&f, 1, NULL);
    tick_at(&f, 3900);
    heartbeat(&f, 1, NULL);
    assert_int_equal(f.actions.count, 0);
    tick_at(&f, 4000);
    heartbeat(&f, 1, NULL);
    assert_int_equal(action(&f, CORE_ACTION_ABORT)->ref.attempt, ref.attempt);
    assert_int_equal(dispatched(&f, 0).attempt, ref.attempt + 1);
    fixture_close(&f);
}

static void heartbeats_keep_a_task_with_its_worker(void **state)
{
    (void)state;
    fixture_t f;
    fixture_open(&f);
    hello(&f, 1, 1);
    run_job(&f, "a", 1);
    task_ref_t ref = dispatched(&f, 0);
    for (int second = 1; second <= 10; second++) {
        tick_at(&f, f.now_ms + 1000);
        heartbeat(&f, 1, &ref);
        assert_int_equal(f.actions.count, 0);
    }
    fixture_close(&f);
}

static void a_task_that_nobody_gave_the_worker_is_aborted(void **state)
{
    (void)state;
    fixture_t f;
    fixture_open(&f);
    hello(&f, 1, 1);
    run_job(&f, "a", 1);
    task_ref_t ref = dispatched(&f, 0);
    ref.attempt = 9;
    heartbeat(&f, 1, &ref);
    assert_int_equal(action(&f, CORE_ACTION_ABORT)->ref.attempt, 9);
    fixture_close(&f);
}

static void an_unknown_worker_is_told_to_say_hello_but_not_at_every_heartbeat(void **state)
{
    (void)state;
    fixture_t f;
    fixture_open(&f);
    heartbeat(&f, 5, NULL);
    assert_int_equal(action(&f, CORE_ACTION_DISMISS)->worker, 5);
    f.now_ms += 1000;
    heartbeat(&f, 5, NULL);
    assert_null(action(&f, CORE_ACTION_DISMISS));
    f.now_ms += 2000;
    heartbeat(&f, 5, NULL);
    assert_non_null(action(&f, CORE_ACTION_DISMISS));
    fixture_close(&f);
}

static void a_task_that_kills_three_workers_fails_the_job_by_name(void **state)
{
    (void)state;
    fixture_t f;
    fixture_open(&f);
    run_job(&f, "a", 1);
    for (uint32_t worker = 1; worker <= 3; worker++) {
        hello(&f, worker, 1);
        assert_int_equal(dispatched(&f, 0).attempt, worker);
        tick_at(&f, f.now_ms + 3000);
    }
    const core_action_t *save = action(&f, CORE_ACTION_SAVE_JOB);
    assert_int_equal(save->state, JOB_FAILED);
    assert_non_null(strstr(save->error.message, "task 0 of stage 0 failed 3 times"));
    fixture_close(&f);
}

static void a_task_that_only_waited_behind_is_not_blamed(void **state)
{
    (void)state;
    fixture_t f;
    fixture_open(&f);
    run_job(&f, "a", 2);
    for (uint32_t worker = 1; worker <= 2; worker++) {
        hello(&f, worker, 2);
        assert_int_equal(action_count(&f, CORE_ACTION_DISPATCH), 2);
        tick_at(&f, f.now_ms + 3000);
    }
    hello(&f, 3, 2);
    task_ref_t ran = dispatched(&f, 0);
    task_ref_t waited = dispatched(&f, 1);
    about_task(&f, CORE_EVENT_FAILURE, 3, &waited, ERR_IO);
    assert_null(action(&f, CORE_ACTION_SAVE_JOB)); /* its first fault */
    about_task(&f, CORE_EVENT_FAILURE, 3, &ran, ERR_IO);
    assert_int_equal(action(&f, CORE_ACTION_SAVE_JOB)->state, JOB_FAILED); /* its third */
    fixture_close(&f);
}

static void a_crash_loop_under_one_name_is_counted_but_a_repeated_hello_is_not(void **state)
{
    (void)state;
    fixture_t f;
    fixture_open(&f);
    run_job(&f, "a", 1);
    int hellos = 0;
    while (!action(&f, CORE_ACTION_SAVE_JOB) && hellos < 100) {
        f.now_ms += 10;
        hello(&f, 1, 1);
        hellos++;
    }
    assert_in_range(hellos, 5, 20);
    fixture_close(&f);
}

static void failures_that_no_retry_can_cure_fail_the_job_at_once(void **state)
{
    (void)state;
    static const int CODES[] = {ERR_CHANGED, ERR_INPUT, ERR_USAGE};
    for (int i = 0; i < 3; i++) {
        fixture_t f;
        fixture_open(&f);
        hello(&f, 1, 1);
        run_job(&f, "a", 1);
        task_ref_t ref = dispatched(&f, 0);
        about_task(&f, CORE_EVENT_FAILURE, 1, &ref, CODES[i]);
        assert_int_equal(action(&f, CORE_ACTION_SAVE_JOB)->state, JOB_FAILED);
        assert_int_equal(action(&f, CORE_ACTION_SAVE_JOB)->error.code, CODES[i]);
        fixture_close(&f);
    }
}

static void a_failure_told_twice_counts_once(void **state)
{
    (void)state;
    fixture_t f;
    fixture_open(&f);
    hello(&f, 1, 1);
    run_job(&f, "a", 1);
    task_ref_t ref = dispatched(&f, 0);
    for (int i = 0; i < 5; i++)
        about_task(&f, CORE_EVENT_FAILURE, 1, &ref, ERR_IO);
    assert_null(action(&f, CORE_ACTION_SAVE_JOB));
    assert_int_equal(state_of(&f, "a"), JOB_RUNNING);
    fixture_close(&f);
}

static void returned_tasks_and_goodbyes_cost_nothing(void **state)
{
    (void)state;
    fixture_t f;
    fixture_open(&f);
    run_job(&f, "a", 1);
    for (int i = 0; i < 5; i++) {
        hello(&f, 1, 1);
        task_ref_t ref = dispatched(&f, 0);
        if (i % 2)
            about_task(&f, CORE_EVENT_RETURNED, 1, &ref, OK);
        core_event_t event = event_of(CORE_EVENT_GOODBYE, NULL);
        event.worker = 1;
        feed(&f, &event);
        assert_null(action(&f, CORE_ACTION_SAVE_JOB));
    }
    assert_int_equal(core_worker_count(f.core), 0);
    fixture_close(&f);
}

static void a_stall_of_the_coordinator_kills_no_worker(void **state)
{
    (void)state;
    fixture_t f;
    fixture_open(&f);
    hello(&f, 1, 1);
    run_job(&f, "a", 1);
    task_ref_t ref = dispatched(&f, 0);
    static const int64_t STALLS_MS[] = {2000, 3500, 60000}; /* the whole machine stands still */
    for (int i = 0; i < 3; i++) {
        core_event_t tick = event_of(CORE_EVENT_TICK, NULL);
        f.now_ms += STALLS_MS[i];
        feed(&f, &tick);
        assert_int_equal(f.actions.count, 0);
        heartbeat(&f, 1, &ref);
        assert_int_equal(f.actions.count, 0);
        assert_int_equal(core_worker_count(f.core), 1);
    }
    fixture_close(&f);
}

/* ---- stragglers ---- */

static void near_the_end_a_slow_task_is_started_a_second_time(void **state)
{
    (void)state;
    fixture_t f;
    fixture_open(&f);
    hello(&f, 1, 1);
    hello(&f, 2, 1);
    run_job(&f, "a", 10);
    task_ref_t slow = dispatched(&f, 0);
    task_ref_t ref = dispatched(&f, 1);
    for (int i = 1; i < 10; i++) {
        f.now_ms += 100;
        heartbeat(&f, 1, &slow);
        result_saved(&f, 2, &ref);
        if (i < 9)
            ref = dispatched(&f, 0);
    }
    /* nine of ten are done in 100 ms each; the tenth has run for 900 */
    assert_int_equal(action(&f, CORE_ACTION_DISPATCH)->worker, 2);
    task_ref_t second = dispatched(&f, 0);
    assert_int_equal(second.task, slow.task);
    assert_int_equal(second.attempt, 2);
    result_saved(&f, 2, &second);
    assert_int_equal(action(&f, CORE_ACTION_ABORT)->worker, 1);
    assert_non_null(action(&f, CORE_ACTION_ADVANCE));
    fixture_close(&f);
}

static void no_task_is_started_twice_before_the_end(void **state)
{
    (void)state;
    fixture_t f;
    fixture_open(&f);
    hello(&f, 1, 1);
    hello(&f, 2, 1);
    run_job(&f, "a", 2);
    task_ref_t slow = dispatched(&f, 0);
    task_ref_t ref = dispatched(&f, 1);
    f.now_ms += 10;
    result_saved(&f, 2, &ref);
    f.now_ms += 2000;
    heartbeat(&f, 1, &slow);
    assert_null(action(&f, CORE_ACTION_DISPATCH));
    fixture_close(&f);
}

static void large_stages_are_handed_out_quickly(void **state)
{
    (void)state;
    fixture_t f;
    fixture_open(&f);
    for (uint32_t worker = 1; worker <= 64; worker++)
        hello(&f, worker, 16);
    run_job(&f, "a", 10000);
    assert_int_equal(action_count(&f, CORE_ACTION_DISPATCH), 1024);
    uint32_t results = 0;
    task_ref_t queue[1024];
    uint32_t workers[1024];
    for (size_t i = 0; i < 1024; i++) {
        queue[i] = dispatched(&f, i);
        workers[i] = action_at(&f, CORE_ACTION_DISPATCH, i)->worker;
    }
    for (size_t at = 0; results < 8976; at = (at + 1) % 1024) {
        f.now_ms += at == 0;
        result_saved(&f, workers[at], &queue[at]);
        results++;
        queue[at] = dispatched(&f, 0);
        workers[at] = action(&f, CORE_ACTION_DISPATCH)->worker;
        assert_int_equal(queue[at].task, 1024 + results - 1);
    }
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_freest_worker_gets_the_lowest_task),
        cmocka_unit_test(a_worker_never_holds_more_than_its_credit_and_an_ack_frees_one),
        cmocka_unit_test(running_jobs_take_turns),
        cmocka_unit_test(time_is_shared_and_not_tasks),
        cmocka_unit_test(a_job_that_comes_later_does_not_catch_up),
        cmocka_unit_test(a_higher_priority_is_served_first_and_leaves_the_rest),
        cmocka_unit_test(a_result_is_acknowledged_when_it_is_durable),
        cmocka_unit_test(a_failed_save_is_tried_again_with_the_same_payload),
        cmocka_unit_test(results_that_can_never_be_saved_fail_the_job_with_the_stores_error),
        cmocka_unit_test(a_result_from_an_older_epoch_is_dropped),
        cmocka_unit_test(results_of_unknown_jobs_stages_and_tasks_are_dropped),
        cmocka_unit_test(a_silent_worker_is_dismissed_and_its_tasks_go_to_another),
        cmocka_unit_test(a_result_of_a_dismissed_worker_still_counts),
        cmocka_unit_test(a_lost_dispatch_is_noticed_by_heartbeats),
        cmocka_unit_test(heartbeats_keep_a_task_with_its_worker),
        cmocka_unit_test(a_task_that_nobody_gave_the_worker_is_aborted),
        cmocka_unit_test(an_unknown_worker_is_told_to_say_hello_but_not_at_every_heartbeat),
        cmocka_unit_test(a_task_that_kills_three_workers_fails_the_job_by_name),
        cmocka_unit_test(a_task_that_only_waited_behind_is_not_blamed),
        cmocka_unit_test(a_crash_loop_under_one_name_is_counted_but_a_repeated_hello_is_not),
        cmocka_unit_test(failures_that_no_retry_can_cure_fail_the_job_at_once),
        cmocka_unit_test(a_failure_told_twice_counts_once),
        cmocka_unit_test(returned_tasks_and_goodbyes_cost_nothing),
        cmocka_unit_test(a_stall_of_the_coordinator_kills_no_worker),
        cmocka_unit_test(near_the_end_a_slow_task_is_started_a_second_time),
        cmocka_unit_test(no_task_is_started_twice_before_the_end),
        cmocka_unit_test(large_stages_are_handed_out_quickly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
