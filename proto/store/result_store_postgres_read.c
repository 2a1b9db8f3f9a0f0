#include "common/clock.h"
#include "common/utf8.h"
#include "proto/store/cluster_pages.h"
#include "proto/store/job_document.h"
#include "proto/store/result_store_postgres.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* PostgreSQL takes no malformed UTF-8, so nothing in it can be equal to such a text. */
static int storable(const char *text, size_t length)
{
    return utf8_valid_prefix(text, length) == length;
}

static int storable_text(const char *text) { return !text || storable(text, strlen(text)); }

/* ---- one cluster, one job ---- */

static int read_cluster(result_postgres_t *self, const char *cluster_id, const char *job_id,
                        char **json, error_t *error)
{
    const postgres_value_t values[] = {postgres_text(cluster_id), postgres_text(job_id)};
    postgres_rows_t *rows = NULL;
    int code = postgres_query(self->database,
                              "SELECT c.json FROM result_cluster c JOIN result_job j"
                              " ON j.writing = c.writing WHERE c.cluster_id = $1"
                              " AND ($2::text IS NULL OR j.job_id = $2)"
                              " ORDER BY j.finished_ms DESC, j.job_id LIMIT 1",
                              values, 2, &rows, error);
    if (code == OK && !postgres_rows_count(rows))
        code = ERR_NOT_FOUND;
    if (code == OK && !(*json = strdup(postgres_rows_text(rows, 0, 0))))
        code = error_set(error, ERR_MEMORY, "no memory for a cluster");
    postgres_rows_destroy(&rows);
    return code;
}

int result_postgres_cluster(result_store_t *store, const char *cluster_id, const char *job_id,
                            char **json, error_t *error)
{
    result_postgres_t *self = result_postgres_of(store);
    int attempt = 0;
    int code = ERR_NOT_FOUND;
    if (storable_text(cluster_id) && storable_text(job_id)) {
        do
            code = read_cluster(self, cluster_id, job_id, json, error);
        while (result_postgres_again(self, code, &attempt, error));
    }
    if (code == ERR_NOT_FOUND)
        return error_field(error, ERR_NOT_FOUND, "cluster_id", "there is no cluster of that id%s",
                           job_id ? " in that job" : "");
    return code;
}

static int describe(const char *job_id, const postgres_rows_t *rows, char **json, error_t *error)
{
    int timeless = postgres_rows_is_null(rows, 0, 6);
    job_document_t job = {.job_id = job_id,
                          .epoch = postgres_rows_number(rows, 0, 0),
                          .level = postgres_rows_number(rows, 0, 1),
                          .algorithm = postgres_rows_text(rows, 0, 2),
                          .spec_json = postgres_rows_text(rows, 0, 3),
                          .report_json = postgres_rows_text(rows, 0, 4),
                          .output_name = postgres_rows_text(rows, 0, 5),
                          .as_of_ms = timeless ? TIME_NONE : postgres_rows_number(rows, 0, 6),
                          .finished_ms = postgres_rows_number(rows, 0, 7),
                          .item_count = postgres_rows_number(rows, 0, 8),
                          .noise_count = postgres_rows_number(rows, 0, 9),
                          .cluster_count = postgres_rows_number(rows, 0, 10)};
    return job_document(&job, json, error);
}

static int read_job(result_postgres_t *self, const char *job_id, char **json, error_t *error)
{
    postgres_value_t value = postgres_text(job_id);
    postgres_rows_t *rows = NULL;
    int code = postgres_query(self->database,
                              "SELECT epoch, level, algorithm, spec_json, report_json, output_name,"
                              " as_of_ms, finished_ms, item_count, noise_count, cluster_count"
                              " FROM result_job WHERE job_id = $1",
                              &value, 1, &rows, error);
    if (code == OK && !postgres_rows_count(rows))
        code = ERR_NOT_FOUND;
    if (code == OK)
        code = describe(job_id, rows, json, error);
    postgres_rows_destroy(&rows);
    return code;
}

int result_postgres_job(result_store_t *store, const char *job_id, char **json, error_t *error)
{
    result_postgres_t *self = result_postgres_of(store);
    int attempt = 0;
    int code = ERR_NOT_FOUND;
    if (storable_text(job_id)) {
        do
            code = read_job(self, job_id, json, error);
        while (result_postgres_again(self, code, &attempt, error));
    }
    if (code == ERR_NOT_FOUND)
        return error_field(error, ERR_NOT_FOUND, "job_id", "there are no results of that job");
    return code;
}

