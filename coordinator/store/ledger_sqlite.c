#include "common/sqlite.h"
#include "coordinator/store/ledger.h"

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
};

#define JOB_COLUMNS                                                                                \
    "job_id, epoch, state, idempotency_key, submitted_ms, changed_ms, error_code, error_field,"    \
    " error_message, spec_json, report_json"

/* The statements, prepared once at open. */
#define STATEMENTS(X)                                                                              \
    X(SAVE_JOB, "INSERT INTO ledger_job(" JOB_COLUMNS ")"                                          \
                " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"                            \
                " ON CONFLICT(job_id) DO UPDATE SET epoch = ?2, state = ?3, changed_ms = ?6,"      \
                " error_code = ?7, error_field = ?8, error_message = ?9,"                          \
                " spec_json = coalesce(?10, spec_json),"                                           \
                " report_json = coalesce(?11, report_json) WHERE epoch <= ?2")                     \
    X(SAVE_STAGE, "INSERT OR REPLACE INTO ledger_stage VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)")        \
    X(FORGET_EARLIER, "DELETE FROM ledger_task WHERE job_id = ?1 AND stage <> ?2")                 \
    X(SAVE_TASK, "INSERT OR REPLACE INTO ledger_task VALUES(?1, ?2, ?3, ?4, ?5, ?6)")              \
    X(FORGET_STAGE, "DELETE FROM ledger_stage WHERE job_id = ?1")                                  \
    X(FORGET_TASKS, "DELETE FROM ledger_task WHERE job_id = ?1")                                   \
    X(REMOVE_JOB, "DELETE FROM ledger_job WHERE job_id = ?1")                                      \
    X(CLAIM, "UPDATE ledger_owner SET fence = fence + 1, owner = ?1")                              \
    X(FENCE, "SELECT fence, owner FROM ledger_owner")                                              \
    X(GENERATION, "SELECT ledger FROM ledger_owner")                                               \
    X(EPOCH, "SELECT epoch FROM ledger_job WHERE job_id = ?1")                                     \
    X(ONE_JOB, "SELECT " JOB_COLUMNS " FROM ledger_job WHERE job_id = ?1")                         \
    X(LOAD_JOBS, "SELECT " JOB_COLUMNS " FROM ledger_job ORDER BY number")                         \
    X(LOAD_STAGES, "SELECT s.* FROM ledger_stage s JOIN ledger_job j USING(job_id)"                \
                   " ORDER BY j.number")                                                           \
    X(LOAD_TASKS, "SELECT t.* FROM ledger_task t JOIN ledger_stage s USING(job_id, stage)"         \
                  " JOIN ledger_job j USING(job_id) ORDER BY j.number, t.task")                    \
    X(PING, "SELECT count(*) FROM schema_version")

typedef enum {
#define X(name, sql) name,
    STATEMENTS(X)
#undef X
        STATEMENT_COUNT
} statement_name_t;

static const char *const SQL[STATEMENT_COUNT] = {
#define X(name, sql) sql,
    STATEMENTS(X)
#undef X
};

typedef struct {
    ledger_t base;
    database_t *database;
    statement_t *statements[STATEMENT_COUNT];
    int64_t fence; /* of our claim; 0: none */
    char generation[LEDGER_GENERATION_SIZE];
} ledger_sqlite_t;

static ledger_sqlite_t *self_of(ledger_t *ledger) { return (ledger_sqlite_t *)ledger; }

static statement_t *statement_of(ledger_t *ledger, statement_name_t name)
{
    return self_of(ledger)->statements[name];
}

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
        return forget_tasks(ledger, change->job_id, error);
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

static void read_text(const statement_t *statement, int column, char *out, size_t size)
{
    snprintf(out, size, "%s", statement_text(statement, column));
}

static int read_hash(const ledger_t *ledger, const statement_t *statement, int column,
                     sha256_t *out, error_t *error)
{
    const void *bytes = statement_blob(statement, column);
    if (statement_length(statement, column) != sizeof out->bytes)
        return error_set(error, ERR_IO, "%s is damaged: a hash has %zu bytes instead of 32",
                         database_path(((const ledger_sqlite_t *)ledger)->database),
                         statement_length(statement, column));
    memcpy(out->bytes, bytes, sizeof out->bytes);
    return OK;
}

/* A copy of a text column; NULL stays NULL. */
static int read_json(const statement_t *statement, int column, char **out, error_t *error)
{
    *out = NULL;
    if (statement_is_null(statement, column))
        return OK;
    *out = strdup(statement_text(statement, column));
    return *out ? OK : error_set(error, ERR_MEMORY, "no memory for a job of the ledger");
}

