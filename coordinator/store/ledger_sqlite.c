#include "coordinator/store/ledger_sqlite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Rows of a job's stage and tasks are its own, so ending or advancing a job touches nothing else.
 */
static const char *const MIGRATIONS[] = {
    "CREATE TABLE ledger_job("
    " number INTEGER PRIMARY KEY AUTOINCREMENT," /* the order of submission */
    " job_id TEXT NOT NULL UNIQUE,"
    " epoch INTEGER NOT NULL,"
    " state TEXT NOT NULL,"
    " idempotency_key TEXT NOT NULL,"
    " submitted_ms INTEGER NOT NULL,"
    " changed_ms INTEGER NOT NULL,"
    " error_code INTEGER NOT NULL,"
    " error_field TEXT NOT NULL,"
    " error_message TEXT NOT NULL,"
    " spec_json TEXT,"
    " report_json TEXT);"
    "CREATE UNIQUE INDEX ledger_job_key ON ledger_job(idempotency_key)"
    " WHERE idempotency_key <> '';"
    "CREATE TABLE ledger_stage("
    " job_id TEXT PRIMARY KEY,"
    " epoch INTEGER NOT NULL,"
    " stage INTEGER NOT NULL,"
    " task_count INTEGER NOT NULL,"
    " last INTEGER NOT NULL,"
    " stage_sha BLOB NOT NULL,"
    " state_sha BLOB NOT NULL);"
    "CREATE TABLE ledger_task("
    " job_id TEXT NOT NULL,"
    " stage INTEGER NOT NULL,"
    " task INTEGER NOT NULL,"
    " epoch INTEGER NOT NULL,"
    " attempt INTEGER NOT NULL,"
    " result_sha BLOB NOT NULL,"
    " PRIMARY KEY(job_id, stage, task)) WITHOUT ROWID;",
    "CREATE TABLE ledger_owner(one INTEGER PRIMARY KEY, fence INTEGER NOT NULL,"
    " owner TEXT NOT NULL);"
    "INSERT INTO ledger_owner VALUES(1, 0, '');",
    "ALTER TABLE ledger_owner ADD COLUMN ledger TEXT NOT NULL DEFAULT '';"
    "UPDATE ledger_owner SET ledger = lower(hex(randomblob(16)));",
    /* All jobs of before are looked at once more at the next start, and settled then. */
    "ALTER TABLE ledger_job ADD COLUMN settled INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE ledger_job ADD COLUMN expires_ms INTEGER NOT NULL DEFAULT 0;"
    "UPDATE ledger_job SET expires_ms = CASE json_extract(spec_json, '$.retention_days')"
    " WHEN 0 THEN 9223372036854775807"
    " ELSE changed_ms + 86400000 * json_extract(spec_json, '$.retention_days') END"
    " WHERE json_valid(spec_json) AND json_extract(spec_json, '$.retention_days') >= 0;"
    "CREATE INDEX ledger_job_settled ON ledger_job(settled, expires_ms, changed_ms);"
    "CREATE INDEX ledger_job_state ON ledger_job(state, job_id);",
};

static const char *const SQL[STATEMENT_COUNT] = {
#define X(name, sql) sql,
    STATEMENTS(X)
#undef X
};

static int read_fence(ledger_t *ledger, int64_t *fence, char owner[200], error_t *error)
{
    statement_t *statement = statement_of(ledger, FENCE);
    int row = 0;
    int code = statement_step(statement, &row, error);
    *fence = row ? statement_int(statement, 0) : 0;
    snprintf(owner, 200, "%s", row ? statement_text(statement, 1) : "");
    statement_reset(statement);
    return code;
}

/* Begins a change, unless another coordinator has the ledger now. */
static int begin_change(ledger_t *ledger, error_t *error)
{
    const ledger_sqlite_t *self = self_of(ledger);
    char owner[200];
    int64_t fence = 0;
    int code = database_begin(self->database, error);
    if (code != OK || !self->fence)
        return code;
    code = read_fence(ledger, &fence, owner, error);
    if (code == OK && fence != self->fence)
        code = ledger_fenced(database_path(self->database), owner, error);
    return code == OK ? OK : database_end(self->database, code, error);
}

/* A key that another job holds is the one way to violate a constraint here. */
static int key_conflict(const ledger_job_t *job, error_t *error)
{
    return error_field(error, ERR_CONFLICT, "idempotency_key",
                       "the idempotency key of job %s belongs to another job", job->job_id);
}

