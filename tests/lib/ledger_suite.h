/* ledger_suite.h - what every ledger back end must do, as cmocka tests over a factory.
 *
 * A back end's test program fills a ledger_factory_t, includes this file and runs
 * ledger_suite(&factory). */
#ifndef STAGE4_TESTS_LIB_LEDGER_SUITE_H
#define STAGE4_TESTS_LIB_LEDGER_SUITE_H

#include "tests/lib/ledger_ended.h"
#include "tests/lib/ledger_fixture.h"

static void a_saved_job_is_there_after_reopening(void **state)
{
    ledger_fixture_t *self = *state;
    ledger_job_t job = ledger_a_job("j1", 1, "key-1");
    ledger_job_t back;
    job.state = JOB_FAILED;
    job.report_json = "{\"rows\":1}";
    error_field(&job.error, ERR_INPUT, "dimension", "the index has 512 \"dimensions\"");
    assert_int_equal(ledger_save(self, &job), OK);
    ledger_reopen(self);
    assert_int_equal(self->ledger->verbs->job(self->ledger, "j1", &back, NULL), OK);
    assert_string_equal(back.job_id, "j1");
    assert_int_equal(back.epoch, 1);
    assert_int_equal(back.state, JOB_FAILED);
    assert_string_equal(back.idempotency_key, "key-1");
    assert_int_equal(back.submitted_ms, 1000);
    assert_int_equal(back.changed_ms, 2001);
    assert_int_equal(back.error.code, ERR_INPUT);
    assert_string_equal(back.error.field, "dimension");
    assert_string_equal(back.error.message, "the index has 512 \"dimensions\"");
    assert_string_equal(back.spec_json, job.spec_json);
    assert_string_equal(back.report_json, job.report_json);
    ledger_job_clear(&back);
    assert_int_equal(self->ledger->verbs->job(self->ledger, "j2", &back, NULL), ERR_NOT_FOUND);
}

static void an_older_epoch_changes_nothing(void **state)
{
    ledger_fixture_t *self = *state;
    ledger_job_t job = ledger_a_job("j", 3, "");
    assert_int_equal(ledger_save(self, &job), OK);
    assert_int_equal(ledger_save_stage(self, "j", 3, 1), OK);
    assert_int_equal(ledger_save_task(self, "j", 3, 1, 4), OK);
    ledger_dump_t *before = ledger_dump(self);
    job.epoch = 2;
    job.state = JOB_CANCELLED;
    assert_int_equal(ledger_save(self, &job), ERR_CONFLICT);
    assert_int_equal(ledger_save_stage(self, "j", 2, 2), ERR_CONFLICT);
    assert_int_equal(ledger_save_task(self, "j", 2, 1, 5), ERR_CONFLICT);
    ledger_dump_t *after = ledger_dump(self);
    assert_string_equal(before->text, after->text);
    free(before);
    free(after);
}

static void saving_twice_is_saving_once(void **state)
{
    ledger_fixture_t *self = *state;
    ledger_job_t job = ledger_a_job("j", 1, "k");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(ledger_save(self, &job), OK);
        assert_int_equal(ledger_save_stage(self, "j", 1, 0), OK);
        assert_int_equal(ledger_save_task(self, "j", 1, 0, 7), OK);
    }
    ledger_dump_t *dump = ledger_dump(self);
    char expected[512];
    char hex[65];
    char state_hex[65];
    sha256_t stage = ledger_hash(0);
    sha256_t stage_state = ledger_hash(100);
    sha256_hex(&stage, hex);
    sha256_hex(&stage_state, state_hex);
    snprintf(expected, sizeof expected,
             "job j 1 queued key=k spec={\"embedding_type\":\"events\"} report=- error=0\n"
             "stage j 1 0 tasks=10 last=0 %.8s %.8s\ntask j 1 0 7\n",
             hex, state_hex);
    assert_string_equal(dump->text, expected);
    free(dump);
}

