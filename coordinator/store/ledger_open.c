#include "coordinator/store/ledger.h"

#include <stdio.h>
#include <string.h>

static int unknown_kind(const char *kind, error_t *error)
{
    return error_field(error, ERR_USAGE, "ledger", "ledger is \"%s\"; it can be sqlite or redis",
                       kind);
}

static int is_redis(const ledger_options_t *options) { return !strcmp(options->kind, "redis"); }
static int is_sqlite(const ledger_options_t *options) { return !strcmp(options->kind, "sqlite"); }

int ledger_open(const ledger_options_t *options, ledger_t **out, error_t *warning, error_t *error)
{
    *out = NULL;
    if (is_sqlite(options))
        return ledger_open_sqlite(options->path, out, error);
    if (is_redis(options))
        return ledger_open_redis(&options->redis, out, warning, error);
    return unknown_kind(options->kind, error);
}

int ledger_configure(const config_t *config, char secret[CONFIG_SECRET_SIZE], ledger_options_t *out,
                     error_t *error)
{
    *out = (ledger_options_t){
        .kind = config_text(config, "ledger"),
        .redis = {.host = config_text(config, "redis_host"),
                  .port = (uint16_t)config_integer(config, "redis_port"),
                  .db = (int)config_integer(config, "redis_db"),
                  .password = secret,
                  .allow_volatile = config_switch(config, "redis_allow_volatile")},
    };
    *secret = 0;
    if (is_sqlite(out))
        return OK;
    return is_redis(out) ? config_secret(config, "redis_password", secret, error)
                         : unknown_kind(out->kind, error);
}

void ledger_describe(const ledger_options_t *options, char out[LEDGER_WORDS_SIZE])
{
    if (is_redis(options))
        snprintf(out, LEDGER_WORDS_SIZE, "redis at %s:%u, database %d", options->redis.host,
                 (unsigned)options->redis.port, options->redis.db);
    else
        snprintf(out, LEDGER_WORDS_SIZE, "%s at %s", options->kind, options->path);
}
