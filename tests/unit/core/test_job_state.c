#include "core_fixture.h"

static int legal(job_state_t state, job_move_t move, job_state_t expected)
{
    job_state_t next = JOB_STATE_COUNT;
    return job_state_next(state, move, &next) && next == expected;
}

static void every_legal_move_leads_where_the_table_says(void **state)
{
    (void)state;
    static const struct {
        job_state_t from;
        job_move_t move;
        job_state_t to;
    } ROWS[] = {
        {JOB_QUEUED, MOVE_START, JOB_PLANNING},       {JOB_QUEUED, MOVE_PAUSE, JOB_PAUSED},
        {JOB_QUEUED, MOVE_RESUME, JOB_QUEUED},        {JOB_QUEUED, MOVE_CANCEL, JOB_CANCELLING},
        {JOB_PLANNING, MOVE_TASKS, JOB_RUNNING},      {JOB_PLANNING, MOVE_LAST, JOB_WRITING},
        {JOB_PLANNING, MOVE_PAUSE, JOB_PAUSING},      {JOB_PLANNING, MOVE_RESUME, JOB_PLANNING},
        {JOB_PLANNING, MOVE_CANCEL, JOB_CANCELLING},  {JOB_PLANNING, MOVE_FAIL, JOB_FAILED},
        {JOB_RUNNING, MOVE_STAGE_DONE, JOB_MERGING},  {JOB_RUNNING, MOVE_PAUSE, JOB_PAUSING},
        {JOB_RUNNING, MOVE_RESUME, JOB_RUNNING},      {JOB_RUNNING, MOVE_CANCEL, JOB_CANCELLING},
        {JOB_RUNNING, MOVE_FAIL, JOB_FAILED},         {JOB_MERGING, MOVE_TASKS, JOB_RUNNING},
        {JOB_MERGING, MOVE_LAST, JOB_WRITING},        {JOB_MERGING, MOVE_PAUSE, JOB_PAUSING},
        {JOB_MERGING, MOVE_RESUME, JOB_MERGING},      {JOB_MERGING, MOVE_CANCEL, JOB_CANCELLING},
        {JOB_MERGING, MOVE_FAIL, JOB_FAILED},         {JOB_WRITING, MOVE_WRITTEN, JOB_COMPLETED},
        {JOB_WRITING, MOVE_RESUME, JOB_WRITING},      {JOB_WRITING, MOVE_FAIL, JOB_FAILED},
        {JOB_PAUSING, MOVE_IDLE, JOB_PAUSED},         {JOB_PAUSING, MOVE_PAUSE, JOB_PAUSING},
        {JOB_PAUSING, MOVE_RESUME, JOB_PLANNING},     {JOB_PAUSING, MOVE_CANCEL, JOB_CANCELLING},
        {JOB_PAUSING, MOVE_FAIL, JOB_FAILED},         {JOB_PAUSED, MOVE_PAUSE, JOB_PAUSED},
        {JOB_PAUSED, MOVE_RESUME, JOB_QUEUED},        {JOB_PAUSED, MOVE_CANCEL, JOB_CANCELLING},
        {JOB_CANCELLING, MOVE_PURGED, JOB_CANCELLED}, {JOB_CANCELLING, MOVE_CANCEL, JOB_CANCELLING},
        {JOB_CANCELLED, MOVE_RETRY, JOB_QUEUED},      {JOB_FAILED, MOVE_RETRY, JOB_QUEUED},
        {JOB_QUEUED, MOVE_REWIND, JOB_QUEUED},        {JOB_PLANNING, MOVE_REWIND, JOB_PLANNING},
        {JOB_RUNNING, MOVE_REWIND, JOB_PLANNING},     {JOB_MERGING, MOVE_REWIND, JOB_PLANNING},
        {JOB_WRITING, MOVE_REWIND, JOB_PLANNING},     {JOB_PAUSING, MOVE_REWIND, JOB_PAUSING},
        {JOB_PAUSED, MOVE_REWIND, JOB_PAUSED},        {JOB_COMPLETED, MOVE_EXPIRE, JOB_REMOVING},
        {JOB_PLANNING, MOVE_WAIT, JOB_QUEUED},        {JOB_CANCELLED, MOVE_EXPIRE, JOB_REMOVING},
        {JOB_FAILED, MOVE_EXPIRE, JOB_REMOVING},
    };
    size_t count = sizeof ROWS / sizeof *ROWS;
    for (size_t i = 0; i < count; i++)
        assert_true(legal(ROWS[i].from, ROWS[i].move, ROWS[i].to));

    size_t legal_count = 0;
    for (int from = 0; from < JOB_STATE_COUNT; from++) {
        for (int move = 0; move < JOB_MOVE_COUNT; move++) {
            job_state_t next;
            legal_count += (size_t)job_state_next((job_state_t)from, (job_move_t)move, &next);
        }
    }
    assert_int_equal(legal_count, count);
}

static void only_a_retry_or_its_removal_moves_a_job_that_has_ended(void **state)
{
    (void)state;
    for (int from = 0; from < JOB_STATE_COUNT; from++) {
        for (int move = 0; job_state_ended((job_state_t)from) && move < JOB_MOVE_COUNT; move++) {
            job_state_t next = JOB_QUEUED;
            if (move == MOVE_RETRY || move == MOVE_EXPIRE)
                continue;
            assert_false(job_state_next((job_state_t)from, (job_move_t)move, &next));
            assert_int_equal(next, JOB_QUEUED);
        }
    }
}

static void four_states_are_ends(void **state)
{
    (void)state;
    int ended = 0;
    for (int from = 0; from < JOB_STATE_COUNT; from++)
        ended += job_state_ended((job_state_t)from);
    assert_int_equal(ended, 4);
    assert_true(job_state_ended(JOB_REMOVING) && job_state_ended(JOB_COMPLETED) &&
                job_state_ended(JOB_CANCELLED) && job_state_ended(JOB_FAILED));
}

static void every_name_reads_back(void **state)
{
    (void)state;
    for (int from = 0; from < JOB_STATE_COUNT; from++) {
        job_state_t parsed = JOB_STATE_COUNT;
        assert_true(job_state_parse(job_state_name((job_state_t)from), &parsed));
        assert_int_equal(parsed, from);
        assert_true(strlen(job_state_words((job_state_t)from)) > 3);
    }
    assert_string_equal(job_move_name(MOVE_STAGE_DONE), "stage_done");
}

static void an_unknown_name_or_number_is_refused(void **state)
{
    (void)state;
    job_state_t next = JOB_PAUSED;
    assert_false(job_state_parse("asleep", &next));
    assert_false(job_state_next(JOB_STATE_COUNT, MOVE_START, &next));
    assert_false(job_state_next(JOB_QUEUED, JOB_MOVE_COUNT, &next));
    assert_int_equal(next, JOB_PAUSED);
    assert_string_equal(job_state_name(JOB_STATE_COUNT), "unknown");
    assert_string_equal(job_state_words((job_state_t)-1), "unknown");
    assert_string_equal(job_move_name(JOB_MOVE_COUNT), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_legal_move_leads_where_the_table_says),
        cmocka_unit_test(only_a_retry_or_its_removal_moves_a_job_that_has_ended),
        cmocka_unit_test(four_states_are_ends),
        cmocka_unit_test(every_name_reads_back),
        cmocka_unit_test(an_unknown_name_or_number_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