static int read_job(const ledger_t *ledger, const statement_t *statement, ledger_job_t *out,
                    error_t *error)
{
    memset(out, 0, sizeof *out);
    read_text(statement, 0, out->job_id, sizeof out->job_id);
    out->epoch = (uint32_t)statement_int(statement, 1);
    if (!job_state_parse(statement_text(statement, 2), &out->state))
        return error_set(error, ERR_IO, "%s: job %s has the unknown state \"%s\"",
                         database_path(((const ledger_sqlite_t *)ledger)->database), out->job_id,
                         statement_text(statement, 2));
    read_text(statement, 3, out->idempotency_key, sizeof out->idempotency_key);
    out->submitted_ms = statement_int(statement, 4);
    out->changed_ms = statement_int(statement, 5);
    out->error.code = (int)statement_int(statement, 6);
    read_text(statement, 7, out->error.field, sizeof out->error.field);
    read_text(statement, 8, out->error.message, sizeof out->error.message);
    int code = read_json(statement, 9, &out->spec_json, error);
    if (code == OK)
        code = read_json(statement, 10, &out->report_json, error);
    if (code != OK)
        ledger_job_clear(out);
    return code;
}

typedef int (*job_callback_t)(void *context, const ledger_job_t *job);
typedef int (*stage_callback_t)(void *context, const ledger_stage_t *stage);
typedef int (*task_callback_t)(void *context, const task_ref_t *ref, const sha256_t *result);

static int load_jobs(ledger_t *ledger, job_callback_t callback, void *context, error_t *error)
{
    statement_t *statement = statement_of(ledger, LOAD_JOBS);
    int row = 0;
    int code = statement_step(statement, &row, error);
    while (code == OK && row) {
        ledger_job_t job;
        code = read_job(ledger, statement, &job, error);
        if (code != OK)
            break;
        code = callback(context, &job);
        ledger_job_clear(&job);
        if (code == OK)
            code = statement_step(statement, &row, error);
    }
    statement_reset(statement);
    return code;
}

static int read_stage(const ledger_t *ledger, const statement_t *statement, ledger_stage_t *out,
                      error_t *error)
{
    memset(out, 0, sizeof *out);
    read_text(statement, 0, out->job_id, sizeof out->job_id);
    out->epoch = (uint32_t)statement_int(statement, 1);
    out->stage = (uint32_t)statement_int(statement, 2);
    out->task_count = (uint32_t)statement_int(statement, 3);
    out->last = (int)statement_int(statement, 4);
    int code = read_hash(ledger, statement, 5, &out->stage_sha, error);
    return code == OK ? read_hash(ledger, statement, 6, &out->state_sha, error) : code;
}

static int load_stages(ledger_t *ledger, stage_callback_t callback, void *context, error_t *error)
{
    statement_t *statement = statement_of(ledger, LOAD_STAGES);
    int row = 0;
    int code = statement_step(statement, &row, error);
    while (code == OK && row) {
        ledger_stage_t stage;
        code = read_stage(ledger, statement, &stage, error);
        if (code == OK)
            code = callback(context, &stage);
        if (code == OK)
            code = statement_step(statement, &row, error);
    }
    statement_reset(statement);
    return code;
}

static int read_task(const ledger_t *ledger, const statement_t *statement, task_ref_t *ref,
                     sha256_t *result, error_t *error)
{
    memset(ref, 0, sizeof *ref);
    read_text(statement, 0, ref->job_id, sizeof ref->job_id);
    ref->stage = (uint32_t)statement_int(statement, 1);
    ref->task = (uint32_t)statement_int(statement, 2);
    ref->epoch = (uint32_t)statement_int(statement, 3);
    ref->attempt = (uint32_t)statement_int(statement, 4);
    return read_hash(ledger, statement, 5, result, error);
}

static int load_tasks(ledger_t *ledger, task_callback_t callback, void *context, error_t *error)
{
    statement_t *statement = statement_of(ledger, LOAD_TASKS);
    int row = 0;
    int code = statement_step(statement, &row, error);
    while (code == OK && row) {
        task_ref_t ref;
        sha256_t result;
        code = read_task(ledger, statement, &ref, &result, error);
        if (code == OK)
            code = callback(context, &ref, &result);
        if (code == OK)
            code = statement_step(statement, &row, error);
    }
    statement_reset(statement);
    return code;
}

static int load(ledger_t *ledger, job_callback_t job, stage_callback_t stage, task_callback_t task,
                void *context, error_t *error)
{
    database_t *database = self_of(ledger)->database;
    int code = database_begin_read(database, error);
    if (code != OK)
        return code;
    code = load_jobs(ledger, job, context, error);
    if (code == OK)
        code = load_stages(ledger, stage, context, error);
    if (code == OK)
        code = load_tasks(ledger, task, context, error);
    database_rollback(database);
    return code;
}

static int one_job(ledger_t *ledger, const char *job_id, ledger_job_t *out, error_t *error)
{
    statement_t *statement = statement_of(ledger, ONE_JOB);
    int row = 0;
    statement_bind_text(statement, 1, job_id);
    int code = statement_step(statement, &row, error);
    if (code == OK && !row)
        code = error_set(error, ERR_NOT_FOUND, "there is no job %s", job_id);
    if (code == OK)
        code = read_job(ledger, statement, out, error);
    statement_reset(statement);
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
    .load = load,
    .job = one_job,
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
