#include "gateway/routes/cluster_stream.h"

#include "common/clock.h"
#include "gateway/routes/handlers.h"

#include <stdlib.h>
#include <string.h>

#define PAGE_CLUSTERS 50 /* about 20 KB each */

typedef struct {
    const gateway_context_t *context;
    char job_id[ROUTE_ID_SIZE];
    result_store_t *store;
    char *cursor; /* where the next page begins; NULL at first */
    int ended;
    char *text; /* the piece handed out last */
    size_t text_length;
} stream_t;

static void release(void *state)
{
    stream_t *self = state;
    store_pool_give(self->context->stores, self->store, !self->ended);
    free(self->cursor);
    free(self->text);
    free(self);
}

static int write_lines(stream_t *self, const cluster_page_t *page, error_t *error)
{
    free(self->text);
    self->text = NULL;
    FILE *stream = open_memstream(&self->text, &self->text_length);
    if (!stream)
        return error_set(error, ERR_MEMORY, "out of memory");
    for (size_t i = 0; i < page->count; i++)
        fprintf(stream, "%s\n", page->json[i]);
    return fclose(stream) == 0 ? OK : error_set(error, ERR_MEMORY, "out of memory");
}

static int next(void *state, const char **piece, size_t *length, error_t *error)
{
    stream_t *self = state;
    cluster_page_t page;
    cluster_query_t query = {
        .job_id = self->job_id,
        .level = -1,
        .time_from_ms = TIME_NONE,
        .time_to_ms = TIME_NONE,
        .cursor = self->cursor,
        .limit = PAGE_CLUSTERS,
    };
    *piece = "";
    *length = 0;
    if (self->ended)
        return OK;
    memset(&page, 0, sizeof page);
    int code = self->store->verbs->clusters(self->store, &query, &page, error);
    if (code != OK)
        return code;
    code = write_lines(self, &page, error);
    free(self->cursor);
    self->cursor = page.next_cursor;
    page.next_cursor = NULL;
    self->ended = code == OK && !self->cursor;
    cluster_page_clear(&page);
    *piece = self->text;
    *length = code == OK ? self->text_length : 0;
    return code;
}

int cluster_stream_new(const gateway_context_t *context, const char *job_id,
                       http_response_t *response, error_t *error)
{
    stream_t *self = calloc(1, sizeof *self);
    if (!self)
        return error_set(error, ERR_MEMORY, "out of memory");
    self->context = context;
    snprintf(self->job_id, sizeof self->job_id, "%s", job_id);
    int code = store_pool_take(context->stores, &self->store, error);
    if (code != OK) {
        free(self);
        return store_failed(context, code, error);
    }
    response->content_type = "application/x-ndjson";
    response->stream = (http_stream_t){next, release, self};
    return OK;
}
