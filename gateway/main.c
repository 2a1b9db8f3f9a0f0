/* stage4-gateway: the REST API in front of a coordinator. */
#include "common/arenas.h"
#include "common/config.h"
#include "common/log.h"
#include "common/net/stop_signal.h"
#include "gateway/gateway.h"
#include "gateway/routes/router.h"
#include "proto/job_spec.h"

#include <stdio.h>
#include <string.h>

#define STATE_DEFAULT "data/state"

static void print_help(void)
{
    puts("stage4-gateway - the REST API of the Stage 4 clustering service\n"
         "\n"
         "  stage4-gateway [OPTIONS]\n"
         "  stage4-gateway --routes      print the table of routes\n"
         "  stage4-gateway --job-fields  print what a job may say, as API.md has it\n"
         "  stage4-gateway --version\n");
    config_help(CONFIG_GATEWAY, stdout);
}

static int run(const config_t *config, error_t *error)
{
    const char *state = config_text(config, "state");
    log_level_t level;
    atomic_int stop = 0;
    stop_signal_t *signals = NULL;
    if (!log_level_parse(config_text(config, "log_level"), &level))
        return error_field(error, ERR_USAGE, "log_level",
                           "log_level must be debug, info, warning, error or off");
    log_t *log = log_new(stdout, level, "stage4-gateway");
    char secret[CONFIG_SECRET_SIZE], cache_secret[CONFIG_SECRET_SIZE];
    gateway_options_t options = {
        .http_listen = config_text(config, "http_listen"),
        .client_endpoint = config_text(config, "client_endpoint"),
        .indices_folder = config_text(config, "indices"),
        .state_folder = state ? state : STATE_DEFAULT,
        .log = log,
    };
    int code = result_store_configure(config, secret, &options.results, error);
    if (code == OK)
        code = result_cache_configure(config, cache_secret, &options.cache, error);
    if (code == OK)
        code = stop_signal_new(&stop, &signals, error);
    if (code == OK)
        code = gateway_run(&options, &stop, error);
    stop_signal_destroy(&signals);
    log_destroy(&log);
    return code;
}

/* 1 when the command only asked for a text. */
static int print_only(int argc, char **argv)
{
    const char *only = argc == 2 ? argv[1] : "";
    if (config_help_wanted(argc - 1, argv + 1))
        print_help();
    else if (strcmp(only, "--routes") == 0)
        router_print(stdout);
    else if (strcmp(only, "--job-fields") == 0)
        job_spec_describe(stdout);
    else if (strcmp(only, "--version") == 0)
        puts("stage4-gateway " STAGE4_VERSION);
    else
        return 0;
    return 1;
}

int main(int argc, char **argv)
{
    config_t *config = NULL;
    error_t error = ERROR_INIT;
    arenas_uncached(argv);
    arenas_few();
    if (print_only(argc, argv))
        return 0;
    int code = config_load(CONFIG_GATEWAY, argc - 1, argv + 1, &config, &error);
    if (code == OK)
        code = run(config, &error);
    config_destroy(&config);
    if (code != OK)
        fprintf(stderr, "stage4-gateway: %s\n", error.message);
    return error_exit_code(code);
}
