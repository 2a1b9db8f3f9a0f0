#include "proto/store/cluster_pages.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_LIMIT 1000

struct cluster_taker {
    cluster_page_t *page;
    uint32_t limit;
    size_t job;            /* in the cursor's list: where the rows come from now */
    cluster_cursor_t last; /* points at the cluster taken last */
};

/* When the page is full already, the row only proves that there is a next one: its cursor points at
 * the cluster taken last. */
int cluster_taker_add(cluster_taker_t *self, uint32_t size, const char *cluster_id,
                      const char *json, error_t *error)
{
    cluster_page_t *page = self->page;
    if (page->next_cursor)
        return OK;
    if (page->count == self->limit) {
        page->next_cursor = malloc(CURSOR_SIZE);
        if (page->next_cursor)
            cluster_cursor_format(&self->last, page->next_cursor);
        return page->next_cursor ? OK : error_set(error, ERR_MEMORY, "no memory for a page");
    }
    char *copy = strdup(json);
    if (!copy)
        return error_set(error, ERR_MEMORY, "no memory for a page of clusters");
    page->json[page->count++] = copy;
    self->last.job = self->job;
    self->last.size = size;
    snprintf(self->last.cluster_id, sizeof self->last.cluster_id, "%s", cluster_id);
    return OK;
}

/* What one job gives: its matches to the total, and clusters to the page while it has room. */
static int page_of_job(const cluster_source_t *source, const cluster_query_t *query,
                       const cluster_cursor_t *from, cluster_taker_t *taker, error_t *error)
{
    where_t where;
    int64_t writing;
    uint64_t count = 0;
    int level;
    int code = source->writing(source->context, from->job_id[taker->job], &writing, &level, error);
    if (code != OK || level < 0 || (query->level >= 0 && query->level != level))
        return code;
    code = cluster_where(&where, source->dialect, query, writing, error);
    if (code == OK)
        code = source->count(source->context, &where, &count, error);
    taker->page->total += count;
    if (code != OK || taker->job < from->job || taker->page->next_cursor)
        return code;
    if (taker->job == from->job && from->started)
        cluster_where_after(&where, from);
    cluster_where_first(&where, (uint32_t)(query->limit - taker->page->count) + 1);
    return source->rows(source->context, &where, taker, error);
}

typedef struct {
    cluster_cursor_t *cursor;
    int level; /* -1: any */
} newest_t;

static void take_newest(void *context, const char *job_id, int level)
{
    newest_t *self = context;
    cluster_cursor_t *cursor = self->cursor;
    if (cursor->job_count < LEVEL_COUNT && (self->level < 0 || self->level == level))
        snprintf(cursor->job_id[cursor->job_count++], JOB_ID_SIZE, "%s", job_id);
}

/* The jobs of the first page: the one asked for, or the newest of each level. */
static int first_jobs(const cluster_source_t *source, const cluster_query_t *query,
                      cluster_cursor_t *out, error_t *error)
{
    newest_t newest = {out, query->level};
    int64_t writing;
    int level = -1;
    if (!query->job_id)
        return source->newest(source->context, take_newest, &newest, error);
    int code = source->writing(source->context, query->job_id, &writing, &level, error);
    if (code == OK && level < 0)
        return error_field(error, ERR_NOT_FOUND, "job_id", "there are no results of that job");
    snprintf(out->job_id[0], JOB_ID_SIZE, "%s", query->job_id);
    out->job_count = 1;
    return code;
}

static int resolve(const cluster_source_t *source, const cluster_query_t *query,
                   cluster_cursor_t *out, error_t *error)
{
    *out = (cluster_cursor_t){0};
    if (!query->cursor)
        return first_jobs(source, query, out, error);
    int code = cluster_cursor_parse(query->cursor, out, error);
    if (code == OK && query->job_id &&
        (out->job_count != 1 || strcmp(out->job_id[0], query->job_id)))
        return error_field(error, ERR_USAGE, "cursor", "this cursor belongs to another job");
    return code;
}

int cluster_pages_read(const cluster_source_t *source, const cluster_query_t *query,
                       cluster_page_t *page, error_t *error)
{
    cluster_cursor_t from;
    *page = (cluster_page_t){0};
    if (query->limit < 1 || query->limit > PAGE_LIMIT)
        return error_field(error, ERR_USAGE, "limit", "limit is 1 to %d", PAGE_LIMIT);
    page->json = calloc(query->limit, sizeof *page->json);
    if (!page->json)
        return error_set(error, ERR_MEMORY, "no memory for a page of %u clusters", query->limit);
    int code = resolve(source, query, &from, error);
    cluster_taker_t taker = {.page = page, .limit = query->limit, .last = from};
    for (taker.job = 0; code == OK && taker.job < from.job_count; taker.job++)
        code = page_of_job(source, query, &from, &taker, error);
    if (code != OK)
        cluster_page_clear(page);
    return code;
}
