/* stage4-worker: computes tasks for a coordinator. */
#include "common/arenas.h"
#include "common/config.h"
#include "common/net/socket.h"
#include "common/net/stop_signal.h"
#include "worker/worker.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>

static int help(void)
{
    puts("usage: stage4-worker [options]\n\n"
         "Computes tasks for the coordinator at worker_endpoint. Any number of workers may run;\n"
         "each needs to see the same index files.\n"
         "\noptions:");
    config_help(CONFIG_WORKER, stdout);
    return 0;
}

static int fail(const error_t *error)
{
    fprintf(stderr, "stage4-worker: %s\n", error->message);
    return error_exit_code(error->code);
}

/* The processors this process may run on, which in a container are fewer than the machine has. */
static uint32_t processors(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    int count = sched_getaffinity(0, sizeof set, &set) ? 1 : CPU_COUNT(&set);
    return count > 0 ? (uint32_t)count : 1;
}

static int run(const config_t *config, const atomic_int *stop, error_t *error)
{
    log_level_t level;
    if (!log_level_parse(config_text(config, "log_level"), &level))
        return error_field(error, ERR_USAGE, "log_level",
                           "log_level must be debug, info, warning, error or off");
    log_t *log = log_new(stdout, level, "stage4-worker");
    uint32_t threads = (uint32_t)config_integer(config, "threads");
    worker_options_t options = {.endpoint = config_text(config, "worker_endpoint"),
                                .indices_folder = config_text(config, "indices"),
                                .threads = threads ? threads : processors(),
                                .cache_bytes = (size_t)config_integer(config, "cache_mib") << 20,
                                .vectors_bytes = (size_t)config_integer(config, "vectors_mib")
                                                 << 20,
                                .log = log};
    int code = worker_run(&options, stop, error);
    if (code)
        log_event(log, LOG_ERROR, "worker_failed", LOG_TEXT("code", error_name(code)),
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
    arenas_few();
    if (config_help_wanted(argc - 1, argv + 1))
        return help();
    if (argc == 2 && !strcmp(argv[1], "--version"))
        return printf("stage4-worker %s\n", STAGE4_VERSION) < 0;
    int code = config_load(CONFIG_WORKER, argc - 1, argv + 1, &config, &error);
    if (!code)
        code = stop_signal_new(&stop, &signals, &error);
    if (!code)
        code = run(config, &stop, &error);
    stop_signal_destroy(&signals);
    config_destroy(&config);
    return code ? fail(&error) : 0;
}
