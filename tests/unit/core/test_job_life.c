#include "core_fixture.h"

static void a_higher_priority_starts_first(void **state)
{
    (void)state;
    fixture_t f;
    core_options_t options;
    core_options_init(&options);
    options.running_limit = 1;
    fixture_open_with(&f, &options);
    run_job(&f, "first", 1);
    submit_with(&f, "low", 4);
    done(&f, ticket_of(&f, CORE_ACTION_SAVE_JOB), OK);
    submit_with(&f, "high", 6);
    done(&f, ticket_of(&f, CORE_ACTION_SAVE_JOB), OK);
    submit_with(&f, "as high", 6);
    done(&f, ticket_of(&f, CORE_ACTION_SAVE_JOB), OK);
    control(&f, "first", VERB_CANCEL, 0);
    assert_string_equal(action_at(&f, CORE_ACTION_SAVE_JOB, 1)->job_id, "high");
    assert_int_equal(action_at(&f, CORE_ACTION_SAVE_JOB, 1)->state, JOB_PLANNING);
    fixture_close(&f);
}

static void jobs_start_in_order_of_submission_up_to_the_running_limit(void **state)
{
    (void)state;
    fixture_t f;
    uint64_t tickets[3];
    const char *const ids[] = {"a", "b", "c"};
    fixture_open(&f);
    for (int i = 0; i < 3; i++) {
        submit(&f, ids[i], 0);
        tickets[i] = ticket_of(&f, CORE_ACTION_SAVE_JOB);
    }
    for (int i = 0; i < 3; i++) {
        done(&f, tickets[i], OK);
        const core_action_t *save = action(&f, CORE_ACTION_SAVE_JOB);
        if (i == 2) {
            assert_null(save);
            break;
        }
        assert_string_equal(save->job_id, ids[i]);
        assert_int_equal(save->state, JOB_PLANNING);
    }
    assert_int_equal(core_job_count(f.core, JOB_QUEUED), 3); /* planning is not durable yet */
    fixture_close(&f);
}

static void a_job_runs_from_submit_to_purge(void **state)
{
    (void)state;
    fixture_t f;
    fixture_open(&f);
    hello(&f, 1, 2);
    run_job(&f, "a", 2);
    task_ref_t first = dispatched(&f, 0);
    task_ref_t second = dispatched(&f, 1);
    assert_int_equal(state_of(&f, "a"), JOB_RUNNING);
    result_saved(&f, 1, &second);
    assert_null(action(&f, CORE_ACTION_ADVANCE));
    result_saved(&f, 1, &first);
    assert_int_equal(state_of(&f, "a"), JOB_MERGING);
    sha256_t sha;
    assert_true(core_result(f.core, "a", 1, &sha));
    assert_int_equal(sha.bytes[0], 2);
    assert_int_equal(action(&f, CORE_ACTION_ADVANCE)->first, 0);
    advanced(&f, ticket_of(&f, CORE_ACTION_ADVANCE), 1, 0);
    assert_int_equal(action(&f, CORE_ACTION_SAVE_STAGE)->last, 1);
    done(&f, ticket_of(&f, CORE_ACTION_SAVE_STAGE), OK);
    assert_int_equal(action(&f, CORE_ACTION_SAVE_JOB)->state, JOB_WRITING);
    done(&f, ticket_of(&f, CORE_ACTION_SAVE_JOB), OK);
    assert_int_equal(action(&f, CORE_ACTION_WRITE)->state_sha.bytes[0], 2);
    done(&f, ticket_of(&f, CORE_ACTION_WRITE), OK);
    assert_int_equal(action(&f, CORE_ACTION_SAVE_JOB)->state, JOB_COMPLETED);
    assert_int_equal(state_of(&f, "a"), JOB_WRITING);
    done(&f, ticket_of(&f, CORE_ACTION_SAVE_JOB), OK);
    assert_int_equal(state_of(&f, "a"), JOB_COMPLETED);
    done(&f, ticket_of(&f, CORE_ACTION_PURGE), OK);
    assert_int_equal(f.actions.count, 1);
    assert_non_null(action(&f, CORE_ACTION_FORGOTTEN));
    assert_false(core_knows(f.core, "a"));
    assert_int_equal(core_job_count(f.core, JOB_COMPLETED), 1);
    fixture_close(&f);
}