static void a_new_stage_forgets_the_tasks_of_earlier_ones(void **state)
{
    ledger_fixture_t *self = *state;
    ledger_job_t job = ledger_a_job("j", 1, "");
    ledger_job_t other = ledger_a_job("other", 1, "");
    assert_int_equal(ledger_save(self, &job), OK);
    assert_int_equal(ledger_save(self, &other), OK);
    assert_int_equal(ledger_save_stage(self, "j", 1, 0), OK);
    assert_int_equal(ledger_save_stage(self, "other", 1, 0), OK);
    assert_int_equal(ledger_save_task(self, "j", 1, 0, 1), OK);
    assert_int_equal(ledger_save_task(self, "other", 1, 0, 1), OK);
    assert_int_equal(ledger_save_stage(self, "j", 1, 1), OK);
    assert_int_equal(ledger_save_task(self, "j", 1, 1, 2), OK);
    /* Recovery saves the same stage under a higher epoch: its tasks stay done. */
    assert_int_equal(ledger_save_stage(self, "j", 2, 1), OK);
    ledger_dump_t *dump = ledger_dump(self);
    assert_null(strstr(dump->text, "task j 1 0 1"));
    assert_non_null(strstr(dump->text, "task j 1 1 2"));
    assert_non_null(strstr(dump->text, "task other 1 0 1"));
    free(dump);
}

static void an_ended_job_keeps_its_row_only(void **state)
{
    ledger_fixture_t *self = *state;
    ledger_job_t job = ledger_a_job("j", 1, "");
    assert_int_equal(ledger_save(self, &job), OK);
    assert_int_equal(ledger_save_stage(self, "j", 1, 9), OK);
    assert_int_equal(ledger_save_task(self, "j", 1, 9, 1), OK);
    assert_int_equal(ledger_change(self->ledger, ledger_change_forget("j"), NULL), OK);
    assert_int_equal(ledger_change(self->ledger, ledger_change_forget("unknown"), NULL), OK);
    ledger_dump_t *dump = ledger_dump(self);
    assert_non_null(strstr(dump->text, "job j"));
    assert_null(strstr(dump->text, "stage"));
    assert_null(strstr(dump->text, "task j"));
    free(dump);
}

static void a_key_belongs_to_the_job_that_claimed_it(void **state)
{
    ledger_fixture_t *self = *state;
    ledger_job_t first = ledger_a_job("first", 1, "k");
    ledger_job_t second = ledger_a_job("second", 1, "k");
    ledger_job_t third = ledger_a_job("third", 1, "");
    ledger_job_t fourth = ledger_a_job("fourth", 1, "");
    assert_int_equal(ledger_save(self, &first), OK);
    assert_int_equal(ledger_save(self, &second), ERR_CONFLICT);
    assert_int_equal(ledger_save(self, &first), OK); /* as often as it likes */
    assert_int_equal(ledger_save(self, &third), OK);
    assert_int_equal(ledger_save(self, &fourth), OK); /* two jobs without a key */
}

static void a_save_without_spec_or_report_keeps_them(void **state)
{
    ledger_fixture_t *self = *state;
    ledger_job_t job = ledger_a_job("j", 1, "");
    ledger_job_t back;
    job.report_json = "{}";
    assert_int_equal(ledger_save(self, &job), OK);
    job.report_json = NULL;
    job.spec_json = NULL;
    job.state = JOB_RUNNING;
    assert_int_equal(ledger_save(self, &job), OK);
    assert_int_equal(self->ledger->verbs->job(self->ledger, "j", &back, NULL), OK);
    assert_int_equal(back.state, JOB_RUNNING);
    assert_string_equal(back.spec_json, "{\"embedding_type\":\"events\"}");
    assert_string_equal(back.report_json, "{}");
    ledger_job_clear(&back);
}

static void a_stage_or_task_needs_its_job(void **state)
{
    ledger_fixture_t *self = *state;
    assert_int_equal(ledger_save_stage(self, "none", 1, 0), ERR_NOT_FOUND);
    assert_int_equal(ledger_save_task(self, "none", 1, 0, 0), ERR_NOT_FOUND);
}

