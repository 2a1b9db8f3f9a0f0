/* result_store_cached.c - a result store read through a cache. */
#include "proto/store/result_cache.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    result_store_t base;
    result_store_t *inner; /* owned */
    result_cache_t *cache;
} cached_t;

static cached_t *of(result_store_t *store) { return (cached_t *)store; }

#define INNER(store) of(store)->inner

/* ---- what an answer is kept under: the store's version and the question ---- */

static void add_text(sha256_stream_t *stream, const char *text)
{
    uint64_t length = text ? strlen(text) : UINT64_MAX; /* nothing is not the empty text */
    sha256_stream_add(stream, &length, sizeof length);
    if (text)
        sha256_stream_add(stream, text, length);
}

static void add_number(sha256_stream_t *stream, int64_t number)
{
    sha256_stream_add(stream, &number, sizeof number);
}

/* NULL when the version cannot be told: then nothing is looked up or kept. */
static sha256_stream_t *begin_key(cached_t *self, const char *verb)
{
    char version[RESULT_VERSION_SIZE];
    if (self->inner->verbs->version(self->inner, version, NULL) != OK)
        return NULL;
    sha256_stream_t *stream = sha256_stream_new();
    if (stream) {
        add_text(stream, verb);
        add_text(stream, version);
    }
    return stream;
}

static int end_key(sha256_stream_t *stream, sha256_t *key)
{
    if (!stream)
        return 0;
    *key = sha256_stream_finish(&stream);
    return 1;
}

static int text_key(cached_t *self, const char *verb, const char *id, const char *job_id,
                    sha256_t *key)
{
    sha256_stream_t *stream = begin_key(self, verb);
    if (stream) {
        add_text(stream, id);
        add_text(stream, job_id);
    }
    return end_key(stream, key);
}

static int page_key(cached_t *self, const cluster_query_t *query, sha256_t *key)
{
    const char *const texts[] = {query->job_id,    query->domain, query->type, query->document_id,
                                 query->member_id, query->entity, query->text, query->cursor};
    const int64_t numbers[] = {query->level,        query->size_min,   query->size_max,
                               query->time_from_ms, query->time_to_ms, query->limit};
    sha256_stream_t *stream = begin_key(self, "clusters");
    for (size_t i = 0; stream && i < sizeof texts / sizeof *texts; i++)
        add_text(stream, texts[i]);
    for (size_t i = 0; stream && i < sizeof numbers / sizeof *numbers; i++)
        add_number(stream, numbers[i]);
    return end_key(stream, key);
}

/* ---- a page as bytes: total, count, and each text behind its length ---- */

#define NO_TEXT UINT32_MAX

static size_t page_size(const cluster_page_t *page)
{
    size_t size = sizeof page->total + 2 * sizeof(uint32_t);
    for (size_t i = 0; i < page->count; i++)
        size += sizeof(uint32_t) + strlen(page->json[i]);
    return size + (page->next_cursor ? strlen(page->next_cursor) : 0);
}

static char *write_bytes(char *at, const void *bytes, size_t length)
{
    memcpy(at, bytes, length);
    return at + length;
}

static char *write_text(char *at, const char *text)
{
    uint32_t length = text ? (uint32_t)strlen(text) : NO_TEXT;
    at = write_bytes(at, &length, sizeof length);
    return text ? write_bytes(at, text, length) : at;
}

static void keep_page(result_cache_t *cache, const sha256_t *key, const cluster_page_t *page)
{
    size_t size = page_size(page);
    uint32_t count = (uint32_t)page->count;
    char *bytes = size <= RESULT_CACHE_VALUE_LIMIT ? malloc(size) : NULL;
    if (!bytes)
        return;
    char *at = write_bytes(bytes, &page->total, sizeof page->total);
    at = write_bytes(at, &count, sizeof count);
    at = write_text(at, page->next_cursor);
    for (size_t i = 0; i < page->count; i++)
        at = write_text(at, page->json[i]);
    cache->verbs->put(cache, key, bytes, size);
    free(bytes);
}

typedef struct {
    const char *at;
    size_t left;
} reader_t;

static int read_bytes(reader_t *self, void *out, size_t length)
{
    if (length > self->left)
        return 0;
    memcpy(out, self->at, length);
    self->at += length;
    self->left -= length;
    return 1;
}

/* *out: NULL for no text. 0 when the bytes end too soon. */
static int read_text(reader_t *self, char **out)
{
    uint32_t length;
    *out = NULL;
    if (!read_bytes(self, &length, sizeof length))
        return 0;
    if (length == NO_TEXT)
        return 1;
    if (length > self->left || !(*out = malloc((size_t)length + 1)))
        return 0;
    (*out)[length] = 0;
    return read_bytes(self, *out, length);
}

/* What is in a cache comes from outside: anything but a whole page is a miss. */
static int read_page(const char *bytes, size_t length, cluster_page_t *page)
{
    reader_t reader = {bytes, length};
    uint32_t count = 0;
    *page = (cluster_page_t){0};
    int sound = read_bytes(&reader, &page->total, sizeof page->total) &&
                read_bytes(&reader, &count, sizeof count) && count <= reader.left &&
                read_text(&reader, &page->next_cursor);
    if (sound && count)
        sound = (page->json = calloc(count, sizeof *page->json)) != NULL;
    for (uint32_t i = 0; sound && i < count; i++) {
        sound = read_text(&reader, &page->json[i]) && page->json[i];
        page->count += sound ? 1 : 0;
    }
    if (sound && !reader.left)
        return 1;
    cluster_page_clear(page);
    return 0;
}