/* What has ended is in the ledger: the core may not grow with it. A purge that fails is tried again
 * until then. */
static void thousands_of_jobs_end_and_leave_nothing_behind(void **state)
{
    (void)state;
    fixture_t f;
    char id[JOB_ID_SIZE];
    fixture_open(&f);
    for (int i = 0; i < 3000; i++) {
        snprintf(id, sizeof id, "job-%d", i);
        run_job(&f, id, 1);
        control(&f, id, VERB_CANCEL, 0);
        done(&f, ticket_of(&f, CORE_ACTION_SAVE_JOB), OK);
        done(&f, ticket_of(&f, CORE_ACTION_PURGE), i % 100 ? OK : ERR_IO);
        assert_int_equal(action(&f, CORE_ACTION_SAVE_JOB)->settled, i % 100 != 0);
        done(&f, ticket_of(&f, CORE_ACTION_SAVE_JOB), OK);
        assert_int_equal(core_knows(f.core, id), i % 100 == 0);
    }
    f.now_ms = f.wake_ms;
    core_event_t tick = event_of(CORE_EVENT_TICK, NULL);
    feed(&f, &tick);
    uint64_t purges[30];
    for (size_t i = 0; i < 30; i++)
        purges[i] = action_at(&f, CORE_ACTION_PURGE, i)->ticket;
    assert_null(action_at(&f, CORE_ACTION_PURGE, 30));
    for (size_t i = 0; i < 30; i++)
        done(&f, purges[i], OK);
    assert_int_equal(core_job_total(f.core), 0);
    assert_int_equal(core_job_count(f.core, JOB_CANCELLED), 3000);
    fixture_close(&f);
}

static void tasks_are_free_only_when_their_stage_is_saved(void **state)
{
    (void)state;
    fixture_t f;
    fixture_open(&f);
    hello(&f, 1, 4);
    plan_job(&f, "a", 3);
    assert_null(action(&f, CORE_ACTION_DISPATCH));
    done(&f, ticket_of(&f, CORE_ACTION_SAVE_STAGE), OK);
    assert_int_equal(action_count(&f, CORE_ACTION_DISPATCH), 3);
    fixture_close(&f);
}

static void a_stage_that_cannot_be_saved_is_tried_again_and_then_fails_the_job(void **state)
{
    (void)state;
    fixture_t f;
    core_options_t options;
    core_job_view_t view;
    core_options_init(&options);
    options.save_retry_limit = 1;
    fixture_open_with(&f, &options);
    plan_job(&f, "a", 3);
    done(&f, ticket_of(&f, CORE_ACTION_SAVE_STAGE), ERR_IO);
    assert_int_equal(f.wake_ms, f.now_ms + options.save_retry_ms);
    assert_true(core_job(f.core, "a", &view) && view.saving_failed);
    tick_at(&f, f.wake_ms);
    done(&f, ticket_of(&f, CORE_ACTION_SAVE_STAGE), ERR_IO);
    tick_at(&f, f.wake_ms);
    assert_int_equal(action(&f, CORE_ACTION_SAVE_JOB)->state, JOB_FAILED);
    assert_int_equal(action(&f, CORE_ACTION_SAVE_JOB)->error.code, ERR_IO);
    fixture_close(&f);
}

/* ---- pause, resume, cancel ---- */