/* ---- texts ---- */

static int read_text(result_postgres_t *self, const char *job_id, const char *name, uint32_t number,
                     char **text, error_t *error)
{
    const postgres_value_t values[] = {postgres_text(job_id), postgres_text(name),
                                       postgres_number(number)};
    postgres_rows_t *rows = NULL;
    int code = postgres_query(self->database,
                              "SELECT t.text FROM result_text t JOIN result_job j"
                              " ON j.writing = t.writing WHERE j.job_id = $1 AND t.name = $2"
                              " AND t.number = $3",
                              values, 3, &rows, error);
    if (code == OK && !postgres_rows_count(rows))
        code = ERR_NOT_FOUND;
    if (code == OK && !(*text = strdup(postgres_rows_text(rows, 0, 0))))
        code = error_set(error, ERR_MEMORY, "no memory for a %s", name);
    postgres_rows_destroy(&rows);
    return code;
}

int result_postgres_text(result_store_t *store, const char *job_id, const char *name,
                         uint32_t number, char **text, size_t *length, error_t *error)
{
    result_postgres_t *self = result_postgres_of(store);
    int attempt = 0;
    int code = ERR_NOT_FOUND;
    *text = NULL;
    *length = 0;
    if (storable_text(job_id)) {
        do
            code = read_text(self, job_id, name, number, text, error);
        while (result_postgres_again(self, code, &attempt, error));
    }
    if (code == ERR_NOT_FOUND)
        return error_field(error, ERR_NOT_FOUND, "job_id", "that job has no %s", name);
    *length = *text ? strlen(*text) : 0;
    return code;
}

/* ---- statistics ---- */

/* One statement is one snapshot. */
static int read_statistics(result_postgres_t *self, result_statistics_t *out, error_t *error)
{
    postgres_rows_t *rows = NULL;
    int code = postgres_query(self->database,
                              "SELECT level, finished_ms, cluster_count, member_count, noise_count,"
                              " (SELECT count(*) FROM result_job) FROM (SELECT DISTINCT ON (level)"
                              " * FROM result_job ORDER BY level, finished_ms DESC, job_id) newest",
                              NULL, 0, &rows, error);
    for (size_t row = 0; row < postgres_rows_count(rows); row++) {
        int64_t level = postgres_rows_number(rows, row, 0);
        out->jobs = (uint64_t)postgres_rows_number(rows, row, 5);
        if (level < 0 || level >= LEVEL_COUNT)
            continue;
        out->newest_ms[level] = postgres_rows_number(rows, row, 1);
        out->clusters[level] = (uint64_t)postgres_rows_number(rows, row, 2);
        out->members[level] = (uint64_t)postgres_rows_number(rows, row, 3);
        out->noise[level] = (uint64_t)postgres_rows_number(rows, row, 4);
    }
    postgres_rows_destroy(&rows);
    return code;
}

int result_postgres_statistics(result_store_t *store, result_statistics_t *out, error_t *error)
{
    result_postgres_t *self = result_postgres_of(store);
    int attempt = 0;
    int code;
    *out = (result_statistics_t){0};
    for (int level = 0; level < LEVEL_COUNT; level++)
        out->newest_ms[level] = TIME_NONE;
    do
        code = read_statistics(self, out, error);
    while (result_postgres_again(self, code, &attempt, error));
    return code;
}

/* ---- pages ---- */

#define SAME(column) "hashtextextended(" column ", 0) = hashtextextended(?, 0) AND " column " = ?"

/* strpos() knows no wildcards. */
static const cluster_dialect_t DIALECT = {
    .word = " AND strpos(c.label_folded, ?) > 0",
    .document = " AND c.number IN (SELECT cluster FROM result_member WHERE writing = #"
                " AND " SAME("document_id") ")",
    .entity = " AND c.number IN (SELECT cluster FROM result_entity WHERE writing = #"
              " AND " SAME("entity") ")",
    .member = " AND c.number IN (SELECT cluster FROM result_member WHERE writing = #"
              " AND " SAME("source_id") " UNION SELECT cluster FROM result_member"
                                        " WHERE writing = # AND " SAME("vector_id") ")",
};

/* "?" becomes "$1", "$2" ... The pieces of a where_t have no other question mark. */
static void number_places(const char *sql, char *out, size_t size)
{
    size_t used = 0;
    unsigned number = 0;
    for (; *sql && used + 8 < size; sql++) {
        if (*sql == '?')
            used += (size_t)snprintf(out + used, size - used, "$%u", ++number);
        else
            out[used++] = *sql;
    }
    out[used] = 0;
}

