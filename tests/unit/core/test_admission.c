/* Memory admitted at once: what a plan asks for, and who waits for it. */
#include "core_fixture.h"

static void open_with(fixture_t *f, uint64_t memory_limit, uint32_t running_limit)
{
    core_options_t options;
    core_options_init(&options);
    options.memory_limit = memory_limit;
    options.running_limit = running_limit;
    fixture_open_with(f, &options);
}

/* Submitted, started, planned with that need, and its stage saved. */
static void plan_with(fixture_t *f, const char *job_id, uint64_t memory)
{
    submit(f, job_id, 0);
    done(f, ticket_of(f, CORE_ACTION_SAVE_JOB), OK);
    done(f, ticket_of(f, CORE_ACTION_SAVE_JOB), OK);
    core_event_t event = event_of(CORE_EVENT_DONE, NULL);
    event.ticket = ticket_of(f, CORE_ACTION_ADVANCE);
    event.task_count = 1;
    event.memory = memory;
    feed(f, &event);
    done(f, ticket_of(f, CORE_ACTION_SAVE_STAGE), OK);
}

static core_job_view_t view_of(const fixture_t *f, const char *job_id)
{
    core_job_view_t view;
    assert_true(core_job(f->core, job_id, &view));
    return view;
}

static void a_job_that_does_not_fit_beside_others_waits(void **state)
{
    (void)state;
    fixture_t f;
    open_with(&f, 100, 3);
    plan_with(&f, "a", 60);
    assert_int_equal(state_of(&f, "a"), JOB_RUNNING);
    plan_with(&f, "b", 41);
    assert_int_equal(action(&f, CORE_ACTION_SAVE_JOB)->state, JOB_QUEUED);
    done(&f, ticket_of(&f, CORE_ACTION_SAVE_JOB), OK);
    core_job_view_t view = view_of(&f, "b");
    assert_true(view.waits_for_memory);
    assert_int_equal(view.memory_need, 41);
    assert_int_equal(view.memory_in_use, 60);
    assert_false(view.waits_for_turn); /* a third could run */
    plan_with(&f, "c", 40);            /* which fits, and goes past */
    assert_int_equal(state_of(&f, "c"), JOB_RUNNING);
    control(&f, "a", VERB_CANCEL, 0);
    assert_int_equal(action_at(&f, CORE_ACTION_SAVE_JOB, 1)->state, JOB_PLANNING);
    assert_string_equal(action_at(&f, CORE_ACTION_SAVE_JOB, 1)->job_id, "b");
    done(&f, action_at(&f, CORE_ACTION_SAVE_JOB, 1)->ticket, OK);
    assert_int_equal(state_of(&f, "b"), JOB_RUNNING); /* from its plan, which is not made again */
    fixture_close(&f);
}

static void a_job_that_is_alone_starts_whatever_it_needs(void **state)
{
    (void)state;
    fixture_t f;
    open_with(&f, 100, 3);
    plan_with(&f, "a", 1000);
    assert_int_equal(state_of(&f, "a"), JOB_RUNNING);
    plan_with(&f, "b", 1);
    done(&f, ticket_of(&f, CORE_ACTION_SAVE_JOB), OK);
    assert_true(view_of(&f, "b").waits_for_memory);
    fixture_close(&f);
}

static void a_job_waits_for_its_turn_while_as_many_as_may_are_running(void **state)
{
    (void)state;
    fixture_t f;
    open_with(&f, 0, 1);
    plan_with(&f, "a", 1);
    assert_false(view_of(&f, "a").waits_for_turn);
    submit(&f, "b", 0);
    done(&f, ticket_of(&f, CORE_ACTION_SAVE_JOB), OK);
    assert_true(view_of(&f, "b").waits_for_turn);
    fixture_close(&f);
}

/* A large job is overtaken by small ones, but not for ever. */
static void who_waits_for_memory_is_overtaken_a_few_times_only(void **state)
{
    (void)state;
    fixture_t f;
    char id[JOB_ID_SIZE];
    open_with(&f, 100, 2);
    plan_with(&f, "large", 90);
    plan_with(&f, "larger", 95);
    done(&f, ticket_of(&f, CORE_ACTION_SAVE_JOB), OK);
    int past = 0;
    for (int i = 0; i < 20; i++) {
        snprintf(id, sizeof id, "small-%d", i);
        submit(&f, id, 0);
        done(&f, ticket_of(&f, CORE_ACTION_SAVE_JOB), OK);
        const core_action_t *save = action(&f, CORE_ACTION_SAVE_JOB);
        if (!save)
            break;
        assert_string_equal(save->job_id, id);
        past++;
        done(&f, save->ticket, OK);
        control(&f, id, VERB_CANCEL, 0);
        done(&f, ticket_of(&f, CORE_ACTION_SAVE_JOB), OK);
    }
    assert_in_range(past, 1, 10);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_that_does_not_fit_beside_others_waits),
        cmocka_unit_test(a_job_that_is_alone_starts_whatever_it_needs),
        cmocka_unit_test(a_job_waits_for_its_turn_while_as_many_as_may_are_running),
        cmocka_unit_test(who_waits_for_memory_is_overtaken_a_few_times_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