static void pausing_waits_for_running_tasks_and_their_results_count(void **state)
{
    (void)state;
    fixture_t f;
    fixture_open(&f);
    hello(&f, 1, 1);
    run_job(&f, "a", 2);
    task_ref_t ref = dispatched(&f, 0);
    control(&f, "a", VERB_PAUSE, 5);
    assert_null(action(&f, CORE_ACTION_REPLY));
    done(&f, ticket_of(&f, CORE_ACTION_SAVE_JOB), OK);
    assert_int_equal(action(&f, CORE_ACTION_REPLY)->error.code, OK);
    assert_int_equal(state_of(&f, "a"), JOB_PAUSING);
    result_saved(&f, 1, &ref);
    assert_null(action(&f, CORE_ACTION_DISPATCH));
    assert_int_equal(action(&f, CORE_ACTION_SAVE_JOB)->state, JOB_PAUSED);
    assert_true(core_task_done(f.core, "a", 0));
    fixture_close(&f);
}

static void a_pause_takes_back_at_once_what_waits_and_soon_what_runs(void **state)
{
    (void)state;
    fixture_t f;
    fixture_open(&f);
    hello(&f, 1, 2);
    run_job(&f, "a", 2);
    task_ref_t running = dispatched(&f, 0);
    control(&f, "a", VERB_PAUSE, 0);
    assert_int_equal(action_count(&f, CORE_ACTION_ABORT), 1);
    assert_int_equal(action(&f, CORE_ACTION_ABORT)->ref.task, 1);
    done(&f, ticket_of(&f, CORE_ACTION_SAVE_JOB), OK);
    assert_int_equal(f.wake_ms, f.now_ms + 1000);
    f.now_ms += 1000;
    heartbeat(&f, 1, &running);
    assert_int_equal(action(&f, CORE_ACTION_ABORT)->ref.task, 0);
    assert_int_equal(action(&f, CORE_ACTION_SAVE_JOB)->state, JOB_PAUSED);
    fixture_close(&f);
}

static void a_pause_ends_a_merge_that_lasts_and_it_starts_afresh(void **state)
{
    (void)state;
    fixture_t f;
    fixture_open(&f);
    submit(&f, "a", 0);
    done(&f, ticket_of(&f, CORE_ACTION_SAVE_JOB), OK);
    done(&f, ticket_of(&f, CORE_ACTION_SAVE_JOB), OK);
    uint64_t merge = ticket_of(&f, CORE_ACTION_ADVANCE);
    control(&f, "a", VERB_PAUSE, 0);
    done(&f, ticket_of(&f, CORE_ACTION_SAVE_JOB), OK);
    assert_null(action(&f, CORE_ACTION_STOP_ADVANCE));
    tick_at(&f, f.now_ms + 1000);
    assert_non_null(action(&f, CORE_ACTION_STOP_ADVANCE));
    done(&f, merge, ERR_CANCELLED);
    assert_int_equal(action(&f, CORE_ACTION_SAVE_JOB)->state, JOB_PAUSED);
    done(&f, ticket_of(&f, CORE_ACTION_SAVE_JOB), OK);
    control(&f, "a", VERB_RESUME, 0);
    done(&f, ticket_of(&f, CORE_ACTION_SAVE_JOB), OK);
    done(&f, ticket_of(&f, CORE_ACTION_SAVE_JOB), OK);
    assert_non_null(action(&f, CORE_ACTION_ADVANCE));
    fixture_close(&f);
}

static void a_queued_job_is_paused_at_once_and_keeps_its_turn(void **state)
{
    (void)state;
    fixture_t f;
    core_options_t options;
    core_options_init(&options);
    options.running_limit = 0;
    fixture_open_with(&f, &options);
    submit(&f, "a", 0);
    done(&f, ticket_of(&f, CORE_ACTION_SAVE_JOB), OK);
    control(&f, "a", VERB_PAUSE, 1);
    assert_int_equal(action(&f, CORE_ACTION_SAVE_JOB)->state, JOB_PAUSED);
    done(&f, ticket_of(&f, CORE_ACTION_SAVE_JOB), OK);
    assert_int_equal(state_of(&f, "a"), JOB_PAUSED);
    control(&f, "a", VERB_RESUME, 2);
    assert_int_equal(action(&f, CORE_ACTION_SAVE_JOB)->state, JOB_QUEUED);
    fixture_close(&f);
}

