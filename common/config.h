/* config.h - settings of every program, from one table (config_keys.c).
 *
 * A value comes from, first found: the flag (--threads 2 or --threads=2), the environment
 * (STAGE4_THREADS, or the key's second name such as STAGE3_INDICES_PATH), the YAML file given by
 * --config or STAGE4_CONFIG (a flat mapping: "threads: 2"), the default. A flag or a key of the
 * file that is not in the table, or not of that program, is ERR_USAGE and names what is near it.
 * --help texts and the documentation are printed from the same table. */
#ifndef STAGE4_COMMON_CONFIG_H
#define STAGE4_COMMON_CONFIG_H

#include "common/error.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef enum {
    CONFIG_TEXT,
    CONFIG_INTEGER,
    CONFIG_REAL,
    CONFIG_SWITCH, /* --json, --json=false; true|false|yes|no|1|0 elsewhere */
    CONFIG_LIST    /* may be given several times; flags add up */
} config_type_t;

/* Who has a key: programs and subcommands, as a set. */
enum {
    CONFIG_GATEWAY = 1 << 0,
    CONFIG_COORDINATOR = 1 << 1,
    CONFIG_WORKER = 1 << 2,
    CONFIG_SERVE = 1 << 3,
    CONFIG_RUN = 1 << 4,
    CONFIG_SUBMIT = 1 << 5,
    CONFIG_CLIENT = 1 << 6, /* status pause resume cancel results clusters */
    CONFIG_INSPECT = 1 << 7,
    CONFIG_RESULTS = 1 << 8,  /* results: where they go */
    CONFIG_CLUSTERS = 1 << 9, /* clusters: filters and paging */
};

typedef struct {
    const char *name; /* "window_days": flag --window-days, environment STAGE4_WINDOW_DAYS */
    config_type_t type;
    unsigned roles;
    const char *fallback; /* default as text; NULL none */
    const char *argument; /* "DIR" in --help; NULL for a switch */
    const char *help;     /* one line */
    const char *also;     /* a second name in the environment; NULL none */
    int64_t low, high;    /* of an integer */
} config_key_t;

/* The table; ends with a row whose name is NULL. */
const config_key_t *config_keys(void);

typedef struct config config_t;

/* Reads `argv` after the program's (and subcommand's) name. What is no flag is a positional
 * argument. ERR_USAGE with `field` the flag. */
int config_load(unsigned role, int argc, char *const *argv, config_t **out, error_t *error);
void config_destroy(config_t **self);

/* Asking for a key of another type or one that is not in the table ends the program: it is a bug.
 */
const char *config_text(const config_t *self, const char *name); /* NULL: not set, no default */
int64_t config_integer(const config_t *self, const char *name);
double config_real(const config_t *self, const char *name);
int config_switch(const config_t *self, const char *name);
size_t config_list(const config_t *self, const char *name, const char *const **values);
int config_given(const config_t *self, const char *name); /* 1: not the default */

#define CONFIG_SECRET_SIZE 1024

/* A secret: the value of `name`, or the first line of the file that `<name>_file` names; "" when
 * neither is set. ERR_USAGE when both are, or the file cannot be read or is empty. */
int config_secret(const config_t *self, const char *name, char out[CONFIG_SECRET_SIZE],
                  error_t *error);

size_t config_positional(const config_t *self, const char *const **values);

/* 1 when --help or -h is among the arguments: asked before config_load, which would refuse the
 * rest of a half-written command. */
int config_help_wanted(int argc, char *const *argv);

/* The options of `role`, one aligned line each, for --help. */
void config_help(unsigned role, FILE *out);
/* The whole table as Markdown, for DEPLOYMENT.md. */
void config_markdown(FILE *out);

#endif
