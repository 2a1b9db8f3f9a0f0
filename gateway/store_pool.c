#include "gateway/store_pool.h"

#include <pthread.h>
#include <stdlib.h>

struct store_pool {
    result_store_options_t options;
    result_cache_t *cache;
    pthread_mutex_t lock;
    size_t idle_count;
    result_store_t *idle[STORE_POOL_LIMIT];
};

int store_pool_new(const result_store_options_t *options, result_cache_t *cache, store_pool_t **out,
                   error_t *error)
{
    store_pool_t *self = calloc(1, sizeof *self);
    *out = NULL;
    if (!self)
        return error_set(error, ERR_MEMORY, "out of memory");
    self->options = *options;
    self->cache = cache;
    pthread_mutex_init(&self->lock, NULL);
    *out = self;
    return OK;
}

void store_pool_destroy(store_pool_t **self)
{
    if (!*self)
        return;
    for (size_t i = 0; i < (*self)->idle_count; i++)
        (*self)->idle[i]->verbs->close(&(*self)->idle[i]);
    pthread_mutex_destroy(&(*self)->lock);
    free(*self);
    *self = NULL;
}

static int open_handle(store_pool_t *self, result_store_t **out, error_t *error)
{
    result_store_t *store = NULL;
    int code = result_store_open(&self->options, 1, &store, error);
    *out = store;
    if (code != OK || !self->cache)
        return code;
    code = result_store_cached(store, self->cache, out, error);
    if (code != OK)
        store->verbs->close(&store);
    return code;
}

int store_pool_take(store_pool_t *self, result_store_t **out, error_t *error)
{
    *out = NULL;
    pthread_mutex_lock(&self->lock);
    if (self->idle_count > 0)
        *out = self->idle[--self->idle_count];
    pthread_mutex_unlock(&self->lock);
    if (*out)
        return OK;
    if (open_handle(self, out, error) == OK)
        return OK;
    if (error)
        error->code = ERR_UNAVAILABLE; /* to a client all reasons are one: not now */
    return ERR_UNAVAILABLE;
}

int store_pool_try(store_pool_t *self, error_t *error)
{
    result_store_t *store = NULL;
    int code = open_handle(self, &store, error);
    if (code == OK)
        store_pool_give(self, store, 0);
    return code;
}

void store_pool_give(store_pool_t *self, result_store_t *store, int broken)
{
    pthread_mutex_lock(&self->lock);
    int kept = !broken && self->idle_count < STORE_POOL_LIMIT;
    if (kept)
        self->idle[self->idle_count++] = store;
    pthread_mutex_unlock(&self->lock);
    if (!kept)
        store->verbs->close(&store);
}
