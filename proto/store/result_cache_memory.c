/* result_cache_memory.c - a cache in the process: buckets of entries, all of them in one list from
 * the one used last to the one that goes next.
 *
 * Entries lie in pages of one block, as chains. Taken from the heap, answers of all sizes that come and
 * go for days would tear holes into it, and the process would grow to a multiple of what it keeps. */
#include "common/clock.h"
#include "proto/store/result_cache.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define BUCKETS 4096
#define PAGE_SIZE 2048
#define NO_PAGE UINT32_MAX

typedef struct entry {
    sha256_t key;
    int64_t until_ms;
    struct entry *next_in_bucket;
    struct entry *newer, *older;
    size_t length;
    uint32_t rest; /* the page with what did not fit behind this */
} entry_t;

/* An entry begins a page; in the others of its chain there is `next`, and value. */
typedef union {
    entry_t entry;
    uint32_t next; /* of a free page: the next free one */
    char bytes[PAGE_SIZE];
} page_t;

#define FIRST_BYTES (PAGE_SIZE - sizeof(entry_t))
#define REST_BYTES (PAGE_SIZE - sizeof(uint32_t))

typedef struct {
    result_cache_t base;
    pthread_mutex_t lock;
    int64_t ttl_ms;
    page_t *pages;
    uint32_t page_count;
    uint32_t fresh; /* pages from here on were never used */
    uint32_t free;  /* the first of those that were */
    uint32_t free_count;
    entry_t *newest, *oldest;
    entry_t *buckets[BUCKETS];
} memory_cache_t;

static memory_cache_t *of(result_cache_t *cache) { return (memory_cache_t *)cache; }

static uint32_t pages_for(size_t length)
{
    return length <= FIRST_BYTES
               ? 1
               : (uint32_t)(1 + (length - FIRST_BYTES + REST_BYTES - 1) / REST_BYTES);
}

static uint32_t free_pages(const memory_cache_t *self)
{
    return self->free_count + self->page_count - self->fresh;
}

/* There is one. */
static uint32_t take_page(memory_cache_t *self)
{
    if (!self->free_count)
        return self->fresh++;
    uint32_t page = self->free;
    self->free = self->pages[page].next;
    self->free_count--;
    return page;
}

static void give_page(memory_cache_t *self, uint32_t page)
{
    self->pages[page].next = self->free;
    self->free = page;
    self->free_count++;
}

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

static void write_value(memory_cache_t *self, entry_t *entry, const char *value)
{
    size_t done = smaller(entry->length, FIRST_BYTES);
    uint32_t *link = &entry->rest;
    memcpy((char *)entry + sizeof *entry, value, done);
    while (done < entry->length) {
        size_t part = smaller(entry->length - done, REST_BYTES);
        *link = take_page(self);
        page_t *page = &self->pages[*link];
        memcpy(page->bytes + sizeof page->next, value + done, part);
        done += part;
        link = &page->next;
    }
    *link = NO_PAGE;
}

static void read_value(const memory_cache_t *self, const entry_t *entry, char *out)
{
    size_t done = smaller(entry->length, FIRST_BYTES);
    memcpy(out, (const char *)entry + sizeof *entry, done);
    for (uint32_t at = entry->rest; at != NO_PAGE; at = self->pages[at].next) {
        size_t part = smaller(entry->length - done, REST_BYTES);
        memcpy(out + done, self->pages[at].bytes + sizeof self->pages[at].next, part);
        done += part;
    }
    out[done] = 0;
}

static void give_pages(memory_cache_t *self, entry_t *entry)
{
    uint32_t rest = entry->rest;
    while (rest != NO_PAGE) {
        uint32_t next = self->pages[rest].next;
        give_page(self, rest);
        rest = next;
    }
    give_page(self, (uint32_t)((page_t *)entry - self->pages));
}

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
    give_pages(self, entry);
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
        read_value(self, *place, *value);
        unlink_from_list(self, *place);
        link_as_newest(self, *place);
    }
    pthread_mutex_unlock(&self->lock);
    return *value != NULL;
}

/* There is room for it. */
static void add(memory_cache_t *self, const sha256_t *key, const char *value, size_t length)
{
    entry_t *entry = &self->pages[take_page(self)].entry;
    *entry =
        (entry_t){.key = *key, .until_ms = clock_monotonic_ms() + self->ttl_ms, .length = length};
    write_value(self, entry, value);
    *place_of(self, key) = entry;
    link_as_newest(self, entry);
}

static void put(result_cache_t *cache, const sha256_t *key, const char *value, size_t length)
{
    memory_cache_t *self = of(cache);
    if (length > RESULT_CACHE_VALUE_LIMIT || pages_for(length) > self->page_count)
        return;
    pthread_mutex_lock(&self->lock);
    entry_t **place = place_of(self, key);
    if (*place)
        drop(self, place);
    while (self->oldest && free_pages(self) < pages_for(length))
        drop(self, place_of(self, &self->oldest->key));
    add(self, key, value, length);
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
    munmap(self->pages, (size_t)self->page_count * PAGE_SIZE);
    pthread_mutex_destroy(&self->lock);
    free(self);
    *cache = NULL;
}

static const result_cache_verbs_t VERBS = {
    .name = "memory", .get = get, .put = put, .ping = ping, .close = close_cache};

/* Memory of the system: pages that are not used yet take none. */
int result_cache_open_memory(size_t bytes, int64_t ttl_ms, result_cache_t **out, error_t *error)
{
    memory_cache_t *self = calloc(1, sizeof *self);
    size_t count = bytes / PAGE_SIZE < NO_PAGE ? bytes / PAGE_SIZE : NO_PAGE - 1;
    *out = NULL;
    if (!self)
        return error_set(error, ERR_MEMORY, "no memory for a cache");
    count += !count;
    self->pages = mmap(NULL, count * PAGE_SIZE, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (self->pages == MAP_FAILED) {
        free(self);
        return error_set(error, ERR_MEMORY, "no memory for a cache of %zu bytes", bytes);
    }
    self->base.verbs = &VERBS;
    self->page_count = (uint32_t)count;
    self->ttl_ms = ttl_ms;
    pthread_mutex_init(&self->lock, NULL);
    *out = &self->base;
    return OK;
}
