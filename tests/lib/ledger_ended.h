/* ledger_ended.h - the part of the suite about jobs that have ended: what only the ledger knows. */
#ifndef STAGE4_TESTS_LIB_LEDGER_ENDED_H
#define STAGE4_TESTS_LIB_LEDGER_ENDED_H

#include "tests/lib/ledger_fixture.h"

static void ledger_end(ledger_fixture_t *self, const char *job_id, job_state_t state,
                       int64_t expires_ms)
{
    ledger_job_t job = ledger_a_job(job_id, 1, "");
    job.state = state;
    job.expires_ms = expires_ms;
    assert_int_equal(ledger_save(self, &job), OK);
}

/* What is settled is not read at a start, and all of it when it is asked for. */
static void a_settled_job_is_read_only_when_it_is_asked_for(void **state)
{
    ledger_fixture_t *self = *state;
    ledger_job_t back;
    ledger_end(self, "failed", JOB_FAILED, 0);
    assert_int_equal(ledger_save_stage(self, "failed", 1, 0), OK);
    assert_int_equal(ledger_save_task(self, "failed", 1, 0, 7), OK);
    ledger_end(self, "cancelling", JOB_CANCELLING, 0);
    ledger_end(self, "living", JOB_QUEUED, 0);
    assert_int_equal(ledger_change(self->ledger, ledger_change_settle("failed"), NULL), OK);
    assert_int_equal(ledger_change(self->ledger, ledger_change_settle("unknown"), NULL), OK);
    assert_int_equal(ledger_change(self->ledger, ledger_change_forget("cancelling"), NULL), OK);
    ledger_reopen(self);
    ledger_dump_t *dump = ledger_dump(self);
    assert_null(strstr(dump->text, "failed"));
    assert_non_null(strstr(dump->text, "job cancelling")); /* it is on its way to cancelled */
    assert_non_null(strstr(dump->text, "job living"));
    memset(dump, 0, sizeof *dump);
    assert_int_equal(self->ledger->verbs->load(self->ledger, "failed", ledger_dump_job,
                                               ledger_dump_stage, ledger_dump_task, dump, NULL),
                     OK);
    assert_non_null(strstr(dump->text, "job failed"));
    assert_non_null(strstr(dump->text, "stage failed 1 0"));
    assert_non_null(strstr(dump->text, "task failed 1 0 7\n"));
    memset(dump, 0, sizeof *dump);
    assert_int_equal(self->ledger->verbs->load(self->ledger, "unknown", ledger_dump_job,
                                               ledger_dump_stage, ledger_dump_task, dump, NULL),
                     OK);
    assert_string_equal(dump->text, "");
    assert_int_equal(self->ledger->verbs->job(self->ledger, "failed", &back, NULL), OK);
    assert_true(back.settled);
    ledger_job_clear(&back);
    ledger_job_t retried = ledger_a_job("failed", 2, "");
    assert_int_equal(ledger_save(self, &retried), OK);
    memset(dump, 0, sizeof *dump);
    free(dump);
    dump = ledger_dump(self);
    assert_non_null(strstr(dump->text, "job failed 2 queued"));
    free(dump);
}

static int ledger_note_id(void *context, const ledger_job_t *job)
{
    strcat(context, job->job_id);
    strcat(context, job->report_json ? "! " : " ");
    return OK;
}

static void ledger_expect_list(ledger_fixture_t *self, int job_state, const char *before,
                               size_t limit, const char *expected)
{
    char ids[256] = "";
    ledger_query_t query = {.state = job_state, .before = before, .limit = limit};
    assert_int_equal(self->ledger->verbs->list(self->ledger, &query, ledger_note_id, ids, NULL),
                     OK);
    assert_string_equal(ids, expected);
}

