/* ledger_sqlite.h - what the files of the SQLite back end share. */
#ifndef STAGE4_COORDINATOR_STORE_LEDGER_SQLITE_H
#define STAGE4_COORDINATOR_STORE_LEDGER_SQLITE_H

#include "common/sqlite.h"
#include "coordinator/store/ledger.h"

#define JOB_COLUMNS                                                                                \
    "job_id, epoch, state, idempotency_key, submitted_ms, changed_ms, error_code, error_field,"    \
    " error_message, settled, expires_ms, spec_json"

/* The statements, prepared once at open. */
#define STATEMENTS(X)                                                                              \
    X(SAVE_JOB, "INSERT INTO ledger_job(" JOB_COLUMNS ", report_json)"                             \
                " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?12, ?13, ?10, ?11)"                  \
                " ON CONFLICT(job_id) DO UPDATE SET epoch = ?2, state = ?3, changed_ms = ?6,"      \
                " error_code = ?7, error_field = ?8, error_message = ?9,"                          \
                " settled = ?12, expires_ms = ?13, spec_json = coalesce(?10, spec_json),"          \
                " report_json = coalesce(?11, report_json) WHERE epoch <= ?2")                     \
    X(SAVE_STAGE, "INSERT OR REPLACE INTO ledger_stage VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)")        \
    X(FORGET_EARLIER, "DELETE FROM ledger_task WHERE job_id = ?1 AND stage <> ?2")                 \
    X(SAVE_TASK, "INSERT OR REPLACE INTO ledger_task VALUES(?1, ?2, ?3, ?4, ?5, ?6)")              \
    X(FORGET_STAGE, "DELETE FROM ledger_stage WHERE job_id = ?1")                                  \
    X(FORGET_TASKS, "DELETE FROM ledger_task WHERE job_id = ?1")                                   \
    X(SETTLE, "UPDATE ledger_job SET settled = 1 WHERE job_id = ?1"                                \
              " AND state IN ('completed', 'cancelled', 'failed')")                                \
    X(REMOVE_JOB, "DELETE FROM ledger_job WHERE job_id = ?1")                                      \
    X(CLAIM, "UPDATE ledger_owner SET fence = fence + 1, owner = ?1")                              \
    X(FENCE, "SELECT fence, owner FROM ledger_owner")                                              \
    X(GENERATION, "SELECT ledger FROM ledger_owner")                                               \
    X(EPOCH, "SELECT epoch FROM ledger_job WHERE job_id = ?1")                                     \
    X(ONE_JOB, "SELECT " JOB_COLUMNS ", report_json FROM ledger_job WHERE job_id = ?1")            \
    X(JOB_OF_KEY, "SELECT " JOB_COLUMNS ", report_json FROM ledger_job"                            \
                  " WHERE idempotency_key = ?1 AND idempotency_key <> ''")                         \
    X(ONE_STAGE, "SELECT * FROM ledger_stage WHERE job_id = ?1")                                   \
    X(TASKS_OF_ONE, "SELECT t.* FROM ledger_task t JOIN ledger_stage s USING(job_id, stage)"       \
                    " WHERE t.job_id = ?1 ORDER BY t.task")                                        \
    X(LOAD_JOBS, "SELECT " JOB_COLUMNS ", report_json FROM ledger_job WHERE settled = 0"           \
                 " ORDER BY number")                                                               \
    X(LOAD_STAGES, "SELECT s.* FROM ledger_stage s JOIN ledger_job j USING(job_id)"                \
                   " WHERE j.settled = 0 ORDER BY j.number")                                       \
    X(LOAD_TASKS,                                                                                  \
      "SELECT t.* FROM ledger_task t JOIN ledger_stage s USING(job_id, stage)"                     \
      " JOIN ledger_job j USING(job_id) WHERE j.settled = 0 ORDER BY j.number, t.task")            \
    X(LIST, "SELECT " JOB_COLUMNS ", NULL FROM ledger_job WHERE job_id < ?1"                       \
            " ORDER BY job_id DESC LIMIT ?2")                                                      \
    X(LIST_STATE, "SELECT " JOB_COLUMNS ", NULL FROM ledger_job WHERE state = ?3 AND job_id < ?1"  \
                  " ORDER BY job_id DESC LIMIT ?2")                                                \
    X(COUNT, "SELECT state, count(*) FROM ledger_job"                                              \
             " WHERE state IN ('completed', 'cancelled', 'failed') GROUP BY state")                \
    X(EXPIRED, "SELECT job_id FROM ledger_job WHERE settled = 1 AND expires_ms = 0"                \
               " AND changed_ms <= ?2 UNION ALL SELECT job_id FROM ledger_job WHERE settled = 1"   \
               " AND expires_ms BETWEEN 1 AND ?1 LIMIT ?3")                                        \
    X(PING, "SELECT count(*) FROM schema_version")

typedef enum {
#define X(name, sql) name,
    STATEMENTS(X)
#undef X
        STATEMENT_COUNT
} statement_name_t;

typedef struct {
    ledger_t base;
    database_t *database;
    statement_t *statements[STATEMENT_COUNT];
    int64_t fence; /* of our claim; 0: none */
    char generation[LEDGER_GENERATION_SIZE];
} ledger_sqlite_t;

static inline ledger_sqlite_t *self_of(ledger_t *ledger) { return (ledger_sqlite_t *)ledger; }

static inline statement_t *statement_of(ledger_t *ledger, statement_name_t name)
{
    return self_of(ledger)->statements[name];
}

/* ledger_sqlite_read.c: the verbs that read */
int ledger_sqlite_load(ledger_t *ledger, const char *job_id,
                       int (*job)(void *context, const ledger_job_t *job),
                       int (*stage)(void *context, const ledger_stage_t *stage),
                       int (*task)(void *context, const task_ref_t *ref, const sha256_t *result),
                       void *context, error_t *error);
int ledger_sqlite_job(ledger_t *ledger, const char *job_id, ledger_job_t *out, error_t *error);
int ledger_sqlite_find(ledger_t *ledger, const char *idempotency_key, ledger_job_t *out,
                       error_t *error);
int ledger_sqlite_list(ledger_t *ledger, const ledger_query_t *query,
                       int (*job)(void *context, const ledger_job_t *job), void *context,
                       error_t *error);
int ledger_sqlite_count(ledger_t *ledger, size_t counts[JOB_STATE_COUNT], error_t *error);
int ledger_sqlite_expired(ledger_t *ledger, int64_t now_ms, int64_t unchanged_since_ms,
                          ledger_ids_t *out, error_t *error);

#endif
