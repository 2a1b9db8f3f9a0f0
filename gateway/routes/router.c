#include "gateway/routes/router.h"

#include "gateway/routes/handlers.h"
#include "gateway/routes/problem.h"
#include "proto/nearest.h"

#include <string.h>
#include <strings.h>

#define FILTERS                                                                                    \
    "cursor", "document_id", "domain", "embedding_type", "entity", "entity_type", "event_type",    \
        "from", "include", "job_id", "limit", "member_id", "size_max", "size_min", "text", "to"

static const route_t ROUTES[] = {
    {"POST", "/cluster/batch", job_submit, ROLE_SUBMIT, 1, {NULL}, "Submit a clustering job"},
    {"POST", "/batch", job_submit, ROLE_SUBMIT, 1, {NULL}, "Another name of /cluster/batch"},
    {"GET", "/cluster/status/{id}", job_status, ROLE_READ, 0, {NULL}, "State of a job"},
    {"GET", "/cluster/jobs", job_list, ROLE_READ, 0, {"cursor", "limit", "state"}, "List jobs"},
    {"POST", "/cluster/pause/{id}", job_pause, ROLE_CONTROL, 0, {NULL}, "Pause a job"},
    {"POST", "/cluster/resume/{id}", job_resume, ROLE_CONTROL, 0, {NULL}, "Resume a paused job"},
    {"POST", "/cluster/cancel/{id}", job_cancel, ROLE_CONTROL, 0, {NULL}, "Cancel a job"},
    {"POST", "/cluster/retry/{id}", job_retry, ROLE_CONTROL, 0, {NULL}, "Retry a failed job"},
    {"GET",
     "/cluster/results/{id}",
     job_results,
     ROLE_READ,
     0,
     {"cursor", "format", "include", "limit"},
     "Clusters of a completed job"},
    {"GET",
     "/cluster/dendrogram/{id}",
     job_dendrogram,
     ROLE_READ,
     0,
     {NULL},
     "Trees of a completed agglomerative job"},
    {"GET",
     "/cluster/pairs/{id}",
     job_pairs,
     ROLE_READ,
     0,
     {NULL},
     "Pairs of a completed pairs job"},
    {"GET", "/clusters", cluster_list, ROLE_READ, 0, {FILTERS}, "List clusters"},
    {"GET", "/clusters/{id}", cluster_detail, ROLE_READ, 0, {"job_id"}, "One cluster, whole"},
    {"POST", "/clusters/search", cluster_search, ROLE_READ, 1, {NULL}, "Search clusters"},
    {"GET", "/health", service_health, ROLE_OPEN, 0, {NULL}, "Health and dependencies"},
    {"GET", "/statistics", service_statistics, ROLE_READ, 0, {NULL}, "Clusters, jobs, workers"},
    {"GET", "/metrics", service_metrics, ROLE_READ, 0, {NULL}, "Metrics for Prometheus"},
    {"GET", "/openapi.yaml", service_openapi, ROLE_OPEN, 0, {NULL}, "This API, described"},
    {"GET", "/", service_index, ROLE_OPEN, 0, {NULL}, "The routes of this service"},
};

#define ROUTE_COUNT (sizeof ROUTES / sizeof ROUTES[0])

static const char *const PREFIXES[] = {"/api/v1/clustering", "/api/v1", ""};

const route_t *router_routes(size_t *count)
{
    *count = ROUTE_COUNT;
    return ROUTES;
}

const char *route_role_name(route_role_t role)
{
    static const char *const NAMES[ROLE_COUNT] = {"open", "read", "submit", "control"};
    return NAMES[role];
}

void router_print(FILE *stream)
{
    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        fprintf(stream, "%s\t%s\t%s\t%s\t", ROUTES[i].method, ROUTES[i].pattern,
                route_role_name(ROUTES[i].role), ROUTES[i].summary);
        for (size_t k = 0; ROUTES[i].parameters[k]; k++)
            fprintf(stream, "%s%s", k ? "," : "", ROUTES[i].parameters[k]);
        fputc('\n', stream);
    }
}

/* ---- from a path to routes ---- */

/* What follows the prefix, "/" for nothing; NULL when the path does not begin with it. */
static const char *strip(const char *path, const char *prefix)
{
    size_t length = strlen(prefix);
    if (strncmp(path, prefix, length) != 0)
        return NULL;
    if (path[length] == '\0')
        return "/";
    return path[length] == '/' ? path + length : NULL;
}

/* 1 when the path fits; *id is the raw segment in the place of {id}, NULL when there is none. */
static int fits(const char *pattern, const char *path, const char **id, size_t *id_length)
{
    const char *brace = strchr(pattern, '{');
    *id = NULL;
    if (!brace)
        return strcmp(pattern, path) == 0;
    size_t length = (size_t)(brace - pattern);
    if (strncmp(pattern, path, length) != 0)
        return 0;
    *id = path + length;
    *id_length = strlen(*id);
    return *id_length > 0 && !strchr(*id, '/');
}

typedef struct {
    const route_t *route; /* NULL: no route has this path and method */
    int path_known;
    const char *prefix;
    const char *id;
    size_t id_length;
    char allow[64];
} match_t;

static int same_method(const char *asked, const char *method)
{
    return strcmp(asked, method) == 0 || (strcmp(asked, "HEAD") == 0 && strcmp(method, "GET") == 0);
}

