/* context.h - what the routes have to work with; not for others. */
#ifndef STAGE4_GATEWAY_CONTEXT_H
#define STAGE4_GATEWAY_CONTEXT_H

#include "common/log.h"
#include "gateway/coordinator_client.h"
#include "gateway/request_counts.h"
#include "gateway/store_pool.h"

typedef struct {
    coordinator_client_t *coordinator;
    store_pool_t *stores;
    result_cache_t *cache;    /* NULL: none */
    request_counts_t *counts; /* NULL: nobody counts */
    const char *indices_folder;
    int coordinator_timeout_ms;
    log_t *log;
} gateway_context_t;

#endif
