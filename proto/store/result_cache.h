/* result_cache.h - answers of the result store that are kept for a while, so that they need not be
 * computed again: in this process, or in a Redis that several gateways share.
 *
 * A cache is never the only copy, and may forget anything at any time. It holds bytes by the hash
 * of what they answer, and that hash begins with the store's version (result_store.h): a commit or
 * a removal changes the version, so nobody asks for what was kept before, and nothing stale can be
 * found however late, or never, a cache hears of it. What nobody asks for goes: the least recently
 * used first in the process, by its time to live in Redis.
 *
 * All functions may be called from any thread. One that cannot be answered at once is a miss. */
#ifndef STAGE4_PROTO_STORE_RESULT_CACHE_H
#define STAGE4_PROTO_STORE_RESULT_CACHE_H

#include "common/config.h"
#include "common/error.h"
#include "common/sha256.h"
#include "proto/store/result_store.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define RESULT_CACHE_VALUE_LIMIT (4U << 20) /* larger answers are not kept */

typedef struct result_cache result_cache_t;

typedef struct {
    const char *name; /* "memory" */
    /* 1 and a copy of the caller's, or 0. */
    int (*get)(result_cache_t *self, const sha256_t *key, char **value, size_t *length);
    void (*put)(result_cache_t *self, const sha256_t *key, const char *value, size_t length);
    /* Whether it can be used now; for /health. */
    int (*ping)(result_cache_t *self, error_t *error);
    void (*close)(result_cache_t **self);
} result_cache_verbs_t;

struct result_cache {
    const result_cache_verbs_t *verbs;
    atomic_ullong hits; /* of the stores that read through it */
    atomic_ullong misses;
}; /* the back end's own struct starts with this one */

typedef struct {
    const char *kind; /* "memory", "redis" or "off" */
    size_t bytes;     /* memory: at most so many are held */
    int64_t ttl_ms;
    const char *host; /* redis, as the rest */
    uint16_t port;
    int db;
    const char *password; /* NULL or "": none */
} result_cache_options_t;

/* *out stays NULL when the kind is "off". ERR_USAGE with the field "result_cache" for one that is
 * not known. A Redis that is away is no error: the cache begins to work when it is there. */
int result_cache_open(const result_cache_options_t *options, result_cache_t **out, error_t *error);
int result_cache_open_memory(size_t bytes, int64_t ttl_ms, result_cache_t **out, error_t *error);
int result_cache_open_redis(const result_cache_options_t *options, result_cache_t **out,
                            error_t *error);

/* From the settings; `out` borrows from `config` and `secret`. */
int result_cache_configure(const config_t *config, char secret[CONFIG_SECRET_SIZE],
                           result_cache_options_t *out, error_t *error);
/* "redis at redis-cache:6379, database 7": for people. */
void result_cache_describe(const result_cache_options_t *options,
                           char out[RESULT_STORE_WORDS_SIZE]);

/* A handle that reads `inner` through the cache; it owns `inner`, and borrows the cache. cluster,
 * clusters and job are kept; all else goes straight to `inner`. */
int result_store_cached(result_store_t *inner, result_cache_t *cache, result_store_t **out,
                        error_t *error);

#endif
