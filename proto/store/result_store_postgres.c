#include "proto/store/result_store_postgres.h"

#include <stdio.h>
#include <stdlib.h>

#define READ_MS 10000
#define WRITE_MS 120000

int result_postgres_again(result_postgres_t *self, int code, int *attempt, error_t *error)
{
    if (code != ERR_UNAVAILABLE || *attempt || postgres_connected(self->database))
        return 0;
    if (self->state == WRITING_ROWS) /* the transaction went with the connection */
        self->state = WRITING_FAILED;
    ++*attempt;
    if (postgres_reconnect(self->database, NULL) != OK)
        return 0;
    if (error)
        *error = (error_t)ERROR_INIT;
    return 1;
}

static int ping(result_store_t *store, error_t *error)
{
    result_postgres_t *self = result_postgres_of(store);
    int attempt = 0;
    int code;
    do
        code = postgres_query(self->database, "SELECT 1 FROM result_job LIMIT 1", NULL, 0, NULL,
                              error);
    while (result_postgres_again(self, code, &attempt, error));
    return code;
}

/* The sums are over all jobs: some thousands of short rows at most. */
static int version(result_store_t *store, char out[RESULT_VERSION_SIZE], error_t *error)
{
    result_postgres_t *self = result_postgres_of(store);
    postgres_rows_t *rows = NULL;
    int attempt = 0;
    int code;
    do
        code = postgres_query(self->database,
                              "SELECT concat_ws(':', (SELECT identity FROM result_identity),"
                              " max(writing), count(*), sum(writing), sum(finished_ms))"
                              " FROM result_job",
                              NULL, 0, &rows, error);
    while (result_postgres_again(self, code, &attempt, error));
    if (code == OK)
        snprintf(out, RESULT_VERSION_SIZE, "%s", postgres_rows_text(rows, 0, 0));
    postgres_rows_destroy(&rows);
    return code;
}

static void close_store(result_store_t **store)
{
    if (!*store)
        return;
    result_postgres_t *self = result_postgres_of(*store);
    if (self->state != WRITING_NONE)
        result_postgres_rollback_job(*store);
    postgres_close(&self->database);
    copy_rows_clear(&self->clusters);
    copy_rows_clear(&self->entities);
    copy_rows_clear(&self->members);
    copy_rows_clear(&self->texts);
    free(self);
    *store = NULL;
}

static const result_store_verbs_t VERBS = {
    .name = "postgres",
    .claim = result_postgres_claim,
    .begin_job = result_postgres_begin_job,
    .add_cluster = result_postgres_add_cluster,
    .add_noise = result_postgres_add_noise,
    .add_text = result_postgres_add_text,
    .commit_job = result_postgres_commit_job,
    .rollback_job = result_postgres_rollback_job,
    .remove_job = result_postgres_remove_job,
    .cluster = result_postgres_cluster,
    .clusters = result_postgres_clusters,
    .job = result_postgres_job,
    .text = result_postgres_text,
    .statistics = result_postgres_statistics,
    .version = version,
    .ping = ping,
    .close = close_store,
};

int result_store_open_postgres(const result_postgres_options_t *options, int read_only,
                               result_store_t **out, error_t *error)
{
    result_postgres_t *self = calloc(1, sizeof *self);
    const postgres_options_t connection = {
        .host = options->host,
        .port = options->port,
        .database = options->database,
        .user = options->user,
        .password = options->password,
        .read_only = read_only,
        .connect_ms = options->connect_ms,
        .statement_ms = options->statement_ms ? options->statement_ms
                        : read_only           ? READ_MS
                                              : WRITE_MS,
    };
    *out = NULL;
    if (!self)
        return error_set(error, ERR_MEMORY, "no memory to open a result store");
    self->base.verbs = &VERBS;
    int code = postgres_open(&connection, &self->database, error);
    if (code == OK)
        code = result_postgres_schema(self->database, read_only, error);
    *out = &self->base;
    if (code != OK)
        close_store(out);
    return code;
}
