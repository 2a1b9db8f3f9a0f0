#include "proto/store/result_store_postgres.h"

#include <stdio.h>
#include <string.h>

/* A lock of this name is held while the tables are made: two writers may start at once. */
#define MIGRATION_LOCK "7308604895129427028"

/* Texts are compared by their bytes ("C"), as everywhere else in the service. Ids may be longer
 * than an index row can be, so the indexes of members and entities are over a hash; the text itself
 * is compared as well. */
static const char *const MIGRATIONS[] = {
    "CREATE SEQUENCE result_writing;"
    "CREATE TABLE result_job("
    " job_id text COLLATE \"C\" PRIMARY KEY,"
    " writing bigint NOT NULL UNIQUE,"
    " epoch bigint NOT NULL,"
    " level bigint NOT NULL," /* 0 documents, 1 events, 2 entities, 3 storylines */
    " algorithm text NOT NULL,"
    " spec_json text NOT NULL,"
    " report_json text NOT NULL,"
    " output_name text NOT NULL,"
    " as_of_ms bigint,"
    " finished_ms bigint NOT NULL,"
    " item_count bigint NOT NULL,"
    " noise_count bigint NOT NULL,"
    " cluster_count bigint NOT NULL,"
    " member_count bigint NOT NULL,"
    " UNIQUE(job_id, epoch));"
    "CREATE INDEX result_job_newest ON result_job(level, finished_ms DESC, job_id);"
    "CREATE TABLE result_cluster("
    " writing bigint NOT NULL,"
    " number bigint NOT NULL,"
    " size bigint NOT NULL,"
    " time_start_ms bigint,"
    " time_end_ms bigint,"
    " intra_similarity double precision NOT NULL,"
    " cluster_id text COLLATE \"C\" NOT NULL,"
    " label text COLLATE \"C\" NOT NULL,"
    " label_folded text COLLATE \"C\" NOT NULL,"
    " domain text COLLATE \"C\" NOT NULL,"
    " type text COLLATE \"C\" NOT NULL,"
    " json text COLLATE \"C\" NOT NULL,"
    " PRIMARY KEY(writing, number));"
    "CREATE UNIQUE INDEX result_cluster_order"
    " ON result_cluster(writing, size DESC, cluster_id);"
    "CREATE INDEX result_cluster_id ON result_cluster(cluster_id);"
    "CREATE TABLE result_entity("
    " writing bigint NOT NULL,"
    " cluster bigint NOT NULL,"
    " entity text COLLATE \"C\" NOT NULL);"
    "CREATE INDEX result_entity_name ON result_entity(writing, hashtextextended(entity, 0));"
    "CREATE TABLE result_member("
    " writing bigint NOT NULL,"
    " cluster bigint," /* NULL: noise */
    " strength double precision NOT NULL,"
    " outlier_score double precision NOT NULL,"
    " similarity double precision NOT NULL,"
    " source_id text COLLATE \"C\" NOT NULL,"
    " vector_id text COLLATE \"C\" NOT NULL,"
    " document_id text COLLATE \"C\" NOT NULL,"
    " assignment text COLLATE \"C\" NOT NULL);"
    "CREATE INDEX result_member_source"
    " ON result_member(writing, hashtextextended(source_id, 0));"
    "CREATE INDEX result_member_vector"
    " ON result_member(writing, hashtextextended(vector_id, 0));"
    "CREATE INDEX result_member_document"
    " ON result_member(writing, hashtextextended(document_id, 0));",
    "CREATE TABLE result_text("
    " writing bigint NOT NULL,"
    " number bigint NOT NULL,"
    " name text COLLATE \"C\" NOT NULL,"
    " text text COLLATE \"C\" NOT NULL,"
    " PRIMARY KEY(writing, name, number));",
    /* So that a version (result_store.h) of one store is never that of another. */
    "CREATE TABLE result_identity(identity text NOT NULL);"
    "INSERT INTO result_identity SELECT md5(random()::text || clock_timestamp()::text);",
    /* The coordinator that took a ledger over last (result_store.h, claim). */
    "CREATE TABLE result_fence("
    " ledger text PRIMARY KEY,"
    " number bigint NOT NULL,"
    " owner text NOT NULL);",
};

