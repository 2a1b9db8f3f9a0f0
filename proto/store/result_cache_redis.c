/* result_cache_redis.c - a cache that gateways share: SET with a time to live, and GET.
 *
 * It must never cost more than it saves: some connections, each of one thread at a time; a thread
 * that finds none free has a miss, an answer that takes longer than WAIT_MS is one, and after that
 * the connection is left alone for PAUSE_MS. */
#include "common/clock.h"
#include "proto/store/redis.h"
#include "proto/store/result_cache.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECTIONS 8
#define WAIT_MS 100
#define PAUSE_MS 1000
#define KEY_SIZE 80

typedef struct {
    pthread_mutex_t lock;
    redis_t *redis;
    int64_t silent_until_ms;
    error_t problem; /* of its last call */
} connection_t;

typedef struct {
    result_cache_t base;
    char ttl_ms[24];
    connection_t connections[CONNECTIONS];
} redis_cache_t;

static redis_cache_t *of(result_cache_t *cache) { return (redis_cache_t *)cache; }

static void key_of(const sha256_t *key, char out[KEY_SIZE])
{
    char hex[65];
    sha256_hex(key, hex);
    snprintf(out, KEY_SIZE, "stage4:cache:%s", hex);
}

/* A connection of the caller's until it is unlocked; NULL when none is free or worth trying. */
static connection_t *take(redis_cache_t *self)
{
    for (size_t i = 0; i < CONNECTIONS; i++) {
        connection_t *connection = &self->connections[i];
        if (pthread_mutex_trylock(&connection->lock) != 0)
            continue;
        if (clock_monotonic_ms() >= connection->silent_until_ms)
            return connection;
        pthread_mutex_unlock(&connection->lock);
    }
    return NULL;
}

static int call(connection_t *connection, const redis_text_t *words, size_t count,
                redis_value_t **out)
{
    connection->problem = (error_t)ERROR_INIT;
    int code = redis_call(connection->redis, words, count, out, &connection->problem);
    if (code != OK)
        connection->silent_until_ms = clock_monotonic_ms() + PAUSE_MS;
    return code;
}

static int copy(const redis_value_t *answer, char **value, size_t *length)
{
    *length = redis_value_length(answer);
    *value = redis_value_is_nothing(answer) ? NULL : malloc(*length + 1);
    if (*value)
        memcpy(*value, redis_value_text(answer), *length + 1);
    return *value != NULL;
}

static int get(result_cache_t *cache, const sha256_t *key, char **value, size_t *length)
{
    char name[KEY_SIZE];
    redis_value_t *answer = NULL;
    connection_t *connection = take(of(cache));
    *value = NULL;
    if (!connection)
        return 0;
    key_of(key, name);
    const redis_text_t words[] = {redis_text("GET"), redis_text(name)};
    int found = call(connection, words, 2, &answer) == OK && copy(answer, value, length);
    pthread_mutex_unlock(&connection->lock);
    redis_value_destroy(&answer);
    return found;
}

static void put(result_cache_t *cache, const sha256_t *key, const char *value, size_t length)
{
    char name[KEY_SIZE];
    redis_cache_t *self = of(cache);
    connection_t *connection = length > RESULT_CACHE_VALUE_LIMIT ? NULL : take(self);
    if (!connection)
        return;
    key_of(key, name);
    const redis_text_t words[] = {redis_text("SET"),
                                  redis_text(name),
                                  {value, length},
                                  redis_text("PX"),
                                  redis_text(self->ttl_ms)};
    call(connection, words, 5, NULL);
    pthread_mutex_unlock(&connection->lock);
}

/* The first connection is asked whatever it did last: a Redis that came back is seen at once. */
static int ping(result_cache_t *cache, error_t *error)
{
    connection_t *connection = &of(cache)->connections[0];
    const redis_text_t word = redis_text("PING");
    pthread_mutex_lock(&connection->lock);
    int code = call(connection, &word, 1, NULL);
    if (code != OK && error)
        *error = connection->problem;
    if (code == OK)
        connection->silent_until_ms = 0;
    pthread_mutex_unlock(&connection->lock);
    return code;
}

static void close_cache(result_cache_t **cache)
{
    if (!*cache)
        return;
    redis_cache_t *self = of(*cache);
    for (size_t i = 0; i < CONNECTIONS; i++) {
        redis_destroy(&self->connections[i].redis);
        pthread_mutex_destroy(&self->connections[i].lock);
    }
    free(self);
    *cache = NULL;
}

static const result_cache_verbs_t VERBS = {
    .name = "redis", .get = get, .put = put, .ping = ping, .close = close_cache};

int result_cache_open_redis(const result_cache_options_t *options, result_cache_t **out,
                            error_t *error)
{
    const redis_options_t redis = {.host = options->host,
                                   .port = options->port,
                                   .db = options->db,
                                   .password = options->password,
                                   .connect_ms = WAIT_MS,
                                   .command_ms = WAIT_MS};
    redis_cache_t *self = calloc(1, sizeof *self);
    int code = self ? OK : error_set(error, ERR_MEMORY, "no memory for a cache");
    *out = NULL;
    if (!self)
        return code;
    self->base.verbs = &VERBS;
    snprintf(self->ttl_ms, sizeof self->ttl_ms, "%lld", (long long)options->ttl_ms);
    for (size_t i = 0; i < CONNECTIONS; i++)
        pthread_mutex_init(&self->connections[i].lock, NULL);
    for (size_t i = 0; i < CONNECTIONS && code == OK; i++)
        code = redis_new(&redis, &self->connections[i].redis, error);
    *out = &self->base;
    if (code != OK)
        close_cache(out);
    return code;
}
