/* router.h - the one table of routes, and the way from a request to its row.
 *
 * Every route answers under /api/v1/clustering, /api/v1 and the bare path (what Traefik forwards
 * after stripping the first). The table is also the index at GET / and what docs/openapi.yaml is
 * checked against (stage4-gateway --routes prints it). */
#ifndef STAGE4_GATEWAY_ROUTES_ROUTER_H
#define STAGE4_GATEWAY_ROUTES_ROUTER_H

#include "gateway/context.h"
#include "gateway/http/message.h"
#include "gateway/http/query.h"

#include <stdio.h>

typedef enum {
    ROLE_OPEN,    /* probes and documentation */
    ROLE_READ,    /* look at jobs and clusters */
    ROLE_SUBMIT,  /* start jobs */
    ROLE_CONTROL, /* pause, resume and cancel them */
    ROLE_COUNT
} route_role_t;

#define ROUTE_ID_SIZE 128

/* What a handler gets beside the request itself. */
typedef struct {
    const http_request_t *http;
    char prefix[32];        /* the one that was stripped: "/api/v1"; "" none */
    char id[ROUTE_ID_SIZE]; /* the {id} of the pattern, decoded and checked; "" none */
    query_t query;          /* its parameters; all of them among the route's */
} route_request_t;

/* OK with `response` filled, or an error that becomes a problem. */
typedef int (*route_handler_t)(const gateway_context_t *context, const route_request_t *request,
                               http_response_t *response, error_t *error);

#define ROUTE_PARAMETER_LIMIT 20

typedef struct {
    const char *method;
    const char *pattern; /* "/cluster/status/{id}" */
    route_handler_t handler;
    route_role_t role;
    int takes_json;                                /* 1: the body must be application/json */
    const char *parameters[ROUTE_PARAMETER_LIMIT]; /* of the query; ends with NULL */
    const char *summary;
} route_t;

const route_t *router_routes(size_t *count);
const char *route_role_name(route_role_t role);
/* The table as text, one route a line: method, path, role, summary, parameters; split by tabs. */
void router_print(FILE *stream);

/* Never fails: what goes wrong is in the response. */
void router_answer(const gateway_context_t *context, const http_request_t *request,
                   http_response_t *response);

#endif