static void resume_goes_on_with_what_was_finished(void **state)
{
    (void)state;
    fixture_t f;
    fixture_open(&f);
    hello(&f, 1, 1);
    run_job(&f, "a", 2);
    task_ref_t ref = dispatched(&f, 0);
    control(&f, "a", VERB_PAUSE, 0);
    done(&f, ticket_of(&f, CORE_ACTION_SAVE_JOB), OK);
    result_saved(&f, 1, &ref);
    done(&f, ticket_of(&f, CORE_ACTION_SAVE_JOB), OK);
    assert_int_equal(state_of(&f, "a"), JOB_PAUSED);
    control(&f, "a", VERB_RESUME, 6);
    done(&f, ticket_of(&f, CORE_ACTION_SAVE_JOB), OK); /* queued */
    assert_int_equal(action(&f, CORE_ACTION_REPLY)->request, 6);
    done(&f, ticket_of(&f, CORE_ACTION_SAVE_JOB), OK); /* planning */
    assert_null(action(&f, CORE_ACTION_ADVANCE));
    assert_int_equal(dispatched(&f, 0).task, 1);
    fixture_close(&f);
}

static void the_same_control_twice_is_ok_again(void **state)
{
    (void)state;
    fixture_t f;
    fixture_open(&f);
    run_job(&f, "a", 1);
    control(&f, "a", VERB_PAUSE, 1);
    uint64_t ticket = ticket_of(&f, CORE_ACTION_SAVE_JOB);
    control(&f, "a", VERB_PAUSE, 2);
    assert_null(action(&f, CORE_ACTION_REPLY));
    done(&f, ticket, OK);
    assert_int_equal(action_count(&f, CORE_ACTION_REPLY), 1); /* pausing: the first */
    done(&f, ticket_of(&f, CORE_ACTION_SAVE_JOB), OK);
    assert_int_equal(action(&f, CORE_ACTION_REPLY)->request, 2);
    control(&f, "a", VERB_PAUSE, 3);
    assert_int_equal(action(&f, CORE_ACTION_REPLY)->request, 3);
    assert_int_equal(action(&f, CORE_ACTION_REPLY)->error.code, OK);
    fixture_close(&f);
}

static void a_pause_that_a_cancel_overtakes_is_told_so(void **state)
{
    (void)state;
    fixture_t f;
    fixture_open(&f);
    run_job(&f, "a", 1);
    control(&f, "a", VERB_RESUME, 0); /* legal, and changes nothing */
    hello(&f, 1, 1);
    control(&f, "a", VERB_PAUSE, 1);
    uint64_t ticket = ticket_of(&f, CORE_ACTION_SAVE_JOB);
    control(&f, "a", VERB_CANCEL, 2);
    assert_non_null(action(&f, CORE_ACTION_ABORT));
    done(&f, ticket, ERR_IO);
    tick_at(&f, f.now_ms + 500);
    assert_int_equal(action(&f, CORE_ACTION_SAVE_JOB)->state, JOB_CANCELLING);
    done(&f, ticket_of(&f, CORE_ACTION_SAVE_JOB), OK);
    assert_int_equal(action_at(&f, CORE_ACTION_REPLY, 0)->error.code, ERR_CONFLICT);
    assert_int_equal(action_at(&f, CORE_ACTION_REPLY, 1)->error.code, OK);
    fixture_close(&f);
}

static void cancel_raises_the_epoch_aborts_and_purges(void **state)
{
    (void)state;
    fixture_t f;
    fixture_open(&f);
    hello(&f, 1, 2);
    run_job(&f, "a", 2);
    task_ref_t ref = dispatched(&f, 0);
    control(&f, "a", VERB_CANCEL, 9);
    assert_int_equal(action_count(&f, CORE_ACTION_ABORT), 2);
    assert_int_equal(action(&f, CORE_ACTION_SAVE_JOB)->state, JOB_CANCELLING);
    assert_int_equal(action(&f, CORE_ACTION_SAVE_JOB)->epoch, ref.epoch + 1);
    done(&f, ticket_of(&f, CORE_ACTION_SAVE_JOB), OK);
    assert_int_equal(action(&f, CORE_ACTION_REPLY)->error.code, OK);
    done(&f, ticket_of(&f, CORE_ACTION_PURGE), ERR_IO); /* logged, and tried again later */
    assert_int_equal(action(&f, CORE_ACTION_SAVE_JOB)->state, JOB_CANCELLED);
    done(&f, ticket_of(&f, CORE_ACTION_SAVE_JOB), OK);
    result(&f, 1, &ref);
    assert_non_null(action(&f, CORE_ACTION_ACK));
    assert_non_null(action(&f, CORE_ACTION_DROP_RESULT));
    fixture_close(&f);
}