/* ---- reading ---- */

static int ask(result_cache_t *cache, const sha256_t *key, char **value, size_t *length)
{
    int found = cache->verbs->get(cache, key, value, length);
    atomic_fetch_add(found ? &cache->hits : &cache->misses, 1);
    return found;
}

static int look_up(result_cache_t *cache, const sha256_t *key, cluster_page_t *page)
{
    char *bytes = NULL;
    size_t length = 0;
    int found = ask(cache, key, &bytes, &length) && read_page(bytes, length, page);
    free(bytes);
    return found;
}

static int clusters(result_store_t *store, const cluster_query_t *query, cluster_page_t *page,
                    error_t *error)
{
    cached_t *self = of(store);
    sha256_t key;
    int keyed = page_key(self, query, &key);
    if (keyed && look_up(self->cache, &key, page))
        return OK;
    int code = self->inner->verbs->clusters(self->inner, query, page, error);
    if (code == OK && keyed)
        keep_page(self->cache, &key, page);
    return code;
}

static int cluster(result_store_t *store, const char *cluster_id, const char *job_id, char **json,
                   error_t *error)
{
    cached_t *self = of(store);
    sha256_t key;
    size_t length;
    int keyed = text_key(self, "cluster", cluster_id, job_id, &key);
    if (keyed && ask(self->cache, &key, json, &length))
        return OK;
    int code = self->inner->verbs->cluster(self->inner, cluster_id, job_id, json, error);
    if (code == OK && keyed)
        self->cache->verbs->put(self->cache, &key, *json, strlen(*json));
    return code;
}

static int job(result_store_t *store, const char *job_id, char **json, error_t *error)
{
    cached_t *self = of(store);
    sha256_t key;
    size_t length;
    int keyed = text_key(self, "job", job_id, NULL, &key);
    if (keyed && ask(self->cache, &key, json, &length))
        return OK;
    int code = self->inner->verbs->job(self->inner, job_id, json, error);
    if (code == OK && keyed)
        self->cache->verbs->put(self->cache, &key, *json, strlen(*json));
    return code;
}

/* ---- what goes straight through ---- */

static int claim(result_store_t *store, const result_fence_t *fence, error_t *error)
{
    return INNER(store)->verbs->claim(INNER(store), fence, error);
}

static int begin_job(result_store_t *store, const char *job_id, uint32_t epoch, error_t *error)
{
    return INNER(store)->verbs->begin_job(INNER(store), job_id, epoch, error);
}

static int add_cluster(result_store_t *store, const cluster_row_t *row, error_t *error)
{
    return INNER(store)->verbs->add_cluster(INNER(store), row, error);
}

static int add_noise(result_store_t *store, const member_row_t *members, size_t count,
                     error_t *error)
{
    return INNER(store)->verbs->add_noise(INNER(store), members, count, error);
}

static int add_text_piece(result_store_t *store, const char *name, uint32_t number,
                          const char *text, size_t length, error_t *error)
{
    return INNER(store)->verbs->add_text(INNER(store), name, number, text, length, error);
}

static int commit_job(result_store_t *store, const result_job_row_t *row, error_t *error)
{
    return INNER(store)->verbs->commit_job(INNER(store), row, error);
}

static void rollback_job(result_store_t *store) { INNER(store)->verbs->rollback_job(INNER(store)); }

static int remove_job(result_store_t *store, const char *job_id, error_t *error)
{
    return INNER(store)->verbs->remove_job(INNER(store), job_id, error);
}

static int text(result_store_t *store, const char *job_id, const char *name, uint32_t number,
                char **out, size_t *length, error_t *error)
{
    return INNER(store)->verbs->text(INNER(store), job_id, name, number, out, length, error);
}

static int statistics(result_store_t *store, result_statistics_t *out, error_t *error)
{
    return INNER(store)->verbs->statistics(INNER(store), out, error);
}

static int version(result_store_t *store, char out[RESULT_VERSION_SIZE], error_t *error)
{
    return INNER(store)->verbs->version(INNER(store), out, error);
}

static int ping(result_store_t *store, error_t *error)
{
    return INNER(store)->verbs->ping(INNER(store), error);
}

static void close_store(result_store_t **store)
{
    if (!*store)
        return;
    INNER(*store)->verbs->close(&INNER(*store));
    free(of(*store));
    *store = NULL;
}

static const result_store_verbs_t VERBS = {
    .name = "cached",
    .claim = claim,
    .begin_job = begin_job,
    .add_cluster = add_cluster,
    .add_noise = add_noise,
    .add_text = add_text_piece,
    .commit_job = commit_job,
    .rollback_job = rollback_job,
    .remove_job = remove_job,
    .cluster = cluster,
    .clusters = clusters,
    .job = job,
    .text = text,
    .statistics = statistics,
    .version = version,
    .ping = ping,
    .close = close_store,
};

int result_store_cached(result_store_t *inner, result_cache_t *cache, result_store_t **out,
                        error_t *error)
{
    cached_t *self = calloc(1, sizeof *self);
    *out = NULL;
    if (!self)
        return error_set(error, ERR_MEMORY, "no memory for a handle on the results");
    *self = (cached_t){.base.verbs = &VERBS, .inner = inner, .cache = cache};
    *out = &self->base;
    return OK;
}