#define VERSION ((int64_t)(sizeof MIGRATIONS / sizeof *MIGRATIONS))

/* 0 when there are no tables yet. The catalogue is read as a table: to_regclass() may remember that
 * there was none, though another writer has made it since. */
static int read_version(postgres_t *database, int64_t *version, error_t *error)
{
    postgres_rows_t *rows = NULL;
    *version = 0;
    int code = postgres_query(database,
                              "SELECT EXISTS(SELECT FROM pg_class WHERE relname = 'schema_version'"
                              " AND pg_table_is_visible(oid))",
                              NULL, 0, &rows, error);
    int there = code == OK && !strcmp(postgres_rows_text(rows, 0, 0), "t");
    postgres_rows_destroy(&rows);
    if (!there)
        return code;
    code = postgres_query(database, "SELECT version FROM schema_version WHERE part = 'result'",
                          NULL, 0, &rows, error);
    if (code == OK && postgres_rows_count(rows))
        *version = postgres_rows_number(rows, 0, 0);
    postgres_rows_destroy(&rows);
    return code;
}

static int too_new(const postgres_t *database, int64_t version, error_t *error)
{
    return error_set(error, ERR_CONFLICT,
                     "PostgreSQL, %s: its result tables have version %lld, this program knows up "
                     "to %lld; use the newer program",
                     postgres_address(database), (long long)version, (long long)VERSION);
}

static int check(postgres_t *database, error_t *error)
{
    int64_t version = 0;
    int code = read_version(database, &version, error);
    if (code != OK)
        return code;
    if (version > VERSION)
        return too_new(database, version, error);
    if (version < VERSION)
        return error_set(error, ERR_UNAVAILABLE,
                         "PostgreSQL, %s: it has no result tables of version %lld yet; the "
                         "coordinator creates them",
                         postgres_address(database), (long long)VERSION);
    return OK;
}

static int migrate_inside(postgres_t *database, error_t *error)
{
    int64_t version = 0;
    char sql[160];
    int code =
        postgres_execute(database, "SELECT pg_advisory_xact_lock(" MIGRATION_LOCK ")", error);
    if (code == OK)
        code = read_version(database, &version, error);
    if (code == OK && version > VERSION)
        code = too_new(database, version, error);
    if (code == OK && version == 0)
        code = postgres_execute(database,
                                "CREATE TABLE IF NOT EXISTS schema_version("
                                " part text PRIMARY KEY, version bigint NOT NULL)",
                                error);
    for (int64_t v = version; code == OK && v < VERSION; v++)
        code = postgres_execute(database, MIGRATIONS[v], error);
    snprintf(sql, sizeof sql,
             "INSERT INTO schema_version VALUES('result', %lld)"
             " ON CONFLICT(part) DO UPDATE SET version = EXCLUDED.version",
             (long long)VERSION);
    if (code == OK && version < VERSION)
        code = postgres_execute(database, sql, error);
    return code;
}

/* Nothing is written, and no right to create tables is needed, when they are there already. */
static int migrate(postgres_t *database, error_t *error)
{
    int64_t version = 0;
    int code = read_version(database, &version, error);
    if (code != OK || version == VERSION)
        return code;
    code = postgres_execute(database, "BEGIN", error);
    if (code != OK)
        return code;
    code = migrate_inside(database, error);
    if (code == OK)
        return postgres_execute(database, "COMMIT", error);
    if (postgres_connected(database))
        postgres_execute(database, "ROLLBACK", NULL);
    return code;
}

int result_postgres_schema(postgres_t *database, int read_only, error_t *error)
{
    return read_only ? check(database, error) : migrate(database, error);
}
