/* service.c - the service about itself: health, statistics, the routes, the API's description. */
#include "common/clock.h"
#include "gateway/openapi.h"
#include "gateway/routes/handlers.h"

#include <dirent.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define SERVICE_NAME "stage4-clustering"
#define HEALTH_TIMEOUT_MS 2000

static int respond_json(json_t *answer, http_response_t *response, error_t *error)
{
    response->body = json_dumps(answer, JSON_COMPACT | JSON_REAL_PRECISION(10));
    json_decref(answer);
    if (!response->body)
        return error_set(error, ERR_MEMORY, "out of memory");
    response->body_length = strlen(response->body);
    return OK;
}

/* What the coordinator says about itself; NULL and `error` when it does not answer. */
static json_t *coordinator_info(const gateway_context_t *context, error_t *error)
{
    char *answer = NULL;
    int timeout_ms = context->coordinator_timeout_ms;
    if (timeout_ms > HEALTH_TIMEOUT_MS)
        timeout_ms = HEALTH_TIMEOUT_MS; /* a probe that waits longer is one that failed */
    if (coordinator_client_call(context->coordinator, VERB_INFO, NULL, NULL, NULL, 0, timeout_ms,
                                &answer, error) != OK)
        return NULL;
    json_t *info = json_loads(answer, 0, NULL);
    free(answer);
    if (!info)
        error_set(error, ERR_PROTOCOL, "its answer is not JSON");
    return info;
}

/* ---- health ---- */

static int check_coordinator(const gateway_context_t *context, error_t *error)
{
    json_t *info = coordinator_info(context, error);
    int code = info ? OK : error->code;
    const char *status = json_string_value(json_object_get(info, "status"));
    if (info && (!status || strcmp(status, "healthy") != 0))
        code = error_set(error, ERR_UNAVAILABLE, "it answers, but cannot use its stores");
    json_decref(info);
    return code;
}

static int ask_ping(result_store_t *store, const char *id, const char *job_id, char **json,
                    error_t *error)
{
    (void)id;
    (void)job_id;
    (void)json;
    return store->verbs->ping(store, error);
}

static int check_store(const gateway_context_t *context, error_t *error)
{
    char *unused = NULL;
    return store_json(context, "", NULL, ask_ping, &unused, error);
}

static int check_indices(const gateway_context_t *context, error_t *error)
{
    DIR *folder = opendir(context->indices_folder);
    if (!folder)
        return error_set(error, ERR_UNAVAILABLE, "the folder of the indices cannot be read");
    closedir(folder);
    return OK;
}

static int check_cache(const gateway_context_t *context, error_t *error)
{
    return context->cache ? context->cache->verbs->ping(context->cache, error) : OK;
}

static const struct {
    const char *name;
    int needed; /* 0: without it the service is only slower */
    int (*check)(const gateway_context_t *context, error_t *error);
} DEPENDENCIES[] = {
    {"coordinator", 1, check_coordinator},
    {"result_store", 1, check_store},
    {"stage3_indices", 1, check_indices},
    {"result_cache", 0, check_cache},
};

static json_t *dependency(int good, int needed, const error_t *why)
{
    json_t *entry = json_pack("{s:s}", "status", good ? "healthy" : "unhealthy");
    if (!good && needed)
        json_object_set_new(entry, "reason", json_string(why->message));
    else if (!good)
        json_object_set_new(entry, "reason",
                            json_sprintf("answers are slower without it: %s", why->message));
    return entry;
}