static int put_job(ledger_t *ledger, const ledger_job_t *job, error_t *error)
{
    statement_t *statement = statement_of(ledger, SAVE_JOB);
    statement_bind_text(statement, 1, job->job_id);
    statement_bind_int(statement, 2, job->epoch);
    statement_bind_text(statement, 3, job_state_name(job->state));
    statement_bind_text(statement, 4, job->idempotency_key);
    statement_bind_int(statement, 5, job->submitted_ms);
    statement_bind_int(statement, 6, job->changed_ms);
    statement_bind_int(statement, 7, job->error.code);
    statement_bind_text(statement, 8, job->error.field);
    statement_bind_text(statement, 9, job->error.message);
    statement_bind_text(statement, 10, job->spec_json);
    statement_bind_text(statement, 11, job->report_json);
    statement_bind_int(statement, 12, job->settled);
    statement_bind_int(statement, 13, job->expires_ms);
    int code = statement_run(statement, error);
    if (code == ERR_CONFLICT)
        return key_conflict(job, error);
    if (code == OK && !database_changes(self_of(ledger)->database))
        return error_set(error, ERR_CONFLICT, "job %s is past epoch %u", job->job_id, job->epoch);
    return code;
}

/* ERR_CONFLICT when the job has gone on to a later epoch; ERR_NOT_FOUND without the job. */
static int check_epoch(ledger_t *ledger, const char *job_id, uint32_t epoch, error_t *error)
{
    statement_t *statement = statement_of(ledger, EPOCH);
    int row = 0;
    statement_bind_text(statement, 1, job_id);
    int code = statement_step(statement, &row, error);
    int64_t current = row ? statement_int(statement, 0) : 0;
    statement_reset(statement);
    if (code != OK)
        return code;
    if (!row)
        return error_set(error, ERR_NOT_FOUND, "the ledger has no job %s", job_id);
    if (epoch < current)
        return error_set(error, ERR_CONFLICT, "job %s is at epoch %lld, past %u", job_id,
                         (long long)current, epoch);
    return OK;
}

static int put_stage(ledger_t *ledger, const ledger_stage_t *stage, error_t *error)
{
    statement_t *statement = statement_of(ledger, SAVE_STAGE);
    int code = check_epoch(ledger, stage->job_id, stage->epoch, error);
    if (code != OK)
        return code;
    statement_bind_text(statement, 1, stage->job_id);
    statement_bind_int(statement, 2, stage->epoch);
    statement_bind_int(statement, 3, stage->stage);
    statement_bind_int(statement, 4, stage->task_count);
    statement_bind_int(statement, 5, stage->last);
    statement_bind_blob(statement, 6, stage->stage_sha.bytes, sizeof stage->stage_sha.bytes);
    statement_bind_blob(statement, 7, stage->state_sha.bytes, sizeof stage->state_sha.bytes);
    code = statement_run(statement, error);
    if (code != OK)
        return code;
    statement = statement_of(ledger, FORGET_EARLIER);
    statement_bind_text(statement, 1, stage->job_id);
    statement_bind_int(statement, 2, stage->stage);
    return statement_run(statement, error);
}

static int put_task(ledger_t *ledger, const task_ref_t *ref, const sha256_t *result, error_t *error)
{
    statement_t *statement = statement_of(ledger, SAVE_TASK);
    int code = check_epoch(ledger, ref->job_id, ref->epoch, error);
    if (code != OK)
        return code;
    statement_bind_text(statement, 1, ref->job_id);
    statement_bind_int(statement, 2, ref->stage);
    statement_bind_int(statement, 3, ref->task);
    statement_bind_int(statement, 4, ref->epoch);
    statement_bind_int(statement, 5, ref->attempt);
    statement_bind_blob(statement, 6, result->bytes, sizeof result->bytes);
    return statement_run(statement, error);
}

static int run_for(ledger_t *ledger, statement_name_t name, const char *job_id, error_t *error)
{
    statement_bind_text(statement_of(ledger, name), 1, job_id);
    return statement_run(statement_of(ledger, name), error);
}

static int forget_tasks(ledger_t *ledger, const char *job_id, error_t *error)
{
    int code = run_for(ledger, FORGET_STAGE, job_id, error);
    return code == OK ? run_for(ledger, FORGET_TASKS, job_id, error) : code;
}

static int forget(ledger_t *ledger, const char *job_id, error_t *error)
{
    int code = forget_tasks(ledger, job_id, error);
    return code == OK ? run_for(ledger, SETTLE, job_id, error) : code;
}

static int remove_job(ledger_t *ledger, const char *job_id, error_t *error)
{
    int code = forget_tasks(ledger, job_id, error);
    return code == OK ? run_for(ledger, REMOVE_JOB, job_id, error) : code;
}