/* A literal segment goes before {id}: "/clusters/search" is no cluster named search. */
static int is_shadowed(const route_t *route, const char *path)
{
    for (size_t i = 0; i < ROUTE_COUNT; i++)
        if (strchr(route->pattern, '{') && strcmp(ROUTES[i].pattern, path) == 0)
            return 1;
    return 0;
}

static void allow_method(match_t *match, const char *method)
{
    size_t used = strlen(match->allow);
    snprintf(match->allow + used, sizeof match->allow - used, "%s%s", used ? ", " : "", method);
    if (strcmp(method, "GET") == 0)
        allow_method(match, "HEAD");
}

static match_t find_route(const char *method, const char *path)
{
    match_t match = {.route = NULL};
    for (size_t p = 0; p < sizeof PREFIXES / sizeof PREFIXES[0] && !match.path_known; p++) {
        const char *rest = strip(path, PREFIXES[p]);
        for (size_t i = 0; rest && i < ROUTE_COUNT; i++) {
            const char *id;
            size_t id_length = 0;
            if (!fits(ROUTES[i].pattern, rest, &id, &id_length) || is_shadowed(&ROUTES[i], rest))
                continue;
            match.path_known = 1;
            match.prefix = PREFIXES[p];
            allow_method(&match, ROUTES[i].method);
            if (same_method(method, ROUTES[i].method)) {
                match.route = &ROUTES[i];
                match.id = id;
                match.id_length = id_length;
            }
        }
    }
    return match;
}

/* ---- checks before a handler ---- */

static int check_id(const match_t *match, char out[ROUTE_ID_SIZE], error_t *error)
{
    out[0] = '\0';
    if (!match->id)
        return OK;
    if (percent_decode(match->id, match->id_length, 0, out, ROUTE_ID_SIZE) &&
        out[strspn(out, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.:")] ==
            '\0')
        return OK;
    return error_field(error, ERR_USAGE, "id",
                       "an id has 1 to %d letters, digits, '_', '-', '.' or ':'",
                       ROUTE_ID_SIZE - 1);
}

static int check_parameters(const route_t *route, const query_t *query, error_t *error)
{
    size_t known = 0;
    while (route->parameters[known])
        known++;
    for (size_t i = 0; i < query->count; i++) {
        const char *name = query->entries[i].name;
        char hint[320] = "; this route has none";
        size_t k = 0;
        while (k < known && strcmp(route->parameters[k], name) != 0)
            k++;
        if (k < known)
            continue;
        if (known)
            nearest_hint(name, route->parameters, known, hint, sizeof hint);
        return error_field(error, ERR_USAGE, name, "%.48s is not a known parameter%s", name, hint);
    }
    return OK;
}

/* "application/json", with or without parameters such as a charset. */
static int is_json(const char *content_type)
{
    size_t length = strcspn(content_type, "; \t");
    return length == 16 && strncasecmp(content_type, "application/json", length) == 0;
}

/* *status: 415 when that is what is wrong. */
static int check_body(const route_t *route, const http_request_t *request, int *status,
                      error_t *error)
{
    if (request->body_length == 0)
        return OK;
    if (!route->takes_json)
        return error_set(error, ERR_USAGE, "this route takes no body");
    if (is_json(request->content_type))
        return OK;
    *status = 415;
    return error_field(error, ERR_USAGE, "Content-Type",
                       "the body must be application/json, and Content-Type must say so");
}

static int dispatch(const gateway_context_t *context, const http_request_t *request,
                    const match_t *match, http_response_t *response, int *status, error_t *error)
{
    route_request_t routed = {.http = request};
    snprintf(routed.prefix, sizeof routed.prefix, "%s", match->prefix);
    int code = check_id(match, routed.id, error);
    if (code == OK)
        code = query_parse(request->query, &routed.query, error);
    if (code == OK)
        code = check_parameters(match->route, &routed.query, error);
    if (code == OK)
        code = check_body(match->route, request, status, error);
    if (code == OK)
        code = match->route->handler(context, &routed, response, error);
    return code;
}

static void refuse(const match_t *match, const http_request_t *request, http_response_t *response,
                   error_t *error)
{
    if (match->path_known) {
        snprintf(response->allow, sizeof response->allow, "%s, OPTIONS", match->allow);
        error_set(error, ERR_USAGE, "this path answers to %s", response->allow);
        problem_respond(response, request->path, 405, error);
        return;
    }
    error_set(error, ERR_NOT_FOUND, "no such path; GET / lists the routes");
    problem_respond(response, request->path, 404, error);
}

void router_answer(const gateway_context_t *context, const http_request_t *request,
                   http_response_t *response)
{
    error_t error = ERROR_INIT;
    int status = 0;
    match_t match = find_route(request->method, request->path);
    response->pattern = match.route ? match.route->pattern : "";
    if (match.path_known && strcmp(request->method, "OPTIONS") == 0) {
        response->status = 204;
        snprintf(response->allow, sizeof response->allow, "%s, OPTIONS", match.allow);
    } else if (!match.route) {
        refuse(&match, request, response, &error);
    } else if (dispatch(context, request, &match, response, &status, &error) != OK) {
        problem_respond(response, request->path, status, &error);
    }
}
