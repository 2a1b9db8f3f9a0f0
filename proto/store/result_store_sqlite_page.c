#include "common/clock.h"
#include "proto/store/cluster_cursor.h"
#include "proto/store/result_store_sqlite.h"
#include "proto/store/text_fold.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_LIMIT 1000
#define WORD_LIMIT 16
#define TEXT_LIMIT 512
#define VALUE_LIMIT 40

/* The part of a statement after WHERE, put together from constant pieces; what comes from outside
 * is bound to its '?' and never becomes SQL. */
typedef struct {
    char sql[2048];
    size_t length;
    size_t value_count;
    struct {
        const char *text; /* NULL: the number */
        size_t text_length;
        int64_t number;
    } values[VALUE_LIMIT];
    char words[TEXT_LIMIT]; /* the folded search text that word values point into */
} where_t;

static void where_sql(where_t *self, const char *piece)
{
    self->length +=
        (size_t)snprintf(self->sql + self->length, sizeof self->sql - self->length, "%s", piece);
}

static void where_text(where_t *self, const char *text, size_t length)
{
    self->values[self->value_count].text = text;
    self->values[self->value_count++].text_length = length;
}

static void where_number(where_t *self, int64_t number)
{
    self->values[self->value_count].text = NULL;
    self->values[self->value_count++].number = number;
}

static void where_equal(where_t *self, const char *piece, const char *text)
{
    if (!text)
        return;
    where_sql(self, piece);
    where_text(self, text, strlen(text));
}

static void where_bound(where_t *self, const char *piece, int given, int64_t number)
{
    if (!given)
        return;
    where_sql(self, piece);
    where_number(self, number);
}

static void where_member(where_t *self, int64_t writing, const char *member_id)
{
    if (!member_id)
        return;
    where_sql(self, " AND c.number IN (SELECT cluster FROM result_member WHERE writing = ?"
                    " AND source_id = ? UNION SELECT cluster FROM result_member"
                    " WHERE writing = ? AND vector_id = ?)");
    for (int i = 0; i < 2; i++) {
        where_number(self, writing);
        where_text(self, member_id, strlen(member_id));
    }
}

/* Rows of another table that name clusters of this writing. */
static void where_named(where_t *self, const char *piece, int64_t writing, const char *text)
{
    if (!text)
        return;
    where_sql(self, piece);
    where_number(self, writing);
    where_text(self, text, strlen(text));
}

/* Every word of the text must be part of the label: instr() knows no wildcards. */
static int where_words(where_t *self, const char *text, error_t *error)
{
    if (!text)
        return OK;
    if (strlen(text) >= sizeof self->words)
        return error_field(error, ERR_USAGE, "text", "a search text has at most %d bytes",
                           TEXT_LIMIT - 1);
    snprintf(self->words, sizeof self->words, "%s", text);
    text_fold(self->words);
    const char *word = self->words;
    for (size_t count = 0;; count++) {
        word += strspn(word, " \t\r\n");
        size_t length = strcspn(word, " \t\r\n");
        if (!length)
            return OK;
        if (count == WORD_LIMIT)
            return error_field(error, ERR_USAGE, "text", "a search text has at most %d words",
                               WORD_LIMIT);
        where_sql(self, " AND instr(c.label_folded, ?) > 0");
        where_text(self, word, length);
        word += length;
    }
}

static int where_filter(where_t *self, const cluster_query_t *query, int64_t writing,
                        error_t *error)
{
    where_sql(self, " FROM result_cluster c WHERE c.writing = ?");
    where_number(self, writing);
    where_equal(self, " AND c.domain = ?", query->domain);
    where_equal(self, " AND c.type = ?", query->type);
    where_bound(self, " AND c.size >= ?", query->size_min > 0, query->size_min);
    where_bound(self, " AND c.size <= ?", query->size_max > 0, query->size_max);
    where_bound(self, " AND c.time_end_ms >= ?", query->time_from_ms != TIME_NONE,
                query->time_from_ms);
    where_bound(self, " AND c.time_start_ms <= ?", query->time_to_ms != TIME_NONE,
                query->time_to_ms);
    where_named(self,
                " AND c.number IN (SELECT cluster FROM result_member WHERE writing = ?"
                " AND document_id = ?)",
                writing, query->document_id);
    where_named(self,
                " AND c.number IN (SELECT cluster FROM result_entity WHERE writing = ?"
                " AND entity = ?)",
                writing, query->entity);
    where_member(self, writing, query->member_id);
    return where_words(self, query->text, error);
}