int service_health(const gateway_context_t *context, const route_request_t *request,
                   http_response_t *response, error_t *error)
{
    json_t *dependencies = json_object();
    int healthy = 1;
    (void)request;
    for (size_t i = 0; i < sizeof DEPENDENCIES / sizeof DEPENDENCIES[0]; i++) {
        error_t why = ERROR_INIT;
        int good = DEPENDENCIES[i].check(context, &why) == OK;
        json_object_set_new(dependencies, DEPENDENCIES[i].name,
                            dependency(good, DEPENDENCIES[i].needed, &why));
        healthy = healthy && (good || !DEPENDENCIES[i].needed);
    }
    response->status = healthy ? 200 : 503;
    return respond_json(json_pack("{s:s, s:s, s:s, s:o}", "status",
                                  healthy ? "healthy" : "unhealthy", "service", SERVICE_NAME,
                                  "version", STAGE4_VERSION, "dependencies", dependencies),
                        response, error);
}

/* ---- statistics ---- */

static json_t *time_value(int64_t time_ms)
{
    char text[32];
    if (time_ms == TIME_NONE)
        return json_null();
    time_format(time_ms, text);
    return json_string(text);
}

static json_t *levels_value(const result_statistics_t *statistics)
{
    json_t *levels = json_object();
    for (int level = 0; level < LEVEL_COUNT; level++)
        json_object_set_new(levels, level_plural((level_t)level),
                            json_pack("{s:I, s:I, s:I, s:o}", "clusters",
                                      (json_int_t)statistics->clusters[level], "members",
                                      (json_int_t)statistics->members[level], "noise",
                                      (json_int_t)statistics->noise[level], "finished_at",
                                      time_value(statistics->newest_ms[level])));
    return levels;
}

static int read_statistics(const gateway_context_t *context, result_statistics_t *out,
                           error_t *error)
{
    result_store_t *store;
    int code = store_pool_take(context->stores, &store, error);
    if (code == OK) {
        code = store->verbs->statistics(store, out, error);
        store_pool_give(context->stores, store, code != OK);
    }
    return store_failed(context, code, error);
}

/* What the coordinator tells that a client has no use for and an intruder has: addresses, and
 * errors of the stores with their paths. */
static const char *const PRIVATE[] = {"client_endpoint", "worker_endpoint", "stores"};

int service_statistics(const gateway_context_t *context, const route_request_t *request,
                       http_response_t *response, error_t *error)
{
    result_statistics_t statistics = {.jobs = 0};
    error_t ignored = ERROR_INIT;
    (void)request;
    int code = read_statistics(context, &statistics, error);
    if (code != OK)
        return code;
    json_t *info = coordinator_info(context, &ignored);
    for (size_t i = 0; info && i < sizeof PRIVATE / sizeof PRIVATE[0]; i++)
        json_object_del(info, PRIVATE[i]);
    return respond_json(json_pack("{s:s, s:s, s:I, s:o, s:o}", "service", SERVICE_NAME, "version",
                                  STAGE4_VERSION, "completed_jobs", (json_int_t)statistics.jobs,
                                  "levels", levels_value(&statistics), "coordinator",
                                  info ? info : json_null()),
                        response, error);
}

/* ---- documentation ---- */

int service_index(const gateway_context_t *context, const route_request_t *request,
                  http_response_t *response, error_t *error)
{
    size_t count;
    const route_t *routes = router_routes(&count);
    json_t *list = json_array();
    (void)context;
    (void)request;
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "method", routes[i].method, "path",
                                              routes[i].pattern, "summary", routes[i].summary));
    return respond_json(json_pack("{s:s, s:s, s:[s,s,s], s:s, s:o}", "service", SERVICE_NAME,
                                  "version", STAGE4_VERSION, "prefixes", "/api/v1/clustering",
                                  "/api/v1", "", "description", "/openapi.yaml", "routes", list),
                        response, error);
}

int service_openapi(const gateway_context_t *context, const route_request_t *request,
                    http_response_t *response, error_t *error)
{
    (void)context;
    (void)request;
    response->body = strndup(openapi_yaml, openapi_yaml_length);
    if (!response->body)
        return error_set(error, ERR_MEMORY, "out of memory");
    response->body_length = openapi_yaml_length;
    response->content_type = "application/yaml";
    return OK;
}
