/* handlers.h - the handlers that the table in router.c names; see docs/openapi.yaml. */
#ifndef STAGE4_GATEWAY_ROUTES_HANDLERS_H
#define STAGE4_GATEWAY_ROUTES_HANDLERS_H

#include "gateway/routes/router.h"

#define HANDLERS(X)                                                                                \
    X(job_submit)                                                                                  \
    X(job_status)                                                                                  \
    X(job_list)                                                                                    \
    X(job_pause)                                                                                   \
    X(job_resume)                                                                                  \
    X(job_retry)                                                                                   \
    X(job_cancel)                                                                                  \
    X(job_results)                                                                                 \
    X(job_dendrogram)                                                                              \
    X(job_pairs)                                                                                   \
    X(cluster_list)                                                                                \
    X(cluster_detail)                                                                              \
    X(cluster_search)                                                                              \
    X(service_health)                                                                              \
    X(service_statistics)                                                                          \
    X(service_metrics)                                                                             \
    X(service_index)                                                                               \
    X(service_openapi)

#define X(name)                                                                                    \
    int name(const gateway_context_t *context, const route_request_t *request,                     \
             http_response_t *response, error_t *error);
HANDLERS(X)
#undef X

/* A store error as a client may see it: the cause, which may hold a path, goes to the log. */
int store_failed(const gateway_context_t *context, int code, error_t *error);
/* Takes a handle, asks for one JSON text with `ask`, gives the handle back. */
int store_json(const gateway_context_t *context, const char *id, const char *job_id,
               int (*ask)(result_store_t *store, const char *id, const char *job_id, char **json,
                          error_t *error),
               char **json, error_t *error);

#endif