static void where_bind(const where_t *self, statement_t *statement)
{
    for (size_t i = 0; i < self->value_count; i++) {
        if (self->values[i].text)
            statement_bind_bytes(statement, (int)i + 1, self->values[i].text,
                                 self->values[i].text_length);
        else
            statement_bind_int(statement, (int)i + 1, self->values[i].number);
    }
}

static int prepare(result_sqlite_t *self, const char *select, const where_t *where,
                   statement_t **out, error_t *error)
{
    char sql[sizeof where->sql + 64];
    snprintf(sql, sizeof sql, "SELECT %s%s", select, where->sql);
    int code = statement_new(self->database, sql, out, error);
    if (code == OK)
        where_bind(where, *out);
    return code;
}

static int count_matches(result_sqlite_t *self, const where_t *where, uint64_t *total,
                         error_t *error)
{
    statement_t *statement = NULL;
    int row = 0;
    int code = prepare(self, "count(*)", where, &statement, error);
    if (code == OK)
        code = statement_step(statement, &row, error);
    if (code == OK && row)
        *total += (uint64_t)statement_int(statement, 0);
    statement_destroy(&statement);
    return code;
}

/* Takes one row into the page. When the page is full already, the row only proves that there is a
 * next one: its cursor points at the cluster taken last. */
static int take_row(cluster_page_t *page, const statement_t *statement, uint32_t limit, size_t job,
                    cluster_cursor_t *last, error_t *error)
{
    if (page->count == limit) {
        page->next_cursor = malloc(CURSOR_SIZE);
        if (page->next_cursor)
            cluster_cursor_format(last, page->next_cursor);
        return page->next_cursor ? OK : error_set(error, ERR_MEMORY, "no memory for a page");
    }
    char *json = strdup(statement_text(statement, 2));
    if (!json)
        return error_set(error, ERR_MEMORY, "no memory for a page of clusters");
    page->json[page->count++] = json;
    last->job = job;
    last->size = (uint32_t)statement_int(statement, 0);
    snprintf(last->cluster_id, sizeof last->cluster_id, "%s", statement_text(statement, 1));
    return OK;
}

static int take_rows(result_sqlite_t *self, where_t *where, uint32_t limit, size_t job,
                     cluster_page_t *page, cluster_cursor_t *last, error_t *error)
{
    statement_t *statement = NULL;
    int row = 0;
    where_sql(where, " ORDER BY c.size DESC, c.cluster_id LIMIT ?");
    where_number(where, (int64_t)(limit - page->count) + 1);
    int code = prepare(self, "c.size, c.cluster_id, c.json", where, &statement, error);
    if (code == OK)
        code = statement_step(statement, &row, error);
    while (code == OK && row && !page->next_cursor) {
        code = take_row(page, statement, limit, job, last, error);
        if (code == OK)
            code = statement_step(statement, &row, error);
    }
    statement_destroy(&statement);
    return code;
}

static void where_after(where_t *self, const cluster_cursor_t *cursor)
{
    where_sql(self, " AND (c.size < ? OR (c.size = ? AND c.cluster_id > ?))");
    where_number(self, cursor->size);
    where_number(self, cursor->size);
    where_text(self, cursor->cluster_id, strlen(cursor->cluster_id));
}

/* The writing a job's row points at now; *there is 0 when it has none of the level asked for. */
static int find_writing(result_sqlite_t *self, const char *job_id, int level, int64_t *writing,
                        int *there, error_t *error)
{
    statement_t *statement = self->statements[READ_WRITING];
    int row = 0;
    statement_bind_text(statement, 1, job_id);
    int code = statement_step(statement, &row, error);
    *writing = row ? statement_int(statement, 0) : 0;
    *there = row && (level < 0 || statement_int(statement, 1) == level);
    statement_reset(statement);
    return code;
}

