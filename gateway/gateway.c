#include "gateway/gateway.h"

#include "gateway/context.h"
#include "gateway/http/server.h"
#include "gateway/routes/router.h"

#include <poll.h>
#include <stdio.h>

#define COORDINATOR_TIMEOUT_MS 5000
#define BODY_TIMEOUT_MS 10000
#define STOP_LOOK_MS 50
#define STORE_NAME "stage4.db"

static void answer(void *context, const http_request_t *request, http_response_t *response)
{
    router_answer(context, request, response);
}

static int open_stores(const char *state_folder, store_pool_t **out, error_t *error)
{
    char path[4096];
    int length = snprintf(path, sizeof path, "%s/%s", state_folder, STORE_NAME);
    if (length < 0 || (size_t)length >= sizeof path)
        return error_field(error, ERR_USAGE, "state", "the name of the state folder is too long");
    return store_pool_new(path, out, error);
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
    int code = open_stores(options->state_folder, &context.stores, error);
    if (code == OK)
        code = coordinator_client_new(options->client_endpoint, &context.coordinator, error);
    if (code == OK)
        code = serve(options, &context, stop, error);
    coordinator_client_destroy(&context.coordinator);
    store_pool_destroy(&context.stores);
    return code;
}
