/* The saver on a real SQLite ledger and a real spool, whose syncs are ours: counted, held up, failed. */
#include "coordinator/store_thread.h"
#include "lib/folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PATIENCE_MS 20000
#define RESULTS 20

static struct {
    atomic_int spool;  /* calls of fsync: the spool's */
    atomic_int ledger; /* calls of fdatasync: SQLite's */
    atomic_int held;   /* 1: neither returns */
    atomic_int fails;  /* 1: the spool's fail */
} syncs;

static void wait_while_held(void)
{
    while (atomic_load(&syncs.held))
        poll(NULL, 0, 1);
}

int fsync(int file)
{
    atomic_fetch_add(&syncs.spool, 1);
    wait_while_held();
    errno = EIO;
    return atomic_load(&syncs.fails) ? -1 : (int)syscall(SYS_fsync, file);
}

int fdatasync(int file)
{
    atomic_fetch_add(&syncs.ledger, 1);
    wait_while_held();
    return (int)syscall(SYS_fdatasync, file);
}

typedef struct {
    test_folder_t folder;
    ledger_t *ledger;
    spool_t *spool;
    store_thread_t *saver;
    uint32_t payloads[RESULTS];
} fixture_t;

static int set_up(void **state)
{
    fixture_t *self = calloc(1, sizeof *self);
    char path[512];
    ledger_job_t job = {.job_id = "j", .epoch = 1, .spec_json = (char *)(uintptr_t) "{}"};
    ledger_stage_t stage = {.job_id = "j", .epoch = 1, .task_count = RESULTS};
    self->folder = folder_new();
    *state = self;
    return ledger_open_sqlite(folder_path(&self->folder, "ledger.db", path), &self->ledger, NULL) ||
           spool_open(folder_path(&self->folder, "spool", path), &self->spool, NULL) ||
           ledger_change(self->ledger, ledger_change_job(&job), NULL) ||
           ledger_change(self->ledger, ledger_change_stage(&stage), NULL) ||
           store_thread_new("saver", self->ledger, self->spool, NULL, &self->saver, NULL);
}

static int tear_down(void **state)
{
    fixture_t *self = *state;
    atomic_store(&syncs.held, 0);
    store_thread_destroy(&self->saver);
    self->ledger->verbs->close(&self->ledger);
    spool_close(&self->spool);
    folder_destroy(&self->folder);
    free(self);
    return 0;
}

static void ask_for_result(fixture_t *self, uint32_t task)
{
    store_work_t *work = store_work_new(STORE_SAVE_RESULT, "j");
    self->payloads[task] = task;
    work->bytes = &self->payloads[task];
    work->length = sizeof self->payloads[task];
    work->action.sha256 = sha256_of(work->bytes, work->length);
    work->action.ref = (task_ref_t){.job_id = "j", .epoch = 1, .task = task};
    store_thread_ask(self->saver, work);
}

static store_work_t *take(fixture_t *self)
{
    void *item = NULL;
    assert_int_equal(net_pipe_take(store_thread_pipe(self->saver), PATIENCE_MS, &item), 1);
    return item;
}

/* The code of what comes back next, which must be of that task. */
static int code_of(fixture_t *self, uint32_t task)
{
    store_work_t *work = take(self);
    int code = work->error.code;
    assert_int_equal(work->action.ref.task, task);
    store_work_destroy(&work);
    return code;
}

static void wait_for_syncs(const atomic_int *counter, int count)
{
    for (int i = 0; i < PATIENCE_MS && atomic_load(counter) < count; i++)
        poll(NULL, 0, 1);
    assert_true(atomic_load(counter) >= count);
}

static int count_job(void *context, const ledger_job_t *job)
{
    (void)context;
    (void)job;
    return OK;
}

static int count_stage(void *context, const ledger_stage_t *stage)
{
    (void)context;
    (void)stage;
    return OK;
}

static int count_task(void *context, const task_ref_t *ref, const sha256_t *result)
{
    sha256_t expected = sha256_of(&ref->task, sizeof ref->task);
    assert_true(sha256_equal(result, &expected));
    ++*(int *)context;
    return OK;
}

