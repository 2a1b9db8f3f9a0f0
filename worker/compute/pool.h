/* pool.h - the compute threads: numbered items, each run once by whichever thread is free.
 *
 * The calling thread is thread 0 and works too. What an item computes may depend on its number
 * alone, so that results do not depend on the number of threads. */
#ifndef STAGE4_WORKER_COMPUTE_POOL_H
#define STAGE4_WORKER_COMPUTE_POOL_H

#include "common/error.h"

#include <stddef.h>
#include <stdint.h>

#define POOL_THREAD_LIMIT 1024

typedef struct pool pool_t;
typedef void (*pool_fn)(void *context, size_t item, uint32_t thread);

/* 1 to POOL_THREAD_LIMIT threads, the caller counted. ERR_USAGE, ERR_MEMORY, ERR_UNAVAILABLE. */
int pool_new(uint32_t threads, pool_t **out, error_t *error);
void pool_destroy(pool_t **self);
uint32_t pool_threads(const pool_t *self);

/* Runs items 0 .. items-1 and returns when all are done. Handed out in rising order. One caller at
 * a time; an item must not call it. */
void pool_run(pool_t *self, size_t items, pool_fn work, void *context);

#endif
