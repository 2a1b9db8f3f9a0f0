#include "cli/cli.h"

#include "cli/embedded.h"
#include "common/net/actor.h"
#include "gateway/gateway.h"

#include <poll.h>
#include <string.h>

#define LOOK_MS 50

/* The gateway's thread. `code` and `error` are its own until `ended` is set. */
typedef struct {
    gateway_options_t options;
    atomic_int stop;
    atomic_int ended;
    atomic_int port; /* 0: does not listen yet */
    int code;
    error_t error;
} gateway_thread_t;

static void be_gateway(net_pipe_t *pipe, void *argument)
{
    gateway_thread_t *self = argument;
    void *item;
    self->code = gateway_run(&self->options, &self->stop, &self->error);
    atomic_store(&self->ended, 1);
    while (net_pipe_take(pipe, -1, &item) >= 0)
        ;
}

static void discard(void *item) { (void)item; }

/* Once, as soon as it is true. */
static void say_where(const cli_t *cli, gateway_thread_t *gateway, int *said)
{
    int port = atomic_load(&gateway->port);
    if (*said || !port)
        return;
    const char *listen = gateway->options.http_listen;
    const char *colon = strrchr(listen, ':');
    fprintf(cli->notes, "stage4: serving on http://%.*s:%d, state in %s; Ctrl-C ends it\n",
            colon ? (int)(colon - listen) : 0, listen, port, gateway->options.state_folder);
    *said = 1;
}

/* Until a signal comes, or a part ends by itself. */
static int watch(const cli_t *cli, embedded_t *embedded, gateway_thread_t *gateway, error_t *error)
{
    int said = 0;
    while (!atomic_load(cli->stop)) {
        say_where(cli, gateway, &said);
        int code = embedded_check(embedded, error);
        if (code)
            return code;
        if (atomic_load(&gateway->ended)) {
            *error = gateway->error;
            return gateway->code;
        }
        poll(NULL, 0, LOOK_MS);
    }
    return OK;
}

static int serve(const cli_t *cli, const embedded_options_t *options,
                 const result_cache_options_t *cache, error_t *error)
{
    embedded_t *embedded = NULL;
    net_actor_t *actor = NULL;
    int code = embedded_start(options, &embedded, error);
    if (code)
        return code;
    gateway_thread_t gateway = {
        .options = {.http_listen = config_text(cli->config, "http_listen"),
                    .client_endpoint = embedded_client_endpoint(embedded),
                    .indices_folder = options->indices_folder,
                    .state_folder = options->state_folder,
                    .results = options->results,
                    .cache = *cache,
                    .log = options->log},
        .error = ERROR_INIT,
    };
    gateway.options.port = &gateway.port;
    code = net_actor_new(be_gateway, &gateway, discard, &actor, error);
    if (!code)
        code = watch(cli, embedded, &gateway, error);
    atomic_store(&gateway.stop, 1);
    net_actor_destroy(&actor);
    embedded_stop(&embedded);
    return code;
}

int cli_serve(const cli_t *cli, error_t *error)
{
    const config_t *config = cli->config;
    const char *state = config_text(config, "state");
    log_level_t level;
    if (!log_level_parse(config_text(config, "log_level"), &level))
        return error_field(error, ERR_USAGE, "log_level",
                           "log_level: '%s' is not debug, info, warning, error or off",
                           config_text(config, "log_level"));
    embedded_options_t options = {
        .indices_folder = config_text(config, "indices"),
        .state_folder = state ? state : "data/state",
        .output_folder = config_text(config, "output_folder"),
        .workers = (uint32_t)config_integer(config, "workers"),
        .threads = (uint32_t)config_integer(config, "threads"),
        .cache_bytes = (size_t)config_integer(config, "cache_mib") << 20,
        .vectors_bytes = (size_t)config_integer(config, "vectors_mib") << 20,
        .memory_limit_mib = (uint64_t)config_integer(config, "memory_limit_mib"),
        .queue_limit = (uint32_t)config_integer(config, "queue_limit"),
        .running_limit = (uint32_t)config_integer(config, "running_limit"),
        .matrix_bytes = (uint64_t)config_integer(config, "matrix_mib") << 20,
        .retry_limit = (uint32_t)config_integer(config, "retry_limit"),
        .retention_days = (int32_t)config_integer(config, "retention_days"),
        .catalog_days = (int32_t)config_integer(config, "catalog_days"),
    };
    char ledger_secret[CONFIG_SECRET_SIZE];
    char results_secret[CONFIG_SECRET_SIZE];
    char cache_secret[CONFIG_SECRET_SIZE];
    result_cache_options_t cache;
    int code = ledger_configure(config, ledger_secret, &options.ledger, error);
    if (!code)
        code = result_store_configure(config, results_secret, &options.results, error);
    if (!code)
        code = result_cache_configure(config, cache_secret, &cache, error);
    if (code)
        return code;
    options.log = log_new(cli->out, level, "stage4");
    if (!options.log)
        return error_set(error, ERR_MEMORY, "no memory for the log");
    code = serve(cli, &options, &cache, error);
    log_destroy(&options.log);
    return code;
}