static void jobs_come_in_order_of_submission_stages_next_tasks_last(void **state)
{
    ledger_fixture_t *self = *state;
    const char *names[] = {"zeta", "alpha", "mid"};
    for (size_t i = 0; i < 3; i++) {
        ledger_job_t job = ledger_a_job(names[i], 1, "");
        assert_int_equal(ledger_save(self, &job), OK);
    }
    for (size_t i = 3; i-- > 0;) {
        assert_int_equal(ledger_save_stage(self, names[i], 1, 0), OK);
        for (uint32_t task = 40; task-- > 1;)
            assert_int_equal(ledger_save_task(self, names[i], 1, 0, task), OK);
    }
    ledger_dump_t *dump = ledger_dump(self);
    const char *order[] = {
        "job zeta",  "job alpha",       "job mid",         "stage zeta",       "stage alpha",
        "stage mid", "task zeta 1 0 1", "task zeta 1 0 2", "task alpha 1 0 1", "task mid 1 0 2"};
    const char *last = dump->text;
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        const char *found = strstr(dump->text, order[i]);
        assert_non_null(found);
        assert_true(found >= last);
        last = found;
    }
    last = strstr(dump->text, "task zeta");
    for (uint32_t task = 1; task < 40; task++) {
        char line[64];
        snprintf(line, sizeof line, "task zeta 1 0 %u\n", task);
        assert_int_equal(strncmp(last, line, strlen(line)), 0);
        last += strlen(line);
    }
    free(dump);
}

static void a_callback_can_end_the_walk(void **state)
{
    ledger_fixture_t *self = *state;
    ledger_job_t job = ledger_a_job("j", 1, "");
    ledger_dump_t dump = {.stop_with = ERR_CANCELLED};
    assert_int_equal(ledger_save(self, &job), OK);
    job = ledger_a_job("k", 1, "");
    assert_int_equal(ledger_save(self, &job), OK);
    assert_int_equal(self->ledger->verbs->load(self->ledger, NULL, ledger_dump_job,
                                               ledger_dump_stage, ledger_dump_task, &dump, NULL),
                     ERR_CANCELLED);
    assert_null(strstr(dump.text, "job k"));
    assert_int_equal(ledger_save(self, &job), OK); /* the walk holds nothing back */
}

/* Saves tasks without end, and says after each that it is durable. */
static void ledger_save_until_killed(ledger_fixture_t *self, int pipe_end)
{
    ledger_t *ledger = NULL;
    if (self->factory->open(self->place, &ledger, NULL) != OK)
        _exit(1);
    self->ledger = ledger;
    for (uint32_t task = 0;; task++) {
        if (ledger_save_task(self, "j", 1, 0, task) != OK)
            _exit(1);
        if (write(pipe_end, &task, sizeof task) != (ssize_t)sizeof task)
            _exit(1);
    }
}

/* Kills the child after `count` acknowledged saves; the number of saves it acknowledged in all. */
static uint32_t ledger_kill_a_saver(ledger_fixture_t *self, uint32_t count)
{
    int ends[2];
    uint32_t task = 0;
    uint32_t acknowledged = 0;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0)
        ledger_save_until_killed(self, ends[1]);
    close(ends[1]);
    while (acknowledged < count && read(ends[0], &task, sizeof task) == (ssize_t)sizeof task)
        acknowledged++;
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    while (read(ends[0], &task, sizeof task) == (ssize_t)sizeof task)
        acknowledged++;
    close(ends[0]);
    assert_true(acknowledged >= count);
    return acknowledged;
}

static void what_was_acknowledged_survives_kill_9(void **state)
{
    ledger_fixture_t *self = *state;
    for (uint32_t round = 1; round <= 8; round++) {
        ledger_job_t job = ledger_a_job("j", 1, "");
        assert_int_equal(ledger_change(self->ledger, ledger_change_forget("j"), NULL), OK);
        assert_int_equal(ledger_save(self, &job), OK);
        assert_int_equal(ledger_save_stage(self, "j", 1, 0), OK);
        self->ledger->verbs->close(&self->ledger);
        uint32_t acknowledged = ledger_kill_a_saver(self, round * 5);
        assert_int_equal(self->factory->open(self->place, &self->ledger, NULL), OK);
        ledger_dump_t *dump = ledger_dump(self);
        for (uint32_t task = 0; task < acknowledged; task++) {
            char line[64];
            snprintf(line, sizeof line, "task j 1 0 %u\n", task);
            assert_non_null(strstr(dump->text, line));
        }
        free(dump);
    }
}

