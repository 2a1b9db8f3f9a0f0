/* ledger_fixture.h - a ledger to try things on, rows to put into it, and all that is in it as text.
 *
 * `open` of the factory is called several times on one place: what was saved is there. */
#ifndef STAGE4_TESTS_LIB_LEDGER_FIXTURE_H
#define STAGE4_TESTS_LIB_LEDGER_FIXTURE_H

#include "coordinator/store/ledger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct {
    void *(*place_new)(void); /* an empty place to keep a ledger in */
    void (*place_destroy)(void *place);
    int (*open)(void *place, ledger_t **out, error_t *error);
} ledger_factory_t;

typedef struct {
    const ledger_factory_t *factory;
    void *place;
    ledger_t *ledger;
} ledger_fixture_t;

/* cmocka hands a test one pointer: the fixture, made anew for each. The factory reaches it through
 * the initial state of the test. */
static int ledger_set_up(void **state)
{
    ledger_fixture_t *self = calloc(1, sizeof *self);
    self->factory = *state;
    self->place = self->factory->place_new();
    *state = self;
    return self->factory->open(self->place, &self->ledger, NULL);
}

static int ledger_tear_down(void **state)
{
    ledger_fixture_t *self = *state;
    self->ledger->verbs->close(&self->ledger);
    self->factory->place_destroy(self->place);
    free(self);
    return 0;
}

static void ledger_reopen(ledger_fixture_t *self)
{
    self->ledger->verbs->close(&self->ledger);
    assert_null(self->ledger);
    assert_int_equal(self->factory->open(self->place, &self->ledger, NULL), OK);
}

static ledger_job_t ledger_a_job(const char *job_id, uint32_t epoch, const char *key)
{
    ledger_job_t job = {.epoch = epoch, .state = JOB_QUEUED, .submitted_ms = 1000};
    job.changed_ms = 2000 + epoch;
    snprintf(job.job_id, sizeof job.job_id, "%s", job_id);
    snprintf(job.idempotency_key, sizeof job.idempotency_key, "%s", key);
    job.spec_json = "{\"embedding_type\":\"events\"}";
    return job;
}

static int ledger_save(ledger_fixture_t *self, const ledger_job_t *job)
{
    return ledger_change(self->ledger, ledger_change_job(job), NULL);
}

static sha256_t ledger_hash(uint32_t number) { return sha256_of(&number, sizeof number); }

static int ledger_save_stage(ledger_fixture_t *self, const char *job_id, uint32_t epoch,
                             uint32_t stage)
{
    ledger_stage_t row = {.epoch = epoch, .stage = stage, .task_count = 10 + stage};
    snprintf(row.job_id, sizeof row.job_id, "%s", job_id);
    row.stage_sha = ledger_hash(stage);
    row.state_sha = ledger_hash(100 + stage);
    row.last = stage == 9;
    return ledger_change(self->ledger, ledger_change_stage(&row), NULL);
}

static int ledger_save_task(ledger_fixture_t *self, const char *job_id, uint32_t epoch,
                            uint32_t stage, uint32_t task)
{
    task_ref_t ref = {.epoch = epoch, .stage = stage, .task = task, .attempt = 2};
    snprintf(ref.job_id, sizeof ref.job_id, "%s", job_id);
    sha256_t result = ledger_hash(1000 * stage + task);
    return ledger_change(self->ledger, ledger_change_task(&ref, &result), NULL);
}

/* Everything a walk brought, as text: equal texts are equal ledgers. */
typedef struct {
    char text[65536];
    size_t used;
    int stop_with;
} ledger_dump_t;

static int ledger_note(ledger_dump_t *self, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static int ledger_note(ledger_dump_t *self, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length =
        vsnprintf(self->text + self->used, sizeof self->text - self->used, format, arguments);
    va_end(arguments);
    self->used += (size_t)length;
    assert_true(self->used < sizeof self->text);
    return self->stop_with;
}

static int ledger_dump_job(void *context, const ledger_job_t *job)
{
    return ledger_note(context, "job %s %u %s key=%s spec=%s report=%s error=%d\n", job->job_id,
                       job->epoch, job_state_name(job->state), job->idempotency_key, job->spec_json,
                       job->report_json ? job->report_json : "-", job->error.code);
}

static int ledger_dump_stage(void *context, const ledger_stage_t *stage)
{
    char hex[65];
    char state_hex[65];
    sha256_hex(&stage->stage_sha, hex);
    sha256_hex(&stage->state_sha, state_hex);
    return ledger_note(context, "stage %s %u %u tasks=%u last=%d %.8s %.8s\n", stage->job_id,
                       stage->epoch, stage->stage, stage->task_count, stage->last, hex, state_hex);
}

static int ledger_dump_task(void *context, const task_ref_t *ref, const sha256_t *result)
{
    sha256_t expected = ledger_hash(1000 * ref->stage + ref->task);
    assert_true(sha256_equal(result, &expected));
    return ledger_note(context, "task %s %u %u %u\n", ref->job_id, ref->epoch, ref->stage,
                       ref->task);
}

static ledger_dump_t *ledger_dump(ledger_fixture_t *self)
{
    ledger_dump_t *dump = calloc(1, sizeof *dump);
    assert_int_equal(self->ledger->verbs->load(self->ledger, NULL, ledger_dump_job,
                                               ledger_dump_stage, ledger_dump_task, dump, NULL),
                     OK);
    return dump;
}

#endif
