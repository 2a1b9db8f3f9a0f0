/* cluster_stream.h - every cluster of a job as JSONL, page by page, in bounded memory. */
#ifndef STAGE4_GATEWAY_ROUTES_CLUSTER_STREAM_H
#define STAGE4_GATEWAY_ROUTES_CLUSTER_STREAM_H

#include "gateway/context.h"
#include "gateway/http/message.h"

/* Makes `response` a stream of application/x-ndjson. */
int cluster_stream_new(const gateway_context_t *context, const char *job_id,
                       http_response_t *response, error_t *error);

#endif
