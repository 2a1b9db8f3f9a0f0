/* Reading the ledger back: at recovery, and for what is asked of jobs that only the ledger knows. */
#include "coordinator/store/ledger_sqlite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    out->settled = (int)statement_int(statement, 9);
    out->expires_ms = statement_int(statement, 10);
    int code = read_json(statement, 11, &out->spec_json, error);
    if (code == OK)
        code = read_json(statement, 12, &out->report_json, error);
    if (code != OK)
        ledger_job_clear(out);
    return code;
}

typedef int (*job_callback_t)(void *context, const ledger_job_t *job);
typedef int (*stage_callback_t)(void *context, const ledger_stage_t *stage);
typedef int (*task_callback_t)(void *context, const task_ref_t *ref, const sha256_t *result);

static int walk_jobs(ledger_t *ledger, statement_t *statement, job_callback_t callback,
                     void *context, error_t *error)
{
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

static int walk_stages(ledger_t *ledger, statement_t *statement, stage_callback_t callback,
                       void *context, error_t *error)
{
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

static int walk_tasks(ledger_t *ledger, statement_t *statement, task_callback_t callback,
                      void *context, error_t *error)
{
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

/* The statement for all that is not settled, or for the one job. */
static statement_t *walk_of(ledger_t *ledger, const char *job_id, statement_name_t all,
                            statement_name_t one)
{
    statement_t *statement = statement_of(ledger, job_id ? one : all);
    if (job_id)
        statement_bind_text(statement, 1, job_id);
    return statement;
}

int ledger_sqlite_load(ledger_t *ledger, const char *job_id, job_callback_t job,
                       stage_callback_t stage, task_callback_t task, void *context, error_t *error)
{
    database_t *database = self_of(ledger)->database;
    int code = database_begin_read(database, error);
    if (code != OK)
        return code;
    code = walk_jobs(ledger, walk_of(ledger, job_id, LOAD_JOBS, ONE_JOB), job, context, error);
    if (code == OK)
        code = walk_stages(ledger, walk_of(ledger, job_id, LOAD_STAGES, ONE_STAGE), stage, context,
                           error);
    if (code == OK)
        code = walk_tasks(ledger, walk_of(ledger, job_id, LOAD_TASKS, TASKS_OF_ONE), task, context,
                          error);
    database_rollback(database);
    return code;
}

static int one_job(ledger_t *ledger, statement_name_t name, const char *text, ledger_job_t *out,
                   error_t *error)
{
    statement_t *statement = statement_of(ledger, name);
    int row = 0;
    statement_bind_text(statement, 1, text);
    int code = statement_step(statement, &row, error);
    if (code == OK && !row)
        code = name == ONE_JOB
                   ? error_field(error, ERR_NOT_FOUND, "job_id", "there is no job %s", text)
                   : error_set(error, ERR_NOT_FOUND, "no job has this idempotency key");
    if (code == OK)
        code = read_job(ledger, statement, out, error);
    statement_reset(statement);
    return code;
}

int ledger_sqlite_job(ledger_t *ledger, const char *job_id, ledger_job_t *out, error_t *error)
{
    return one_job(ledger, ONE_JOB, job_id, out, error);
}

int ledger_sqlite_find(ledger_t *ledger, const char *idempotency_key, ledger_job_t *out,
                       error_t *error)
{
    return one_job(ledger, JOB_OF_KEY, idempotency_key, out, error);
}

int ledger_sqlite_list(ledger_t *ledger, const ledger_query_t *query, job_callback_t job,
                       void *context, error_t *error)
{
    int any = query->state < 0;
    statement_t *statement = statement_of(ledger, any ? LIST : LIST_STATE);
    statement_bind_text(statement, 1, query->before[0] ? query->before : "~"); /* after all ids */
    statement_bind_int(statement, 2, (int64_t)query->limit);
    if (!any)
        statement_bind_text(statement, 3, job_state_name((job_state_t)query->state));
    return walk_jobs(ledger, statement, job, context, error);
}

int ledger_sqlite_count(ledger_t *ledger, size_t counts[JOB_STATE_COUNT], error_t *error)
{
    statement_t *statement = statement_of(ledger, COUNT);
    int row = 0;
    memset(counts, 0, JOB_STATE_COUNT * sizeof *counts);
    int code = statement_step(statement, &row, error);
    while (code == OK && row) {
        job_state_t state;
        if (job_state_parse(statement_text(statement, 0), &state))
            counts[state] = (size_t)statement_int(statement, 1);
        code = statement_step(statement, &row, error);
    }
    statement_reset(statement);
    return code;
}

int ledger_sqlite_expired(ledger_t *ledger, int64_t now_ms, int64_t unchanged_since_ms,
                          ledger_ids_t *out, error_t *error)
{
    statement_t *statement = statement_of(ledger, EXPIRED);
    int row = 0;
    statement_bind_int(statement, 1, now_ms);
    statement_bind_int(statement, 2, unchanged_since_ms);
    statement_bind_int(statement, 3, LEDGER_IDS);
    out->count = 0;
    int code = statement_step(statement, &row, error);
    while (code == OK && row) {
        read_text(statement, 0, out->items[out->count++], JOB_ID_SIZE);
        code = statement_step(statement, &row, error);
    }
    statement_reset(statement);
    return code;
}