static void jobs_are_listed_and_counted_by_state(void **state)
{
    ledger_fixture_t *self = *state;
    size_t counts[JOB_STATE_COUNT];
    char id[2] = "a";
    for (; id[0] <= 'f'; id[0]++)
        ledger_end(self, id, id[0] % 2 ? JOB_COMPLETED : JOB_FAILED, 0);
    ledger_end(self, "b", JOB_CANCELLED, 0);
    assert_int_equal(ledger_change(self->ledger, ledger_change_remove("e"), NULL), OK);
    ledger_reopen(self);
    ledger_expect_list(self, -1, "", 3, "f d c ");
    ledger_expect_list(self, -1, "c", 9, "b a ");
    ledger_expect_list(self, JOB_COMPLETED, "", 9, "c a ");
    ledger_expect_list(self, JOB_COMPLETED, "c", 9, "a ");
    ledger_expect_list(self, JOB_FAILED, "", 1, "f ");
    ledger_expect_list(self, JOB_RUNNING, "", 9, "");
    assert_int_equal(self->ledger->verbs->count(self->ledger, counts, NULL), OK);
    assert_int_equal(counts[JOB_COMPLETED], 2);
    assert_int_equal(counts[JOB_FAILED], 2);
    assert_int_equal(counts[JOB_CANCELLED], 1);
    assert_int_equal(counts[JOB_QUEUED], 0);
}

static void a_job_is_found_by_its_key(void **state)
{
    ledger_fixture_t *self = *state;
    ledger_job_t job = ledger_a_job("j", 1, "k");
    ledger_job_t other = ledger_a_job("other", 1, "");
    ledger_job_t back;
    assert_int_equal(ledger_save(self, &job), OK);
    assert_int_equal(ledger_save(self, &other), OK);
    assert_int_equal(self->ledger->verbs->find(self->ledger, "k", &back, NULL), OK);
    assert_string_equal(back.job_id, "j");
    assert_string_equal(back.spec_json, job.spec_json);
    ledger_job_clear(&back);
    assert_int_equal(self->ledger->verbs->find(self->ledger, "", &back, NULL), ERR_NOT_FOUND);
    assert_int_equal(self->ledger->verbs->find(self->ledger, "kk", &back, NULL), ERR_NOT_FOUND);
    assert_int_equal(ledger_change(self->ledger, ledger_change_remove("j"), NULL), OK);
    assert_int_equal(self->ledger->verbs->find(self->ledger, "k", &back, NULL), ERR_NOT_FOUND);
}

static size_t ledger_due(ledger_fixture_t *self, int64_t now_ms, int64_t since_ms)
{
    ledger_ids_t ids;
    assert_int_equal(self->ledger->verbs->expired(self->ledger, now_ms, since_ms, &ids, NULL), OK);
    return ids.count;
}

/* All rows of the fixture have changed at 2001. */
static void what_is_past_its_time_is_found(void **state)
{
    ledger_fixture_t *self = *state;
    char name[16];
    ledger_end(self, "own", JOB_COMPLETED, 5000);
    ledger_end(self, "default", JOB_FAILED, 0);
    ledger_end(self, "never", JOB_CANCELLED, INT64_MAX);
    assert_int_equal(ledger_due(self, 9000, 9000), 0); /* none of them is settled */
    assert_int_equal(ledger_change(self->ledger, ledger_change_settle("own"), NULL), OK);
    assert_int_equal(ledger_change(self->ledger, ledger_change_settle("default"), NULL), OK);
    assert_int_equal(ledger_change(self->ledger, ledger_change_forget("never"), NULL), OK);
    assert_int_equal(ledger_due(self, 4999, 2000), 0);
    assert_int_equal(ledger_due(self, 5000, INT64_MIN), 1);
    assert_int_equal(ledger_due(self, 4999, 2001), 1);
    assert_int_equal(ledger_due(self, INT64_MAX - 1, 2001), 2);
    ledger_job_t job = ledger_a_job("own", 1, "");
    job.state = JOB_REMOVING;
    assert_int_equal(ledger_save(self, &job), OK);
    assert_int_equal(ledger_due(self, 9000, 2001), 1);
    for (int i = 0; i < LEDGER_IDS; i++) {
        snprintf(name, sizeof name, "more-%d", i);
        ledger_end(self, name, JOB_COMPLETED, 0);
        assert_int_equal(ledger_change(self->ledger, ledger_change_settle(name), NULL), OK);
    }
    assert_int_equal(ledger_due(self, 9000, 2001), LEDGER_IDS); /* the others next time */
}

#endif