static void nothing_is_handed_out_while_pausing_or_cancelling(void **state)
{
    (void)state;
    static const client_verb_t VERBS[] = {VERB_PAUSE, VERB_CANCEL};
    for (int i = 0; i < 2; i++) {
        fixture_t f;
        fixture_open(&f);
        hello(&f, 1, 1);
        run_job(&f, "a", 3);
        control(&f, "a", VERBS[i], 0);
        assert_null(action(&f, CORE_ACTION_DISPATCH));
        hello(&f, 2, 4);
        assert_null(action(&f, CORE_ACTION_DISPATCH));
        fixture_close(&f);
    }
}

static void a_purge_waits_for_the_results_under_way(void **state)
{
    (void)state;
    fixture_t f;
    fixture_open(&f);
    hello(&f, 1, 1);
    run_job(&f, "a", 2);
    task_ref_t ref = dispatched(&f, 0);
    result(&f, 1, &ref);
    uint64_t save = ticket_of(&f, CORE_ACTION_SAVE_RESULT);
    control(&f, "a", VERB_CANCEL, 0);
    done(&f, ticket_of(&f, CORE_ACTION_SAVE_JOB), OK);
    assert_null(action(&f, CORE_ACTION_PURGE));
    done(&f, save, ERR_CONFLICT); /* the ledger knows the new epoch */
    assert_non_null(action(&f, CORE_ACTION_ACK));
    assert_non_null(action(&f, CORE_ACTION_PURGE));
    fixture_close(&f);
}

static void an_advance_is_started_once(void **state)
{
    (void)state;
    fixture_t f;
    fixture_open(&f);
    hello(&f, 1, 1);
    run_job(&f, "a", 1);
    task_ref_t ref = dispatched(&f, 0);
    result_saved(&f, 1, &ref);
    assert_int_equal(action_count(&f, CORE_ACTION_ADVANCE), 1);
    tick_at(&f, f.now_ms + 100);
    assert_null(action(&f, CORE_ACTION_ADVANCE));
    control(&f, "a", VERB_PAUSE, 0);
    uint64_t ticket = ticket_of(&f, CORE_ACTION_SAVE_JOB);
    control(&f, "a", VERB_RESUME, 0);
    done(&f, ticket, OK);
    done(&f, ticket_of(&f, CORE_ACTION_SAVE_JOB), OK);
    assert_null(action(&f, CORE_ACTION_ADVANCE));
    fixture_close(&f);
}

static void a_cancel_during_advance_stops_it_and_purges_after_its_end(void **state)
{
    (void)state;
    fixture_t f;
    fixture_open(&f);
    submit(&f, "a", 0);
    done(&f, ticket_of(&f, CORE_ACTION_SAVE_JOB), OK);
    done(&f, ticket_of(&f, CORE_ACTION_SAVE_JOB), OK);
    uint64_t advance = ticket_of(&f, CORE_ACTION_ADVANCE);
    control(&f, "a", VERB_CANCEL, 1);
    assert_non_null(action(&f, CORE_ACTION_STOP_ADVANCE));
    done(&f, ticket_of(&f, CORE_ACTION_SAVE_JOB), OK);
    assert_null(action(&f, CORE_ACTION_PURGE));
    done(&f, advance, ERR_CANCELLED);
    assert_non_null(action(&f, CORE_ACTION_PURGE));
    fixture_close(&f);
}

