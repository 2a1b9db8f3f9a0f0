#include "proto/store/result_cache.h"

#include <stdio.h>
#include <string.h>

static int unknown_kind(const char *kind, error_t *error)
{
    return error_field(error, ERR_USAGE, "result_cache",
                       "result_cache is \"%s\"; it can be memory, redis or off", kind);
}

int result_cache_open(const result_cache_options_t *options, result_cache_t **out, error_t *error)
{
    *out = NULL;
    if (!strcmp(options->kind, "memory"))
        return result_cache_open_memory(options->bytes, options->ttl_ms, out, error);
    if (!strcmp(options->kind, "redis"))
        return result_cache_open_redis(options, out, error);
    return strcmp(options->kind, "off") ? unknown_kind(options->kind, error) : OK;
}

int result_cache_configure(const config_t *config, char secret[CONFIG_SECRET_SIZE],
                           result_cache_options_t *out, error_t *error)
{
    *out = (result_cache_options_t){
        .kind = config_text(config, "result_cache"),
        .bytes = (size_t)config_integer(config, "result_cache_mib") << 20,
        .ttl_ms = 1000 * config_integer(config, "result_cache_ttl"),
        .host = config_text(config, "redis_cache_host"),
        .port = (uint16_t)config_integer(config, "redis_cache_port"),
        .db = (int)config_integer(config, "redis_cache_db"),
        .password = secret,
    };
    *secret = 0;
    if (!strcmp(out->kind, "redis"))
        return config_secret(config, "redis_cache_password", secret, error);
    return strcmp(out->kind, "memory") && strcmp(out->kind, "off") ? unknown_kind(out->kind, error)
                                                                   : OK;
}

void result_cache_describe(const result_cache_options_t *options, char out[RESULT_STORE_WORDS_SIZE])
{
    if (!strcmp(options->kind, "redis"))
        snprintf(out, RESULT_STORE_WORDS_SIZE, "redis at %s:%u, database %d", options->host,
                 (unsigned)options->port, options->db);
    else
        snprintf(out, RESULT_STORE_WORDS_SIZE, "%s", options->kind);
}
