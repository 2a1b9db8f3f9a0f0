/* cli.h - the stage4 command: its subcommands are one table (commands.c), from which dispatch and
 * usage are made.
 *
 * A subcommand writes what was asked for to `out` and everything else to `notes`. It returns an
 * error code; cli_main prints the message as one line and gives the exit status that belongs to
 * the code (error_exit_code), or 128 plus the signal's number when a signal ended the command. */
#ifndef STAGE4_CLI_CLI_H
#define STAGE4_CLI_CLI_H

#include "common/config.h"
#include "common/error.h"

#include <stdatomic.h>
#include <stdio.h>

typedef struct {
    const config_t *config;
    const atomic_int *stop; /* the number of the signal that asks the command to end; 0 none */
    FILE *out;
    FILE *notes;
} cli_t;

typedef struct {
    const char *name;
    unsigned role; /* which settings it takes: a set of config.h's roles */
    int (*run)(const cli_t *cli, error_t *error);
    const char *arguments; /* "JOB"; "" none */
    size_t arguments_min, arguments_max;
    const char *help;  /* one line */
    const char *notes; /* more for `stage4 help NAME`; NULL none */
} cli_command_t;

/* The table; ends with a row whose name is NULL. */
const cli_command_t *cli_commands(void);
const cli_command_t *cli_find(const char *name); /* NULL: no such subcommand */

void cli_usage(FILE *out);
void cli_command_usage(const cli_command_t *command, FILE *out);

/* Runs one command line (argv[0] is the program) and returns the exit status. `stop` as in cli_t.
 */
int cli_main(int argc, char *const *argv, const atomic_int *stop, FILE *out, FILE *notes);

/* The subcommands. */
int cli_run(const cli_t *cli, error_t *error);
int cli_serve(const cli_t *cli, error_t *error);
int cli_submit(const cli_t *cli, error_t *error);
int cli_status(const cli_t *cli, error_t *error);
int cli_pause(const cli_t *cli, error_t *error);
int cli_resume(const cli_t *cli, error_t *error);
int cli_retry(const cli_t *cli, error_t *error);
int cli_cancel(const cli_t *cli, error_t *error);
int cli_results(const cli_t *cli, error_t *error);
int cli_pairs(const cli_t *cli, error_t *error);
int cli_dendrogram(const cli_t *cli, error_t *error);
int cli_clusters(const cli_t *cli, error_t *error);
int cli_inspect(const cli_t *cli, error_t *error);
int cli_version(const cli_t *cli, error_t *error);
int cli_help(const cli_t *cli, error_t *error);

#endif
