/* stage4-coordinator: plans jobs, hands out their tasks, writes their results. */
#include "common/arenas.h"
#include "common/config.h"
#include "common/net/socket.h"
#include "common/net/stop_signal.h"
#include "coordinator/coordinator.h"

#include <stdio.h>
#include <string.h>

#define DEFAULT_STATE "data/state"

static int help(void)
{
    puts("usage: stage4-coordinator [options]\n\n"
         "Takes jobs from gateways and hands their tasks to workers. One runs for a state folder.\n"
         "\noptions:");
    config_help(CONFIG_COORDINATOR, stdout);
    return 0;
}

static int fail(const error_t *error)
{
    fprintf(stderr, "stage4-coordinator: %s\n", error->message);
    return error_exit_code(error->code);
}

static uint64_t memory_limit(const config_t *config)
{
    uint64_t mib = (uint64_t)config_integer(config, "memory_limit_mib");
    return mib ? mib << 20 : memory_of_machine();
}

static int run(const config_t *config, const atomic_int *stop, error_t *error)
{
    log_level_t level;
    const char *state = config_text(config, "state");
    char ledger_secret[CONFIG_SECRET_SIZE];
    char results_secret[CONFIG_SECRET_SIZE];
    if (!log_level_parse(config_text(config, "log_level"), &level))
        return error_field(error, ERR_USAGE, "log_level",
                           "log_level must be debug, info, warning, error or off");
    log_t *log = log_new(stdout, level, "stage4-coordinator");
    coordinator_options_t options = {
        .client_endpoint = config_text(config, "client_endpoint"),
        .worker_endpoint = config_text(config, "worker_endpoint"),
        .indices_folder = config_text(config, "indices"),
        .state_folder = state ? state : DEFAULT_STATE,
        .output_folder = config_text(config, "output_folder"),
        .queue_limit = (uint32_t)config_integer(config, "queue_limit"),
        .running_limit = (uint32_t)config_integer(config, "running_limit"),
        .matrix_bytes = (uint64_t)config_integer(config, "matrix_mib") << 20,
        .retry_limit = (uint32_t)config_integer(config, "retry_limit"),
        .memory = {.limit = memory_limit(config)},
        .retention_days = (int32_t)config_integer(config, "retention_days"),
        .catalog_days = (int32_t)config_integer(config, "catalog_days"),
        .log = log};
    int code = ledger_configure(config, ledger_secret, &options.ledger, error);
    if (!code)
        code = result_store_configure(config, results_secret, &options.results, error);
    if (!code)
        code = coordinator_run(&options, stop, error);
    if (code)
        log_event(log, LOG_ERROR, "coordinator_failed", LOG_TEXT("code", error_name(code)),
                  LOG_TEXT("error", error->message));
    log_destroy(&log);
    return code;
}

int main(int argc, char **argv)
{
    atomic_int stop = 0;
    stop_signal_t *signals = NULL;
    config_t *config = NULL;
    error_t error = ERROR_INIT;
    arenas_uncached(argv);
    arenas_few();
    if (config_help_wanted(argc - 1, argv + 1))
        return help();
    if (argc == 2 && !strcmp(argv[1], "--version"))
        return printf("stage4-coordinator %s\n", STAGE4_VERSION) < 0;
    int code = config_load(CONFIG_COORDINATOR, argc - 1, argv + 1, &config, &error);
    if (!code)
        code = stop_signal_new(&stop, &signals, &error);
    if (!code)
        code = run(config, &stop, &error);
    stop_signal_destroy(&signals);
    config_destroy(&config);
    return code ? fail(&error) : 0;
}