static void a_job_that_is_being_written_can_be_neither_paused_nor_cancelled(void **state)
{
    (void)state;
    fixture_t f;
    static const client_verb_t VERBS[] = {VERB_PAUSE, VERB_CANCEL};
    fixture_open(&f);
    plan_job(&f, "a", 0);
    done(&f, ticket_of(&f, CORE_ACTION_SAVE_STAGE), OK);
    done(&f, ticket_of(&f, CORE_ACTION_SAVE_JOB), OK);
    assert_non_null(action(&f, CORE_ACTION_WRITE));
    for (int i = 0; i < 2; i++) {
        control(&f, "a", VERBS[i], 1);
        assert_int_equal(action(&f, CORE_ACTION_REPLY)->error.code, ERR_CONFLICT);
        assert_non_null(strstr(action(&f, CORE_ACTION_REPLY)->error.message, "written"));
    }
    fixture_close(&f);
}

static void control_of_an_unknown_or_ended_job_is_refused(void **state)
{
    (void)state;
    fixture_t f;
    fixture_open(&f);
    control(&f, "nobody", VERB_PAUSE, 1);
    assert_int_equal(action(&f, CORE_ACTION_REPLY)->error.code, ERR_NOT_FOUND);
    run_job(&f, "a", 1);
    control(&f, "a", VERB_CANCEL, 0);
    done(&f, ticket_of(&f, CORE_ACTION_SAVE_JOB), OK);
    done(&f, ticket_of(&f, CORE_ACTION_PURGE), OK);
    done(&f, ticket_of(&f, CORE_ACTION_SAVE_JOB), OK);
    recall(&f, "a", JOB_CANCELLED, OK, 0, 0);
    control(&f, "a", VERB_RESUME, 2);
    assert_non_null(action(&f, CORE_ACTION_FORGOTTEN));
    assert_int_equal(action(&f, CORE_ACTION_REPLY)->error.code, ERR_CONFLICT);
    assert_non_null(strstr(action(&f, CORE_ACTION_REPLY)->error.message, "cancelled"));
    fixture_close(&f);
}

/* ---- ADVANCE and WRITE ---- */

static core_event_t broken(uint64_t ticket, const task_ref_t *ref)
{
    core_event_t event = event_of(CORE_EVENT_DONE, NULL);
    event.ticket = ticket;
    event.ref = *ref;
    error_set(&event.error, ERR_NOT_FOUND, "the payload is gone");
    return event;
}

static void a_task_whose_payload_is_gone_runs_again(void **state)
{
    (void)state;
    fixture_t f;
    fixture_open(&f);
    hello(&f, 1, 1);
    run_job(&f, "a", 1);
    for (int time = 1; time <= 3; time++) {
        task_ref_t ref = dispatched(&f, 0);
        result_saved(&f, 1, &ref);
        core_event_t event = broken(ticket_of(&f, CORE_ACTION_ADVANCE), &ref);
        feed(&f, &event);
        assert_false(core_task_done(f.core, "a", 0) && time < 3);
    }
    assert_int_equal(action(&f, CORE_ACTION_SAVE_JOB)->state, JOB_FAILED);
    assert_non_null(strstr(action(&f, CORE_ACTION_SAVE_JOB)->error.message, "task 0 of stage 0"));
    fixture_close(&f);
}

static void an_advance_that_fails_fails_the_job_unless_it_may_pass(void **state)
{
    (void)state;
    fixture_t f;
    fixture_open(&f);
    submit(&f, "a", 0);
    done(&f, ticket_of(&f, CORE_ACTION_SAVE_JOB), OK);
    done(&f, ticket_of(&f, CORE_ACTION_SAVE_JOB), OK);
    done(&f, ticket_of(&f, CORE_ACTION_ADVANCE), ERR_UNAVAILABLE);
    assert_null(action(&f, CORE_ACTION_ADVANCE));
    tick_at(&f, f.wake_ms);
    done(&f, ticket_of(&f, CORE_ACTION_ADVANCE), ERR_CHANGED);
    assert_int_equal(action(&f, CORE_ACTION_SAVE_JOB)->state, JOB_FAILED);
    done(&f, ticket_of(&f, CORE_ACTION_SAVE_JOB), OK);
    assert_int_equal(action(&f, CORE_ACTION_CHANGED)->error.code, ERR_CHANGED);
    assert_non_null(action(&f, CORE_ACTION_PURGE));
    fixture_close(&f);
}