/* One of several writers: saves every task of its share, and raises the epoch with some of them. */
static void ledger_save_a_share(const ledger_fixture_t *fixture, uint32_t share)
{
    ledger_fixture_t self = *fixture;
    if (self.factory->open(self.place, &self.ledger, NULL) != OK)
        _exit(1);
    for (uint32_t i = 0; i < 25; i++) {
        ledger_job_t job = ledger_a_job("j", 1 + i * 4 + share, "");
        int code = ledger_save(&self, &job); /* overtaken by another writer: a conflict */
        if (code != OK && code != ERR_CONFLICT)
            _exit(2);
        if (ledger_save_task(&self, "j", 1000, 0, i * 4 + share) != OK)
            _exit(3);
    }
    self.ledger->verbs->close(&self.ledger);
    _exit(0);
}

static void writers_beside_each_other_lose_nothing(void **state)
{
    ledger_fixture_t *self = *state;
    ledger_job_t job = ledger_a_job("j", 1, "");
    pid_t writers[4];
    assert_int_equal(ledger_save(self, &job), OK);
    assert_int_equal(ledger_save_stage(self, "j", 1, 0), OK);
    for (uint32_t share = 0; share < 4; share++) {
        writers[share] = fork();
        if (writers[share] == 0)
            ledger_save_a_share(self, share);
    }
    for (size_t share = 0; share < 4; share++) {
        int status = -1;
        waitpid(writers[share], &status, 0);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
    ledger_dump_t *dump = ledger_dump(self);
    assert_non_null(strstr(dump->text, "job j 100 ")); /* the highest of all epochs won */
    for (uint32_t task = 0; task < 100; task++) {
        char line[64];
        snprintf(line, sizeof line, "task j 1000 0 %u\n", task);
        assert_non_null(strstr(dump->text, line));
    }
    free(dump);
}

/* Every writer wants the same key for a job of its own; who gets it is said once. */
static void one_of_many_gets_the_key(void **state)
{
    ledger_fixture_t *self = *state;
    pid_t writers[4];
    int winners = 0;
    for (int i = 0; i < 4; i++) {
        writers[i] = fork();
        if (writers[i] == 0) {
            char name[16];
            snprintf(name, sizeof name, "job-%d", i);
            ledger_job_t job = ledger_a_job(name, 1, "wanted");
            ledger_t *ledger = NULL;
            if (self->factory->open(self->place, &ledger, NULL) != OK)
                _exit(2);
            int code = ledger_change(ledger, ledger_change_job(&job), NULL);
            ledger->verbs->close(&ledger);
            _exit(code == OK ? 0 : code == ERR_CONFLICT ? 1 : 2);
        }
    }
    for (size_t i = 0; i < 4; i++) {
        int status = -1;
        waitpid(writers[i], &status, 0);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 2);
        winners += WEXITSTATUS(status) == 0;
    }
    assert_int_equal(winners, 1);
}

static void a_ledger_answers_a_ping(void **state)
{
    ledger_fixture_t *self = *state;
    assert_int_equal(self->ledger->verbs->ping(self->ledger, NULL), OK);
    assert_true(strlen(self->ledger->verbs->name) > 0);
}

static void a_removed_job_leaves_nothing_and_frees_its_key(void **state)
{
    ledger_fixture_t *self = *state;
    ledger_job_t one = ledger_a_job("j1", 1, "key");
    ledger_job_t other = ledger_a_job("j2", 1, "other");
    assert_int_equal(ledger_save(self, &one), OK);
    assert_int_equal(ledger_save(self, &other), OK);
    assert_int_equal(ledger_save_stage(self, "j1", 1, 0), OK);
    assert_int_equal(ledger_save_task(self, "j1", 1, 0, 3), OK);
    assert_int_equal(ledger_change(self->ledger, ledger_change_remove("j1"), NULL), OK);
    assert_int_equal(ledger_change(self->ledger, ledger_change_remove("j1"), NULL), OK);
    assert_int_equal(ledger_change(self->ledger, ledger_change_remove("unknown"), NULL), OK);
    ledger_reopen(self);
    ledger_dump_t *dump = ledger_dump(self);
    assert_int_equal(strncmp(dump->text, "job j2 ", 7), 0);
    assert_null(strchr(strchr(dump->text, '\n') + 1, '\n'));
    free(dump);
    ledger_job_t again = ledger_a_job("j3", 1, "key");
    assert_int_equal(ledger_save(self, &again), OK);
}

