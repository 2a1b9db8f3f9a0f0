/* text_stream.h - a text of a completed job (its dendrogram) from the result store, streamed. */
#ifndef STAGE4_GATEWAY_ROUTES_TEXT_STREAM_H
#define STAGE4_GATEWAY_ROUTES_TEXT_STREAM_H

#include "gateway/context.h"
#include "gateway/http/message.h"

/* `name` is borrowed for ever. ERR_NOT_FOUND when the store has no such text of the job. */
int text_stream_new(const gateway_context_t *context, const char *job_id, const char *name,
                    http_response_t *response, error_t *error);

#endif