static void a_stage_out_of_turn_or_without_tasks_fails_the_job(void **state)
{
    (void)state;
    static const struct {
        uint32_t stage, task_count;
    } BAD[] = {{1, 3}, {0, UINT32_MAX}};
    for (int i = 0; i < 2; i++) {
        fixture_t f;
        fixture_open(&f);
        submit(&f, "a", 0);
        done(&f, ticket_of(&f, CORE_ACTION_SAVE_JOB), OK);
        done(&f, ticket_of(&f, CORE_ACTION_SAVE_JOB), OK);
        advanced(&f, ticket_of(&f, CORE_ACTION_ADVANCE), BAD[i].stage, BAD[i].task_count);
        assert_int_equal(action(&f, CORE_ACTION_SAVE_JOB)->state, JOB_FAILED);
        fixture_close(&f);
    }
}

static void a_write_that_fails_for_good_fails_the_job(void **state)
{
    (void)state;
    fixture_t f;
    fixture_open(&f);
    plan_job(&f, "a", 0);
    done(&f, ticket_of(&f, CORE_ACTION_SAVE_STAGE), OK);
    done(&f, ticket_of(&f, CORE_ACTION_SAVE_JOB), OK);
    done(&f, ticket_of(&f, CORE_ACTION_WRITE), ERR_IO); /* as of a full disk: it is waited for */
    tick_at(&f, f.wake_ms);
    done(&f, ticket_of(&f, CORE_ACTION_WRITE), ERR_INTERNAL);
    assert_int_equal(action(&f, CORE_ACTION_SAVE_JOB)->state, JOB_FAILED);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_higher_priority_starts_first),
        cmocka_unit_test(jobs_start_in_order_of_submission_up_to_the_running_limit),
        cmocka_unit_test(a_job_runs_from_submit_to_purge),
        cmocka_unit_test(thousands_of_jobs_end_and_leave_nothing_behind),
        cmocka_unit_test(tasks_are_free_only_when_their_stage_is_saved),
        cmocka_unit_test(a_stage_that_cannot_be_saved_is_tried_again_and_then_fails_the_job),
        cmocka_unit_test(pausing_waits_for_running_tasks_and_their_results_count),
        cmocka_unit_test(a_pause_takes_back_at_once_what_waits_and_soon_what_runs),
        cmocka_unit_test(a_pause_ends_a_merge_that_lasts_and_it_starts_afresh),
        cmocka_unit_test(a_queued_job_is_paused_at_once_and_keeps_its_turn),
        cmocka_unit_test(resume_goes_on_with_what_was_finished),
        cmocka_unit_test(the_same_control_twice_is_ok_again),
        cmocka_unit_test(a_pause_that_a_cancel_overtakes_is_told_so),
        cmocka_unit_test(cancel_raises_the_epoch_aborts_and_purges),
        cmocka_unit_test(nothing_is_handed_out_while_pausing_or_cancelling),
        cmocka_unit_test(a_purge_waits_for_the_results_under_way),
        cmocka_unit_test(an_advance_is_started_once),
        cmocka_unit_test(a_cancel_during_advance_stops_it_and_purges_after_its_end),
        cmocka_unit_test(a_job_that_is_being_written_can_be_neither_paused_nor_cancelled),
        cmocka_unit_test(control_of_an_unknown_or_ended_job_is_refused),
        cmocka_unit_test(a_task_whose_payload_is_gone_runs_again),
        cmocka_unit_test(an_advance_that_fails_fails_the_job_unless_it_may_pass),
        cmocka_unit_test(a_stage_out_of_turn_or_without_tasks_fails_the_job),
        cmocka_unit_test(a_write_that_fails_for_good_fails_the_job),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
