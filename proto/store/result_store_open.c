#include "proto/store/result_store.h"

#include <stdio.h>
#include <string.h>

static int unknown_kind(const char *kind, error_t *error)
{
    return error_field(error, ERR_USAGE, "results",
                       "results is \"%s\"; it can be sqlite or postgres", kind);
}

static int is_postgres(const result_store_options_t *options)
{
    return !strcmp(options->kind, "postgres");
}

static int is_sqlite(const result_store_options_t *options)
{
    return !strcmp(options->kind, "sqlite");
}

int result_store_open(const result_store_options_t *options, int read_only, result_store_t **out,
                      error_t *error)
{
    *out = NULL;
    if (is_sqlite(options))
        return result_store_open_sqlite(options->path, read_only, out, error);
    if (is_postgres(options))
        return result_store_open_postgres(&options->postgres, read_only, out, error);
    if (!strcmp(options->kind, "none"))
        return result_store_open_none(out, error);
    return unknown_kind(options->kind, error);
}

int result_store_configure(const config_t *config, char secret[CONFIG_SECRET_SIZE],
                           result_store_options_t *out, error_t *error)
{
    *out = (result_store_options_t){
        .kind = config_text(config, "results"),
        .postgres = {.host = config_text(config, "postgres_host"),
                     .port = (uint16_t)config_integer(config, "postgres_port"),
                     .database = config_text(config, "postgres_db"),
                     .user = config_text(config, "postgres_user"),
                     .password = secret},
    };
    *secret = 0;
    if (is_sqlite(out))
        return OK;
    return is_postgres(out) ? config_secret(config, "postgres_password", secret, error)
                            : unknown_kind(out->kind, error);
}

void result_store_describe(const result_store_options_t *options, char out[RESULT_STORE_WORDS_SIZE])
{
    if (is_postgres(options))
        snprintf(out, RESULT_STORE_WORDS_SIZE, "postgres at %s:%u, database %s, user %s",
                 options->postgres.host, (unsigned)options->postgres.port,
                 options->postgres.database, options->postgres.user);
    else if (is_sqlite(options))
        snprintf(out, RESULT_STORE_WORDS_SIZE, "%s at %s", options->kind, options->path);
    else
        snprintf(out, RESULT_STORE_WORDS_SIZE, "%s", options->kind);
}