/* What came together is on disk together, and one that makes no sense is alone in that. */
static void changes_made_together_have_outcomes_of_their_own(void **state)
{
    ledger_fixture_t *self = *state;
    ledger_job_t job = ledger_a_job("j", 5, "k");
    ledger_job_t thief = ledger_a_job("thief", 1, "k");
    ledger_job_t late = ledger_a_job("j", 4, "k");
    ledger_stage_t stage = {.job_id = "j", .epoch = 5, .task_count = 9};
    task_ref_t refs[4] = {{.job_id = "j", .epoch = 5},
                          {.job_id = "j", .epoch = 5, .task = 1},
                          {.job_id = "nobody", .epoch = 5, .task = 2},
                          {.job_id = "j", .epoch = 4, .task = 3}};
    sha256_t hashes[4] = {ledger_hash(0), ledger_hash(1), ledger_hash(2), ledger_hash(3)};
    ledger_change_t changes[] = {ledger_change_job(&job),
                                 ledger_change_job(&thief),
                                 ledger_change_stage(&stage),
                                 ledger_change_task(&refs[0], &hashes[0]),
                                 ledger_change_job(&late),
                                 ledger_change_task(&refs[1], &hashes[1]),
                                 ledger_change_task(&refs[2], &hashes[2]),
                                 ledger_change_task(&refs[3], &hashes[3]),
                                 ledger_change_remove("unknown")};
    const int expected[] = {OK, ERR_CONFLICT,  OK,           OK, ERR_CONFLICT,
                            OK, ERR_NOT_FOUND, ERR_CONFLICT, OK};
    size_t count = sizeof changes / sizeof *changes;
    for (int round = 0; round < 2; round++) { /* twice is once */
        self->ledger->verbs->change(self->ledger, changes, count);
        for (size_t i = 0; i < count; i++)
            assert_int_equal(changes[i].error.code, expected[i]);
    }
    ledger_reopen(self);
    ledger_dump_t *dump = ledger_dump(self);
    assert_non_null(strstr(dump->text, "task j 5 0 0\n"));
    assert_non_null(strstr(dump->text, "task j 5 0 1\n"));
    assert_null(strstr(dump->text, "task j 4"));
    assert_null(strstr(dump->text, "thief"));
    free(dump);
}

static ledger_owner_t ledger_an_owner(const char *id, uint32_t lease_ms)
{
    ledger_owner_t owner = {.lease_ms = lease_ms};
    snprintf(owner.id, sizeof owner.id, "%s", id);
    snprintf(owner.words, sizeof owner.words, "coordinator %s", id);
    return owner;
}

/* One that was stopped while another took over goes on, and can change nothing. */
static void who_has_lost_the_ledger_changes_nothing(void **state)
{
    ledger_fixture_t *self = *state;
    ledger_t *second = NULL;
    error_t error = ERROR_INIT;
    ledger_job_t job = ledger_a_job("j", 1, "");
    ledger_owner_t first_owner = ledger_an_owner("aa", 1);
    ledger_owner_t second_owner = ledger_an_owner("bb", 60000);
    assert_int_equal(self->ledger->verbs->claim(self->ledger, &first_owner, NULL), OK);
    assert_int_equal(ledger_save(self, &job), OK);
    usleep(5000); /* its lease is over */
    assert_int_equal(self->factory->open(self->place, &second, NULL), OK);
    assert_int_equal(second->verbs->claim(second, &second_owner, &error), OK);
    ledger_fence_t first_fence;
    ledger_fence_t second_fence;
    self->ledger->verbs->fence(self->ledger, &first_fence);
    second->verbs->fence(second, &second_fence);
    assert_true(first_fence.number > 0 && first_fence.number < second_fence.number);
    assert_int_equal(strlen(first_fence.ledger), LEDGER_GENERATION_SIZE - 1);
    assert_string_equal(first_fence.ledger, second_fence.ledger);
    ledger_dump_t *before = ledger_dump(self);
    job.epoch = 2;
    assert_int_equal(ledger_change(self->ledger, ledger_change_job(&job), &error), ERR_CONFLICT);
    assert_string_equal(error.field, LEDGER_OWNER);
    assert_non_null(strstr(error.message, "coordinator bb"));
    assert_int_equal(ledger_save_stage(self, "j", 2, 0), ERR_CONFLICT);
    assert_int_equal(ledger_save_task(self, "j", 2, 0, 0), ERR_CONFLICT);
    assert_int_equal(ledger_change(self->ledger, ledger_change_forget("j"), NULL), ERR_CONFLICT);
    assert_int_equal(ledger_change(self->ledger, ledger_change_remove("j"), NULL), ERR_CONFLICT);
    assert_int_equal(self->ledger->verbs->renew(self->ledger, NULL), ERR_CONFLICT);
    ledger_dump_t *after = ledger_dump(self);
    assert_string_equal(before->text, after->text);
    free(before);
    free(after);
    assert_int_equal(second->verbs->renew(second, NULL), OK);
    assert_int_equal(ledger_change(second, ledger_change_job(&job), NULL), OK);
    second->verbs->close(&second);
}