/* What one job gives: its matches to the total, and clusters to the page while it has room. */
static int page_of_job(result_sqlite_t *self, const cluster_query_t *query,
                       const cluster_cursor_t *from, size_t job, cluster_page_t *page,
                       cluster_cursor_t *last, error_t *error)
{
    where_t where = {0};
    int64_t writing;
    int there;
    int code = find_writing(self, from->job_id[job], query->level, &writing, &there, error);
    if (code != OK || !there)
        return code;
    code = where_filter(&where, query, writing, error);
    if (code == OK)
        code = count_matches(self, &where, &page->total, error);
    if (code != OK || job < from->job || page->next_cursor)
        return code;
    if (job == from->job && from->started)
        where_after(&where, from);
    return take_rows(self, &where, query->limit, job, page, last, error);
}

static int newest_jobs(result_sqlite_t *self, int level, cluster_cursor_t *out, error_t *error)
{
    statement_t *statement = self->statements[READ_NEWEST];
    int row = 0;
    int code = statement_step(statement, &row, error);
    while (code == OK && row && out->job_count < LEVEL_COUNT) {
        if (level < 0 || statement_int(statement, 1) == level)
            snprintf(out->job_id[out->job_count++], JOB_ID_SIZE, "%s",
                     statement_text(statement, 0));
        code = statement_step(statement, &row, error);
    }
    statement_reset(statement);
    return code;
}

/* The jobs of the first page: the one asked for, or the newest of each level. */
static int first_jobs(result_sqlite_t *self, const cluster_query_t *query, cluster_cursor_t *out,
                      error_t *error)
{
    int64_t writing;
    int there = 0;
    if (!query->job_id)
        return newest_jobs(self, query->level, out, error);
    int code = find_writing(self, query->job_id, -1, &writing, &there, error);
    if (code == OK && !there)
        return error_field(error, ERR_NOT_FOUND, "job_id", "there are no results of that job");
    snprintf(out->job_id[0], JOB_ID_SIZE, "%s", query->job_id);
    out->job_count = 1;
    return code;
}

static int resolve(result_sqlite_t *self, const cluster_query_t *query, cluster_cursor_t *out,
                   error_t *error)
{
    *out = (cluster_cursor_t){0};
    if (!query->cursor)
        return first_jobs(self, query, out, error);
    int code = cluster_cursor_parse(query->cursor, out, error);
    if (code == OK && query->job_id &&
        (out->job_count != 1 || strcmp(out->job_id[0], query->job_id)))
        return error_field(error, ERR_USAGE, "cursor", "this cursor belongs to another job");
    return code;
}

static int fill_page(result_sqlite_t *self, const cluster_query_t *query, cluster_page_t *page,
                     error_t *error)
{
    cluster_cursor_t from;
    int code = resolve(self, query, &from, error);
    cluster_cursor_t last = from;
    for (size_t job = 0; code == OK && job < from.job_count; job++)
        code = page_of_job(self, query, &from, job, page, &last, error);
    return code;
}

int result_sqlite_clusters(result_store_t *store, const cluster_query_t *query,
                           cluster_page_t *page, error_t *error)
{
    result_sqlite_t *self = result_sqlite_of(store);
    *page = (cluster_page_t){0};
    if (query->limit < 1 || query->limit > PAGE_LIMIT)
        return error_field(error, ERR_USAGE, "limit", "limit is 1 to %d", PAGE_LIMIT);
    page->json = calloc(query->limit, sizeof *page->json);
    if (!page->json)
        return error_set(error, ERR_MEMORY, "no memory for a page of %u clusters", query->limit);
    int code = result_sqlite_flush(self, error);
    if (code == OK)
        code = database_begin_read(self->database, error);
    if (code == OK) {
        code = fill_page(self, query, page, error);
        database_rollback(self->database);
    }
    if (code != OK)
        cluster_page_clear(page);
    return code;
}
