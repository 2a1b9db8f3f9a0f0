#include "cli/cli.h"

#include "coordinator/core/job_state.h"
#include "proto/job_spec.h"

#include <signal.h>
#include <string.h>

void cli_usage(FILE *out)
{
    fputs("usage: stage4 COMMAND [OPTION...]\n\ncommands:\n", out);
    for (const cli_command_t *command = cli_commands(); command->name; command++) {
        char name[40];
        snprintf(name, sizeof name, "%s %s", command->name, command->arguments);
        fprintf(out, "  %-20s %s\n", name, command->help);
    }
    fputs(
        "\n`stage4 help COMMAND` lists its options. Every option may also be set as STAGE4_NAME in"
        " the\nenvironment or as `name: value` in the file that --config or STAGE4_CONFIG names.\n",
        out);
}

static void exit_codes(FILE *out)
{
    fputs("\nexit status: 0 ok", out);
    for (int code = OK + 1; code < ERROR_CODE_COUNT; code++)
        fprintf(out, "%s%d %s", code % 5 ? ", " : ",\n  ", error_exit_code(code),
                error_title(code));
    fputs(",\n  128 + n ended by signal n\n", out);
}

void cli_command_usage(const cli_command_t *command, FILE *out)
{
    fprintf(out, "usage: stage4 %s%s%s [OPTION...]\n\n%s\n\noptions:\n", command->name,
            *command->arguments ? " " : "", command->arguments, command->help);
    config_help(command->role, out);
    if (command->notes)
        fprintf(out, "\n%s", command->notes);
    exit_codes(out);
}

/* "--min-cluster-size 5" is a likely slip: say how a parameter is given. */
static void hint_at_param(error_t *error)
{
    for (int algorithm = 0; algorithm < ALGORITHM_COUNT; algorithm++) {
        job_spec_t spec;
        char given[64];
        char name[64];
        snprintf(given, sizeof given, "%s", error->field);
        snprintf(name, sizeof name, "%s", error->field);
        for (char *c = name; *c; c++)
            *c = *c == '-' ? '_' : *c;
        job_spec_init(&spec);
        spec.algorithm = (algorithm_t)algorithm;
        int known = job_spec_set_param(&spec, name, "2", NULL) == OK;
        job_spec_clear(&spec);
        if (known) {
            error_field(error, ERR_USAGE, name,
                        "option --%s is not known here; a parameter of %s is given as "
                        "--param %s=N",
                        given, algorithm_name((algorithm_t)algorithm), name);
            return;
        }
    }
}

static int check_arguments(const cli_command_t *command, const config_t *config, error_t *error)
{
    const char *const *words;
    size_t count = config_positional(config, &words);
    if (count > command->arguments_max)
        return error_field(error, ERR_USAGE, words[command->arguments_max],
                           "%s: '%s' is one argument too many; options begin with --",
                           command->name, words[command->arguments_max]);
    if (count < command->arguments_min)
        return error_set(error, ERR_USAGE, "%s needs %s; `stage4 help %s` says more", command->name,
                         command->arguments, command->name);
    return OK;
}

static int run_command(const cli_command_t *command, int argc, char *const *argv, cli_t *cli,
                       error_t *error)
{
    config_t *config = NULL;
    int code = config_load(command->role, argc, argv, &config, error);
    if (code && (command->role & (CONFIG_RUN | CONFIG_SUBMIT)) && *error->field)
        hint_at_param(error);
    if (!code)
        code = check_arguments(command, config, error);
    cli->config = config;
    if (!code)
        code = command->run(cli, error);
    if (!code && fflush(cli->out))
        code = error_set(error, ERR_IO, "standard output cannot be written");
    config_destroy(&config);
    return code;
}

/* A message is one line, whatever it quotes. */
static void print_error(const error_t *error, FILE *notes)
{
    fputs("stage4: ", notes);
    for (const char *c = *error->message ? error->message : error_title(error->code); *c; c++)
        fputc((unsigned char)*c < 0x20 || *c == 0x7f ? ' ' : *c, notes);
    fputc('\n', notes);
}

static int unknown_command(const char *name, FILE *notes)
{
    error_t error = ERROR_INIT;
    error_field(&error, ERR_USAGE, name, "'%s' is no command; `stage4 help` lists them", name);
    print_error(&error, notes);
    return error_exit_code(ERR_USAGE);
}

int cli_main(int argc, char *const *argv, const atomic_int *stop, FILE *out, FILE *notes)
{
    cli_t cli = {.stop = stop, .out = out, .notes = notes};
    error_t error = ERROR_INIT;
    if (argc < 2) {
        cli_usage(notes);
        return error_exit_code(ERR_USAGE);
    }
    const char *name = argv[1];
    if (!strcmp(name, "--help") || !strcmp(name, "-h"))
        name = "help";
    if (!strcmp(name, "--version"))
        name = "version";
    const cli_command_t *command = cli_find(name);
    if (!command)
        return unknown_command(name, notes);
    if (config_help_wanted(argc - 2, argv + 2)) {
        cli_command_usage(command, out);
        return 0;
    }
    if (command->role & (CONFIG_CLIENT | CONFIG_INSPECT))
        signal(SIGPIPE, SIG_DFL); /* `stage4 results JOB | head` ends quietly */
    int code = run_command(command, argc - 2, argv + 2, &cli, &error);
    if (code)
        print_error(&error, notes);
    int ended_by = atomic_load(stop);
    return code == ERR_CANCELLED && ended_by ? 128 + ended_by : error_exit_code(code);
}

int cli_help(const cli_t *cli, error_t *error)
{
    const char *const *words;
    if (!config_positional(cli->config, &words)) {
        cli_usage(cli->out);
        return OK;
    }
    if (!strcmp(words[0], "settings")) {
        config_markdown(cli->out);
        return OK;
    }
    if (!strcmp(words[0], "states")) {
        job_state_markdown(cli->out);
        return OK;
    }
    const cli_command_t *command = cli_find(words[0]);
    if (!command)
        return error_field(error, ERR_USAGE, words[0],
                           "'%s' is no command; `stage4 help` lists "
                           "them",
                           words[0]);
    cli_command_usage(command, cli->out);
    return OK;
}
