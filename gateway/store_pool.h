/* store_pool.h - handles on the result store, one a thread at a time.
 *
 * Handles are opened when they are first needed: a gateway may start before the coordinator has
 * made the store. */
#ifndef STAGE4_GATEWAY_STORE_POOL_H
#define STAGE4_GATEWAY_STORE_POOL_H

#include "common/error.h"
#include "proto/store/result_cache.h"

#define STORE_POOL_LIMIT 32 /* handles kept; more are opened and closed as requests want them */

typedef struct store_pool store_pool_t;

/* Copies the options, but not the texts in them: those stay until the pool is destroyed, as does
 * the cache that every handle reads through (NULL: none). */
int store_pool_new(const result_store_options_t *options, result_cache_t *cache, store_pool_t **out,
                   error_t *error);
/* Every handle must be back. */
void store_pool_destroy(store_pool_t **self);

/* Opens a handle, to see whether it can be done. The code is that of result_store_open(). */
int store_pool_try(store_pool_t *self, error_t *error);

/* A handle of the caller's own until it is given back. Whatever keeps the store from opening is
 * ERR_UNAVAILABLE. */
int store_pool_take(store_pool_t *self, result_store_t **out, error_t *error);
/* broken: the handle is closed instead of kept. */
void store_pool_give(store_pool_t *self, result_store_t *store, int broken);

#endif