/* *rows stays NULL when nothing can match. */
static int ask(result_postgres_t *self, const char *select, const where_t *where,
               postgres_rows_t **rows, error_t *error)
{
    char sql[sizeof where->sql + 512];
    postgres_value_t values[WHERE_VALUES];
    int used = snprintf(sql, sizeof sql, "SELECT %s", select);
    number_places(where->sql, sql + used, sizeof sql - (size_t)used);
    for (size_t i = 0; i < where->value_count; i++) {
        const char *text = where->values[i].text;
        if (text && !storable(text, where->values[i].text_length))
            return OK;
        values[i] = (postgres_value_t){.text = text,
                                       .length = where->values[i].text_length,
                                       .number = where->values[i].number};
    }
    return postgres_query(self->database, sql, values, where->value_count, rows, error);
}

static int count_matches(void *context, const where_t *where, uint64_t *count, error_t *error)
{
    postgres_rows_t *rows = NULL;
    int code = ask(context, "count(*)", where, &rows, error);
    *count = postgres_rows_count(rows) ? (uint64_t)postgres_rows_number(rows, 0, 0) : 0;
    postgres_rows_destroy(&rows);
    return code;
}

static int read_rows(void *context, const where_t *where, cluster_taker_t *taker, error_t *error)
{
    postgres_rows_t *rows = NULL;
    int code = ask(context, "c.size, c.cluster_id, c.json", where, &rows, error);
    for (size_t row = 0; code == OK && row < postgres_rows_count(rows); row++)
        code = cluster_taker_add(taker, (uint32_t)postgres_rows_number(rows, row, 0),
                                 postgres_rows_text(rows, row, 1), postgres_rows_text(rows, row, 2),
                                 error);
    postgres_rows_destroy(&rows);
    return code;
}

static int find_writing(void *context, const char *job_id, int64_t *writing, int *level,
                        error_t *error)
{
    result_postgres_t *self = context;
    postgres_value_t value = postgres_text(job_id);
    postgres_rows_t *rows = NULL;
    *writing = 0;
    *level = -1;
    if (!storable_text(job_id))
        return OK;
    int code =
        postgres_query(self->database, "SELECT writing, level FROM result_job WHERE job_id = $1",
                       &value, 1, &rows, error);
    if (code == OK && postgres_rows_count(rows)) {
        *writing = postgres_rows_number(rows, 0, 0);
        *level = (int)postgres_rows_number(rows, 0, 1);
    }
    postgres_rows_destroy(&rows);
    return code;
}

static int newest_jobs(void *context, void (*take)(void *taker, const char *job_id, int level),
                       void *taker, error_t *error)
{
    result_postgres_t *self = context;
    postgres_rows_t *rows = NULL;
    int code = postgres_query(self->database,
                              "SELECT job_id, level FROM (SELECT DISTINCT ON (level) *"
                              " FROM result_job ORDER BY level, finished_ms DESC, job_id) newest"
                              " ORDER BY finished_ms DESC, job_id",
                              NULL, 0, &rows, error);
    for (size_t row = 0; row < postgres_rows_count(rows); row++)
        take(taker, postgres_rows_text(rows, row, 0), (int)postgres_rows_number(rows, row, 1));
    postgres_rows_destroy(&rows);
    return code;
}

/* A handle in the middle of a writing reads inside its transaction: its own rows have no job yet.
 */
static int read_page(result_postgres_t *self, const cluster_query_t *query, cluster_page_t *page,
                     error_t *error)
{
    const cluster_source_t source = {self,        &DIALECT,      find_writing,
                                     newest_jobs, count_matches, read_rows};
    int begin = self->state != WRITING_ROWS;
    int code = begin ? postgres_execute(self->database,
                                        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", error)
                     : OK;
    if (code != OK)
        return code;
    code = cluster_pages_read(&source, query, page, error);
    if (begin && postgres_connected(self->database))
        postgres_execute(self->database, "ROLLBACK", NULL);
    return code;
}

int result_postgres_clusters(result_store_t *store, const cluster_query_t *query,
                             cluster_page_t *page, error_t *error)
{
    result_postgres_t *self = result_postgres_of(store);
    int attempt = 0;
    int code;
    *page = (cluster_page_t){0};
    do
        code = read_page(self, query, page, error);
    while (result_postgres_again(self, code, &attempt, error));
    return code;
}