/* By another handle, as a coordinator that is started again. */
static int tasks_in_ledger(const fixture_t *self)
{
    ledger_t *other = NULL;
    char path[512];
    int count = 0;
    assert_int_equal(
        ledger_open_sqlite(folder_path(&self->folder, "ledger.db", path), &other, NULL), OK);
    assert_int_equal(
        other->verbs->load(other, NULL, count_job, count_stage, count_task, &count, NULL), OK);
    other->verbs->close(&other);
    return count;
}

static void what_has_queued_up_is_synced_and_committed_together(void **state)
{
    fixture_t *self = *state;
    ask_for_result(self, 0); /* makes the folder */
    assert_int_equal(code_of(self, 0), OK);
    atomic_store(&syncs.spool, 0);
    atomic_store(&syncs.ledger, 0);
    atomic_store(&syncs.held, 1);
    ask_for_result(self, 1);
    wait_for_syncs(&syncs.spool, 1); /* it is at work, alone */
    for (uint32_t task = 2; task < RESULTS; task++)
        ask_for_result(self, task);
    atomic_store(&syncs.held, 0);
    for (uint32_t task = 1; task < RESULTS; task++)
        assert_int_equal(code_of(self, task), OK);
    assert_int_equal(atomic_load(&syncs.spool), 2 + (RESULTS - 2) + 1);
    assert_int_equal(atomic_load(&syncs.ledger), 2);
    assert_int_equal(tasks_in_ledger(self), RESULTS);
}

static void nothing_comes_back_before_it_is_on_the_disk(void **state)
{
    fixture_t *self = *state;
    void *item;
    atomic_store(&syncs.ledger, 0);
    ask_for_result(self, 0);
    assert_int_equal(code_of(self, 0), OK);
    atomic_store(&syncs.spool, 0);
    atomic_store(&syncs.held, 1);
    ask_for_result(self, 1);
    wait_for_syncs(&syncs.spool, 1);
    assert_int_equal(store_thread_place(self->saver), STORE_AT_SPOOL);
    assert_int_equal(net_pipe_take(store_thread_pipe(self->saver), 20, &item), 0);
    assert_int_equal(tasks_in_ledger(self), 1);
    atomic_store(&syncs.held, 0);
    assert_int_equal(code_of(self, 1), OK);
    assert_int_equal(tasks_in_ledger(self), 2);
}

/* Rows of payloads that may not be there must not be: the others of the group are as good as ever. */
static void a_payload_that_is_not_synced_has_no_row(void **state)
{
    fixture_t *self = *state;
    store_work_t *job = store_work_new(STORE_SAVE_JOB, "j");
    ask_for_result(self, 0);
    assert_int_equal(code_of(self, 0), OK);
    atomic_store(&syncs.spool, 0);
    atomic_store(&syncs.held, 1);
    ask_for_result(self, 1);
    wait_for_syncs(&syncs.spool, 1);
    snprintf(job->row.job_id, sizeof job->row.job_id, "j");
    job->row.epoch = 2;
    ask_for_result(self, 2);
    store_thread_ask(self->saver, job);
    atomic_store(&syncs.fails, 1);
    atomic_store(&syncs.held, 0);
    assert_int_equal(code_of(self, 1), ERR_IO);
    assert_int_equal(code_of(self, 2), ERR_IO);
    store_work_t *work = take(self);
    assert_int_equal(work->kind, STORE_SAVE_JOB);
    assert_int_equal(work->error.code, OK);
    store_work_destroy(&work);
    atomic_store(&syncs.fails, 0);
    assert_int_equal(tasks_in_ledger(self), 1);
}

static void a_stage_that_cannot_be_read_is_not_saved(void **state)
{
    fixture_t *self = *state;
    store_work_t *work = store_work_new(STORE_SAVE_STAGE, "j");
    work->action.epoch = 1;
    work->action.stage = 1;
    work->action.task_count = 3;
    ask_for_result(self, 0);
    store_thread_ask(self->saver, work);
    assert_int_equal(code_of(self, 0), OK);
    work = take(self);
    assert_int_equal(work->error.code, ERR_NOT_FOUND);
    assert_string_equal(work->error.field, SPOOL_PAYLOAD);
    store_work_destroy(&work);
    assert_int_equal(tasks_in_ledger(self), 1); /* a new stage would have forgotten it */
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_has_queued_up_is_synced_and_committed_together),
        TEST(nothing_comes_back_before_it_is_on_the_disk),
        TEST(a_payload_that_is_not_synced_has_no_row),
        TEST(a_stage_that_cannot_be_read_is_not_saved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
