#include "gateway/routes/text_stream.h"

#include "gateway/routes/handlers.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct {
    const gateway_context_t *context;
    char job_id[ROUTE_ID_SIZE];
    const char *name;
    result_store_t *store;
    uint32_t number; /* of the next piece */
    int given;       /* a piece */
    int ended;
    char *text; /* the piece fetched last */
    size_t length;
} stream_t;

static void release(void *state)
{
    stream_t *self = state;
    store_pool_give(self->context->stores, self->store, !self->ended);
    free(self->text);
    free(self);
}

/* Past the last piece there is nothing, and that is the end. */
static int fetch(stream_t *self, error_t *error)
{
    error_t absent = ERROR_INIT;
    free(self->text);
    self->text = NULL;
    self->length = 0;
    int code = self->store->verbs->text(self->store, self->job_id, self->name, self->number,
                                        &self->text, &self->length, &absent);
    self->ended = code == ERR_NOT_FOUND;
    self->number++;
    if (code != OK && error)
        *error = absent;
    return code;
}

/* Hands out what was fetched, or fetches what follows it. */
static int next(void *state, const char **piece, size_t *length, error_t *error)
{
    stream_t *self = state;
    int code = OK;
    if (self->given && !self->ended)
        code = fetch(self, error);
    self->given = 1;
    *piece = self->text ? self->text : "";
    *length = self->length;
    return code == ERR_NOT_FOUND ? OK : code;
}

int text_stream_new(const gateway_context_t *context, const char *job_id, const char *name,
                    http_response_t *response, error_t *error)
{
    stream_t *self = calloc(1, sizeof *self);
    if (!self)
        return error_set(error, ERR_MEMORY, "out of memory");
    self->context = context;
    self->name = name;
    snprintf(self->job_id, sizeof self->job_id, "%s", job_id);
    int code = store_pool_take(context->stores, &self->store, error);
    if (code == OK)
        code = fetch(self, error);
    if (code != OK) {
        if (self->store)
            release(self);
        else
            free(self);
        return store_failed(context, code, error);
    }
    response->content_type = "application/x-ndjson";
    response->stream = (http_stream_t){next, release, self};
    return OK;
}