static int put(ledger_t *ledger, const ledger_change_t *change, error_t *error)
{
    switch (change->kind) {
    case LEDGER_JOB:
        return put_job(ledger, change->job, error);
    case LEDGER_STAGE:
        return put_stage(ledger, change->stage, error);
    case LEDGER_TASK:
        return put_task(ledger, change->ref, change->result, error);
    case LEDGER_FORGET:
        return forget(ledger, change->job_id, error);
    case LEDGER_SETTLE:
        return run_for(ledger, SETTLE, change->job_id, error);
    case LEDGER_REMOVE:
        return remove_job(ledger, change->job_id, error);
    }
    return error_set(error, ERR_INTERNAL, "a change of the unknown kind %d", (int)change->kind);
}

/* Of these the statement at fault has changed nothing, and the transaction goes on. */
static int is_its_own(int code) { return code == ERR_CONFLICT || code == ERR_NOT_FOUND; }

static void change(ledger_t *ledger, ledger_change_t *changes, size_t count)
{
    error_t error = ERROR_INIT;
    int code = begin_change(ledger, &error);
    int open = code == OK;
    for (size_t i = 0; i < count; i++)
        changes[i].error = (error_t)ERROR_INIT;
    for (size_t i = 0; i < count && code == OK; i++) {
        int failed = put(ledger, &changes[i], &changes[i].error);
        if (failed && !is_its_own(failed)) {
            error = changes[i].error;
            code = failed;
        }
    }
    if (open)
        code = database_end(self_of(ledger)->database, code, &error);
    for (size_t i = 0; i < count && code != OK; i++)
        changes[i].error = error;
}

static int read_generation(ledger_t *ledger, error_t *error)
{
    statement_t *statement = statement_of(ledger, GENERATION);
    ledger_sqlite_t *self = self_of(ledger);
    int row = 0;
    int code = statement_step(statement, &row, error);
    snprintf(self->generation, sizeof self->generation, "%s",
             row ? statement_text(statement, 0) : "");
    statement_reset(statement);
    return code;
}

/* The lock of the state folder says who may come; this says who came last. */
static int claim(ledger_t *ledger, const ledger_owner_t *owner, error_t *error)
{
    ledger_sqlite_t *self = self_of(ledger);
    char words[200];
    int64_t fence = 0;
    int code = database_begin(self->database, error);
    if (code != OK)
        return code;
    code = run_for(ledger, CLAIM, owner->words, error);
    if (code == OK)
        code = read_fence(ledger, &fence, words, error);
    if (code == OK)
        code = read_generation(ledger, error);
    code = database_end(self->database, code, error);
    if (code == OK)
        self->fence = fence;
    return code;
}

static void fence(const ledger_t *ledger, ledger_fence_t *out)
{
    const ledger_sqlite_t *self = (const ledger_sqlite_t *)ledger;
    out->number = self->fence;
    memcpy(out->ledger, self->generation, sizeof out->ledger);
}

static int renew(ledger_t *ledger, error_t *error)
{
    const ledger_sqlite_t *self = self_of(ledger);
    char owner[200];
    int64_t fence = 0;
    int code = read_fence(ledger, &fence, owner, error);
    if (code == OK && self->fence && fence != self->fence)
        code = ledger_fenced(database_path(self->database), owner, error);
    return code;
}

static int ping(ledger_t *ledger, error_t *error)
{
    return statement_run(statement_of(ledger, PING), error);
}

static void close_ledger(ledger_t **ledger)
{
    if (!*ledger)
        return;
    ledger_sqlite_t *self = self_of(*ledger);
    for (size_t i = 0; i < STATEMENT_COUNT; i++)
        statement_destroy(&self->statements[i]);
    database_close(&self->database);
    free(self);
    *ledger = NULL;
}

static const ledger_verbs_t VERBS = {
    .name = "sqlite",
    .change = change,
    .claim = claim,
    .renew = renew,
    .fence = fence,
    .load = ledger_sqlite_load,
    .job = ledger_sqlite_job,
    .find = ledger_sqlite_find,
    .list = ledger_sqlite_list,
    .count = ledger_sqlite_count,
    .expired = ledger_sqlite_expired,
    .ping = ping,
    .close = close_ledger,
};

int ledger_open_sqlite(const char *path, ledger_t **out, error_t *error)
{
    ledger_sqlite_t *self = calloc(1, sizeof *self);
    *out = NULL;
    if (!self)
        return error_set(error, ERR_MEMORY, "no memory to open %s", path);
    self->base.verbs = &VERBS;
    int code = database_open(path, 0, &self->database, error);
    if (code == OK)
        code = database_migrate(self->database, "ledger", MIGRATIONS,
                                sizeof MIGRATIONS / sizeof *MIGRATIONS, error);
    for (size_t i = 0; code == OK && i < STATEMENT_COUNT; i++)
        code = statement_new(self->database, SQL[i], &self->statements[i], error);
    *out = &self->base;
    if (code != OK)
        close_ledger(out);
    return code;
}
