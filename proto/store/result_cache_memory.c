/* result_cache_memory.c - a cache in the process: buckets of entries, all of them in one list from
 * the one used last to the one that goes next. */
#include "common/clock.h"
#include "proto/store/result_cache.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS 4096

typedef struct entry {
    sha256_t key;
    int64_t until_ms;
    struct entry *next_in_bucket;
    struct entry *newer, *older;
    size_t length;
    char value[]; /* and a NUL */
} entry_t;

typedef struct {
    result_cache_t base;
    pthread_mutex_t lock;
    size_t limit, used; /* bytes, the entries' own included */
    int64_t ttl_ms;
    entry_t *newest, *oldest;
    entry_t *buckets[BUCKETS];
} memory_cache_t;

static memory_cache_t *of(result_cache_t *cache) { return (memory_cache_t *)cache; }

static size_t size_of(const entry_t *entry) { return sizeof *entry + entry->length + 1; }

/* The place that points at the entry, or at NULL where it would be. */
static entry_t **place_of(memory_cache_t *self, const sha256_t *key)
{
    entry_t **place = &self->buckets[(key->bytes[0] << 8 | key->bytes[1]) % BUCKETS];
    while (*place && !sha256_equal(&(*place)->key, key))
        place = &(*place)->next_in_bucket;
    return place;
}

static void unlink_from_list(memory_cache_t *self, entry_t *entry)
{
    *(entry->newer ? &entry->newer->older : &self->newest) = entry->older;
    *(entry->older ? &entry->older->newer : &self->oldest) = entry->newer;
}

static void link_as_newest(memory_cache_t *self, entry_t *entry)
{
    entry->newer = NULL;
    entry->older = self->newest;
    *(self->newest ? &self->newest->newer : &self->oldest) = entry;
    self->newest = entry;
}

/* `place` points at an entry: what is in the list is in its bucket. */
static void drop(memory_cache_t *self, entry_t **place)
{
    entry_t *entry = *place;
    assert(entry);
    *place = entry->next_in_bucket;
    unlink_from_list(self, entry);
    self->used -= size_of(entry);
    free(entry);
}

static int get(result_cache_t *cache, const sha256_t *key, char **value, size_t *length)
{
    memory_cache_t *self = of(cache);
    *value = NULL;
    pthread_mutex_lock(&self->lock);
    entry_t **place = place_of(self, key);
    if (*place && clock_monotonic_ms() >= (*place)->until_ms)
        drop(self, place);
    else if (*place && (*value = malloc((*place)->length + 1))) {
        *length = (*place)->length;
        memcpy(*value, (*place)->value, *length + 1);
        unlink_from_list(self, *place);
        link_as_newest(self, *place);
    }
    pthread_mutex_unlock(&self->lock);
    return *value != NULL;
}

static void put(result_cache_t *cache, const sha256_t *key, const char *value, size_t length)
{
    memory_cache_t *self = of(cache);
    if (length > RESULT_CACHE_VALUE_LIMIT || sizeof(entry_t) + length + 1 > self->limit)
        return;
    entry_t *entry = malloc(sizeof *entry + length + 1);
    if (!entry)
        return;
    entry->key = *key;
    entry->until_ms = clock_monotonic_ms() + self->ttl_ms;
    entry->length = length;
    memcpy(entry->value, value, length);
    entry->value[length] = 0;
    pthread_mutex_lock(&self->lock);
    entry_t **place = place_of(self, key);
    if (*place)
        drop(self, place);
    while (self->oldest && self->used + size_of(entry) > self->limit)
        drop(self, place_of(self, &self->oldest->key));
    place = place_of(self, key);
    entry->next_in_bucket = NULL;
    *place = entry;
    link_as_newest(self, entry);
    self->used += size_of(entry);
    pthread_mutex_unlock(&self->lock);
}

static int ping(result_cache_t *cache, error_t *error)
{
    (void)cache;
    (void)error;
    return OK;
}

static void close_cache(result_cache_t **cache)
{
    if (!*cache)
        return;
    memory_cache_t *self = of(*cache);
    while (self->oldest)
        drop(self, place_of(self, &self->oldest->key));
    pthread_mutex_destroy(&self->lock);
    free(self);
    *cache = NULL;
}

static const result_cache_verbs_t VERBS = {
    .name = "memory", .get = get, .put = put, .ping = ping, .close = close_cache};

int result_cache_open_memory(size_t bytes, int64_t ttl_ms, result_cache_t **out, error_t *error)
{
    memory_cache_t *self = calloc(1, sizeof *self);
    *out = NULL;
    if (!self)
        return error_set(error, ERR_MEMORY, "no memory for a cache");
    self->base.verbs = &VERBS;
    self->limit = bytes;
    self->ttl_ms = ttl_ms;
    pthread_mutex_init(&self->lock, NULL);
    *out = &self->base;
    return OK;
}
