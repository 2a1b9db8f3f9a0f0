#include "proto/store/result_store_sqlite.h"

#include <stdio.h>
#include <stdlib.h>

/* Times that are not known are NULL. A cluster's number is the rowid that its members point at; a
 * noise row points at none. Indexes begin with `writing`, so that a look-up within one job touches
 * that job only and the rows of a dropped writing are found. */
static const char *const MIGRATIONS[] = {
    "CREATE TABLE result_job("
    " job_id TEXT PRIMARY KEY,"
    " writing INTEGER NOT NULL UNIQUE,"
    " epoch INTEGER NOT NULL,"
    " level INTEGER NOT NULL," /* 0 documents, 1 events, 2 entities, 3 storylines */
    " algorithm TEXT NOT NULL,"
    " spec_json TEXT NOT NULL,"
    " report_json TEXT NOT NULL,"
    " output_name TEXT NOT NULL,"
    " as_of_ms INTEGER,"
    " finished_ms INTEGER NOT NULL,"
    " item_count INTEGER NOT NULL,"
    " noise_count INTEGER NOT NULL,"
    " cluster_count INTEGER NOT NULL,"
    " member_count INTEGER NOT NULL);" /* of clusters, without noise */
    "CREATE INDEX result_job_newest ON result_job(level, finished_ms);"
    "CREATE TABLE result_writing("
    " number INTEGER PRIMARY KEY AUTOINCREMENT," /* never used twice */
    " job_id TEXT NOT NULL,"
    " epoch INTEGER NOT NULL);"
    "CREATE INDEX result_writing_job ON result_writing(job_id);"
    "CREATE TABLE result_cluster("
    " number INTEGER PRIMARY KEY,"
    " writing INTEGER NOT NULL,"
    " cluster_id TEXT NOT NULL,"
    " size INTEGER NOT NULL,"
    " label TEXT NOT NULL,"
    " label_folded TEXT NOT NULL," /* lower case, for searching */
    " domain TEXT NOT NULL,"
    " type TEXT NOT NULL,"
    " time_start_ms INTEGER,"
    " time_end_ms INTEGER,"
    " intra_similarity REAL NOT NULL,"
    " json TEXT NOT NULL);"
    "CREATE UNIQUE INDEX result_cluster_order"
    " ON result_cluster(writing, size DESC, cluster_id);"
    "CREATE INDEX result_cluster_id ON result_cluster(cluster_id);"
    "CREATE TABLE result_entity("
    " writing INTEGER NOT NULL,"
    " cluster INTEGER NOT NULL,"
    " entity TEXT NOT NULL,"
    " PRIMARY KEY(writing, entity, cluster)) WITHOUT ROWID;"
    "CREATE TABLE result_member("
    " number INTEGER PRIMARY KEY,"
    " writing INTEGER NOT NULL,"
    " cluster INTEGER,"
    " source_id TEXT NOT NULL,"
    " vector_id TEXT NOT NULL,"
    " document_id TEXT NOT NULL,"
    " assignment TEXT NOT NULL,"
    " strength REAL NOT NULL,"
    " outlier_score REAL NOT NULL,"
    " similarity REAL NOT NULL);"
    "CREATE INDEX result_member_source ON result_member(writing, source_id);"
    "CREATE INDEX result_member_vector ON result_member(writing, vector_id);"
    "CREATE INDEX result_member_document ON result_member(writing, document_id);",
    "CREATE TABLE result_text("
    " writing INTEGER NOT NULL,"
    " name TEXT NOT NULL,"
    " number INTEGER NOT NULL,"
    " text TEXT NOT NULL);"
    "CREATE UNIQUE INDEX result_text_piece ON result_text(writing, name, number);",
    /* So that a version (result_store.h) of one store is never that of another. */
    "CREATE TABLE result_identity(identity TEXT NOT NULL);"
    "INSERT INTO result_identity VALUES(hex(randomblob(16)));",
    /* The coordinator that took a ledger over last (result_store.h, claim). */
    "CREATE TABLE result_fence(ledger TEXT PRIMARY KEY, number INTEGER NOT NULL,"
    " owner TEXT NOT NULL);",
};

static const char *const SQL[STATEMENT_COUNT] = {
#define X(name, sql) sql,
    READ_STATEMENTS(X) WRITE_STATEMENTS(X)
#undef X
};

static int ping(result_store_t *store, error_t *error)
{
    return statement_run(result_sqlite_of(store)->statements[READ_JOB_COUNT], error);
}

/* The numbers of writings may come again after a removal, finished_ms does not. */
static int version(result_store_t *store, char out[RESULT_VERSION_SIZE], error_t *error)
{
    statement_t *statement = result_sqlite_of(store)->statements[READ_VERSION];
    int row = 0;
    int code = statement_step(statement, &row, error);
    if (code == OK && row)
        snprintf(out, RESULT_VERSION_SIZE, "%s", statement_text(statement, 0));
    statement_reset(statement);
    return code;
}

static void close_store(result_store_t **store)
{
    if (!*store)
        return;
    result_sqlite_t *self = result_sqlite_of(*store);
    if (self->state != WRITING_NONE)
        result_sqlite_rollback_job(*store);
    for (size_t i = 0; i < STATEMENT_COUNT; i++)
        statement_destroy(&self->statements[i]);
    database_close(&self->database);
    free(self);
    *store = NULL;
}

static const result_store_verbs_t VERBS = {
    .name = "sqlite",
    .claim = result_sqlite_claim,
    .begin_job = result_sqlite_begin_job,
    .add_cluster = result_sqlite_add_cluster,
    .add_noise = result_sqlite_add_noise,
    .add_text = result_sqlite_add_text,
    .commit_job = result_sqlite_commit_job,
    .rollback_job = result_sqlite_rollback_job,
    .remove_job = result_sqlite_remove_job,
    .cluster = result_sqlite_cluster,
    .clusters = result_sqlite_clusters,
    .job = result_sqlite_job,
    .text = result_sqlite_text,
    .statistics = result_sqlite_statistics,
    .version = version,
    .ping = ping,
    .close = close_store,
};

int result_store_open_sqlite(const char *path, int read_only, result_store_t **out, error_t *error)
{
    result_sqlite_t *self = calloc(1, sizeof *self);
    *out = NULL;
    if (!self)
        return error_set(error, ERR_MEMORY, "no memory to open %s", path);
    self->base.verbs = &VERBS;
    int code = database_open(path, read_only, &self->database, error);
    if (code == OK)
        code = database_migrate(self->database, "result", MIGRATIONS,
                                sizeof MIGRATIONS / sizeof *MIGRATIONS, error);
    size_t count = read_only ? FIRST_WRITE_STATEMENT : STATEMENT_COUNT;
    for (size_t i = 0; code == OK && i < count; i++)
        code = statement_new(self->database, SQL[i], &self->statements[i], error);
    *out = &self->base;
    if (code != OK)
        close_store(out);
    return code;
}
