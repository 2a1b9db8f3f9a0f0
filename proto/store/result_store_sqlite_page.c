#include "proto/store/cluster_pages.h"
#include "proto/store/result_store_sqlite.h"

#include <stdio.h>

/* instr() knows no wildcards. */
static const cluster_dialect_t DIALECT = {
    .word = " AND instr(c.label_folded, ?) > 0",
    .document = " AND c.number IN (SELECT cluster FROM result_member WHERE writing = #"
                " AND document_id = ?)",
    .entity = " AND c.number IN (SELECT cluster FROM result_entity WHERE writing = #"
              " AND entity = ?)",
    .member = " AND c.number IN (SELECT cluster FROM result_member WHERE writing = #"
              " AND source_id = ? UNION SELECT cluster FROM result_member"
              " WHERE writing = # AND vector_id = ?)",
};

static int prepare(result_sqlite_t *self, const char *select, const where_t *where,
                   statement_t **out, error_t *error)
{
    char sql[sizeof where->sql + 64];
    snprintf(sql, sizeof sql, "SELECT %s%s", select, where->sql);
    int code = statement_new(self->database, sql, out, error);
    for (size_t i = 0; code == OK && i < where->value_count; i++) {
        if (where->values[i].text)
            statement_bind_bytes(*out, (int)i + 1, where->values[i].text,
                                 where->values[i].text_length);
        else
            statement_bind_int(*out, (int)i + 1, where->values[i].number);
    }
    return code;
}

static int count_matches(void *context, const where_t *where, uint64_t *count, error_t *error)
{
    statement_t *statement = NULL;
    int row = 0;
    int code = prepare(context, "count(*)", where, &statement, error);
    if (code == OK)
        code = statement_step(statement, &row, error);
    if (code == OK && row)
        *count = (uint64_t)statement_int(statement, 0);
    statement_destroy(&statement);
    return code;
}

static int read_rows(void *context, const where_t *where, cluster_taker_t *taker, error_t *error)
{
    statement_t *statement = NULL;
    int row = 0;
    int code = prepare(context, "c.size, c.cluster_id, c.json", where, &statement, error);
    if (code == OK)
        code = statement_step(statement, &row, error);
    while (code == OK && row) {
        code = cluster_taker_add(taker, (uint32_t)statement_int(statement, 0),
                                 statement_text(statement, 1), statement_text(statement, 2), error);
        if (code == OK)
            code = statement_step(statement, &row, error);
    }
    statement_destroy(&statement);
    return code;
}

static int find_writing(void *context, const char *job_id, int64_t *writing, int *level,
                        error_t *error)
{
    result_sqlite_t *self = context;
    statement_t *statement = self->statements[READ_WRITING];
    int row = 0;
    statement_bind_text(statement, 1, job_id);
    int code = statement_step(statement, &row, error);
    *writing = row ? statement_int(statement, 0) : 0;
    *level = row ? (int)statement_int(statement, 1) : -1;
    statement_reset(statement);
    return code;
}

static int newest_jobs(void *context, void (*take)(void *taker, const char *job_id, int level),
                       void *taker, error_t *error)
{
    result_sqlite_t *self = context;
    statement_t *statement = self->statements[READ_NEWEST];
    int row = 0;
    int code = statement_step(statement, &row, error);
    while (code == OK && row) {
        take(taker, statement_text(statement, 0), (int)statement_int(statement, 1));
        code = statement_step(statement, &row, error);
    }
    statement_reset(statement);
    return code;
}

int result_sqlite_clusters(result_store_t *store, const cluster_query_t *query,
                           cluster_page_t *page, error_t *error)
{
    result_sqlite_t *self = result_sqlite_of(store);
    const cluster_source_t source = {self,        &DIALECT,      find_writing,
                                     newest_jobs, count_matches, read_rows};
    *page = (cluster_page_t){0};
    int code = result_sqlite_flush(self, error);
    if (code == OK)
        code = database_begin_read(self->database, error);
    if (code != OK)
        return code;
    code = cluster_pages_read(&source, query, page, error);
    database_rollback(self->database);
    return code;
}