static void an_owner_that_is_started_again_has_the_ledger(void **state)
{
    ledger_fixture_t *self = *state;
    ledger_t *again = NULL;
    ledger_owner_t owner = ledger_an_owner("aa", 60000);
    ledger_job_t job = ledger_a_job("j", 1, "");
    assert_int_equal(self->ledger->verbs->claim(self->ledger, &owner, NULL), OK);
    assert_int_equal(self->factory->open(self->place, &again, NULL), OK);
    assert_int_equal(again->verbs->claim(again, &owner, NULL), OK);
    assert_int_equal(ledger_save(self, &job), ERR_CONFLICT);
    assert_int_equal(ledger_change(again, ledger_change_job(&job), NULL), OK);
    again->verbs->close(&again);
}

#define LEDGER_TEST(name, factory)                                                                 \
    cmocka_unit_test_prestate_setup_teardown(name, ledger_set_up, ledger_tear_down, factory)

static int ledger_suite(ledger_factory_t *factory)
{
    const struct CMUnitTest tests[] = {
        LEDGER_TEST(a_saved_job_is_there_after_reopening, factory),
        LEDGER_TEST(an_older_epoch_changes_nothing, factory),
        LEDGER_TEST(saving_twice_is_saving_once, factory),
        LEDGER_TEST(a_new_stage_forgets_the_tasks_of_earlier_ones, factory),
        LEDGER_TEST(an_ended_job_keeps_its_row_only, factory),
        LEDGER_TEST(a_key_belongs_to_the_job_that_claimed_it, factory),
        LEDGER_TEST(a_save_without_spec_or_report_keeps_them, factory),
        LEDGER_TEST(a_stage_or_task_needs_its_job, factory),
        LEDGER_TEST(jobs_come_in_order_of_submission_stages_next_tasks_last, factory),
        LEDGER_TEST(a_callback_can_end_the_walk, factory),
        LEDGER_TEST(what_was_acknowledged_survives_kill_9, factory),
        LEDGER_TEST(writers_beside_each_other_lose_nothing, factory),
        LEDGER_TEST(one_of_many_gets_the_key, factory),
        LEDGER_TEST(a_ledger_answers_a_ping, factory),
        LEDGER_TEST(a_removed_job_leaves_nothing_and_frees_its_key, factory),
        LEDGER_TEST(changes_made_together_have_outcomes_of_their_own, factory),
        LEDGER_TEST(a_settled_job_is_read_only_when_it_is_asked_for, factory),
        LEDGER_TEST(jobs_are_listed_and_counted_by_state, factory),
        LEDGER_TEST(a_job_is_found_by_its_key, factory),
        LEDGER_TEST(what_is_past_its_time_is_found, factory),
        LEDGER_TEST(who_has_lost_the_ledger_changes_nothing, factory),
        LEDGER_TEST(an_owner_that_is_started_again_has_the_ledger, factory),
    };
    return cmocka_run_group_tests_name("ledger", tests, NULL, NULL);
}

#endif
