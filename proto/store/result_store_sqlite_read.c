#include "common/clock.h"
#include "proto/store/job_document.h"
#include "proto/store/result_store_sqlite.h"

#include <string.h>

int result_sqlite_cluster(result_store_t *store, const char *cluster_id, const char *job_id,
                          char **json, error_t *error)
{
    statement_t *statement = result_sqlite_of(store)->statements[READ_CLUSTER];
    int row = 0;
    statement_bind_text(statement, 1, cluster_id);
    statement_bind_text(statement, 2, job_id);
    int code = statement_step(statement, &row, error);
    if (code == OK && !row)
        code = error_field(error, ERR_NOT_FOUND, "cluster_id", "there is no cluster of that id%s",
                           job_id ? " in that job" : "");
    if (code == OK) {
        *json = strdup(statement_text(statement, 0));
        if (!*json)
            code = error_set(error, ERR_MEMORY, "no memory for a cluster of %zu bytes",
                             statement_length(statement, 0));
    }
    statement_reset(statement);
    return code;
}

int result_sqlite_job(result_store_t *store, const char *job_id, char **json, error_t *error)
{
    statement_t *statement = result_sqlite_of(store)->statements[READ_JOB];
    int row = 0;
    statement_bind_text(statement, 1, job_id);
    int code = statement_step(statement, &row, error);
    if (code == OK && !row)
        code = error_field(error, ERR_NOT_FOUND, "job_id", "there are no results of that job");
    if (code == OK) {
        int timeless = statement_is_null(statement, 6);
        job_document_t job = {.job_id = job_id,
                              .epoch = statement_int(statement, 0),
                              .level = statement_int(statement, 1),
                              .algorithm = statement_text(statement, 2),
                              .spec_json = statement_text(statement, 3),
                              .report_json = statement_text(statement, 4),
                              .output_name = statement_text(statement, 5),
                              .as_of_ms = timeless ? TIME_NONE : statement_int(statement, 6),
                              .finished_ms = statement_int(statement, 7),
                              .item_count = statement_int(statement, 8),
                              .noise_count = statement_int(statement, 9),
                              .cluster_count = statement_int(statement, 10)};
        code = job_document(&job, json, error);
    }
    statement_reset(statement);
    return code;
}

int result_sqlite_text(result_store_t *store, const char *job_id, const char *name, uint32_t number,
                       char **text, size_t *length, error_t *error)
{
    statement_t *statement = result_sqlite_of(store)->statements[READ_TEXT];
    int row = 0;
    *text = NULL;
    *length = 0;
    statement_bind_text(statement, 1, job_id);
    statement_bind_text(statement, 2, name);
    statement_bind_int(statement, 3, number);
    int code = statement_step(statement, &row, error);
    if (code == OK && !row)
        code = error_field(error, ERR_NOT_FOUND, "job_id", "that job has no %s", name);
    if (code == OK) {
        *length = statement_length(statement, 0);
        *text = strdup(statement_text(statement, 0));
        if (!*text)
            code = error_set(error, ERR_MEMORY, "no memory for %zu bytes of a %s", *length, name);
    }
    statement_reset(statement);
    return code;
}

static int read_counts(result_sqlite_t *self, const char *job_id, level_t level,
                       result_statistics_t *out, error_t *error)
{
    statement_t *statement = self->statements[READ_COUNTS];
    int row = 0;
    statement_bind_text(statement, 1, job_id);
    int code = statement_step(statement, &row, error);
    if (code == OK && row) {
        out->newest_ms[level] = statement_int(statement, 0);
        out->clusters[level] = (uint64_t)statement_int(statement, 1);
        out->members[level] = (uint64_t)statement_int(statement, 2);
        out->noise[level] = (uint64_t)statement_int(statement, 3);
    }
    statement_reset(statement);
    return code;
}

static int read_newest(result_sqlite_t *self, result_statistics_t *out, error_t *error)
{
    statement_t *newest = self->statements[READ_NEWEST];
    int row = 0;
    int code = statement_step(newest, &row, error);
    while (code == OK && row) {
        int64_t level = statement_int(newest, 1);
        if (level >= 0 && level < LEVEL_COUNT)
            code = read_counts(self, statement_text(newest, 0), (level_t)level, out, error);
        if (code == OK)
            code = statement_step(newest, &row, error);
    }
    statement_reset(newest);
    return code;
}

int result_sqlite_statistics(result_store_t *store, result_statistics_t *out, error_t *error)
{
    result_sqlite_t *self = result_sqlite_of(store);
    statement_t *count = self->statements[READ_JOB_COUNT];
    int row = 0;
    *out = (result_statistics_t){0};
    for (int level = 0; level < LEVEL_COUNT; level++)
        out->newest_ms[level] = TIME_NONE;
    int code = result_sqlite_flush(self, error);
    if (code == OK)
        code = database_begin_read(self->database, error);
    if (code != OK)
        return code;
    code = statement_step(count, &row, error);
    if (code == OK && row)
        out->jobs = (uint64_t)statement_int(count, 0);
    statement_reset(count);
    if (code == OK)
        code = read_newest(self, out, error);
    database_rollback(self->database);
    return code;
}
