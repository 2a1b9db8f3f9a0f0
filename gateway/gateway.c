#include "gateway/gateway.h"

#include "common/clock.h"
#include "gateway/context.h"
#include "gateway/http/server.h"
#include "gateway/routes/router.h"

#include <poll.h>
#include <stdio.h>

#define COORDINATOR_TIMEOUT_MS 5000
#define BODY_TIMEOUT_MS 10000
#define STOP_LOOK_MS 50
#define STORE_NAME "stage4.db"

static void answer(void *argument, const http_request_t *request, http_response_t *response)
{
    const gateway_context_t *context = argument;
    int64_t begin_us = clock_monotonic_us();
    router_answer(context, request, response);
    request_counts_add(context->counts, response->pattern,
                       response->status ? response->status : 200,
                       (double)(clock_monotonic_us() - begin_us) / 1e6);
}

#define PATH_SIZE 4096

/* A store that is not there yet is waited for; one that refuses us never will be. `path` stays with
 * the pool. */
static int open_stores(const gateway_options_t *options, result_cache_t *cache,
                       char path[PATH_SIZE], store_pool_t **out, error_t *error)
{
    result_store_options_t results = options->results;
    char words[RESULT_STORE_WORDS_SIZE];
    error_t problem = ERROR_INIT;
    int length = snprintf(path, PATH_SIZE, "%s/%s", options->state_folder, STORE_NAME);
    if (length < 0 || length >= PATH_SIZE)
        return error_field(error, ERR_USAGE, "state", "the name of the state folder is too long");
    results.kind = results.kind ? results.kind : "sqlite";
    results.path = results.path ? results.path : path;
    int code = store_pool_new(&results, cache, out, error);
    if (code != OK)
        return code;
    result_store_describe(&results, words);
    code = store_pool_try(*out, &problem);
    log_event(options->log, code == OK ? LOG_INFO : LOG_WARNING, "result_store",
              LOG_TEXT("results", words), LOG_TEXT("problem", problem.message));
    if (code != ERR_USAGE && code != ERR_CONFLICT)
        return OK;
    if (error)
        *error = problem;
    return code;
}

static int open_cache(const gateway_options_t *options, result_cache_t **out, error_t *error)
{
    char words[RESULT_STORE_WORDS_SIZE];
    if (!options->cache.kind)
        return OK;
    int code = result_cache_open(&options->cache, out, error);
    result_cache_describe(&options->cache, words);
    if (code == OK)
        log_event(options->log, LOG_INFO, "result_cache", LOG_TEXT("result_cache", words));
    return code;
}

static int serve(const gateway_options_t *options, gateway_context_t *context,
                 const atomic_int *stop, error_t *error)
{
    http_server_t *server = NULL;
    const http_options_t http = {
        .listen = options->http_listen,
        .body_timeout_ms = options->body_timeout_ms ? options->body_timeout_ms : BODY_TIMEOUT_MS,
        .handler = answer,
        .context = context,
        .log = options->log,
    };
    int code = http_server_new(&http, &server, error);
    if (code != OK)
        return code;
    if (options->port)
        atomic_store(options->port, http_server_port(server));
    log_event(options->log, LOG_INFO, "listening", LOG_TEXT("http_listen", options->http_listen),
              LOG_INT("port", http_server_port(server)));
    while (!atomic_load(stop))
        poll(NULL, 0, STOP_LOOK_MS);
    log_event(options->log, LOG_INFO, "stopping", LOG_INT("port", http_server_port(server)));
    http_server_destroy(&server);
    return OK;
}

int gateway_run(const gateway_options_t *options, const atomic_int *stop, error_t *error)
{
    gateway_context_t context = {
        .indices_folder = options->indices_folder,
        .coordinator_timeout_ms = options->coordinator_timeout_ms ? options->coordinator_timeout_ms
                                                                  : COORDINATOR_TIMEOUT_MS,
        .log = options->log,
    };
    char path[PATH_SIZE];
    int code = request_counts_new(&context.counts, error);
    if (code == OK)
        code = open_cache(options, &context.cache, error);
    if (code == OK)
        code = open_stores(options, context.cache, path, &context.stores, error);
    if (code == OK)
        code = coordinator_client_new(options->client_endpoint, &context.coordinator, error);
    if (code == OK)
        code = serve(options, &context, stop, error);
    coordinator_client_destroy(&context.coordinator);
    store_pool_destroy(&context.stores);
    if (context.cache)
        context.cache->verbs->close(&context.cache);
    request_counts_destroy(&context.counts);
    return code;
}
