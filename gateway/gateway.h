/* gateway.h - the REST gateway: checks requests, asks the coordinator, reads the result store.
 *
 * Stateless: any number may run beside each other, and one may die at any time. */
#ifndef STAGE4_GATEWAY_GATEWAY_H
#define STAGE4_GATEWAY_GATEWAY_H

#include "common/error.h"
#include "common/log.h"
#include "proto/store/result_cache.h"

#include <stdatomic.h>

typedef struct {
    const char *http_listen;        /* "127.0.0.1:8000"; port 0: chosen by the system and logged */
    const char *client_endpoint;    /* of the coordinator */
    const char *indices_folder;     /* Stage 3's; for /health only */
    const char *state_folder;       /* holds stage4.db, the result store when it is SQLite */
    result_store_options_t results; /* all zero: SQLite in the state folder */
    result_cache_options_t cache;   /* all zero: none */
    int coordinator_timeout_ms;     /* 0: 5000; then the answer is 503 */
    int body_timeout_ms;            /* 0: 10000; a request body must be here by then */
    atomic_int *port;               /* set once it listens; NULL: nobody wants to know */
    log_t *log;                     /* borrowed */
} gateway_options_t;

/* Runs until *stop is set, then finishes what it is answering. ERR_UNAVAILABLE naming the address
 * when it is taken. */
int gateway_run(const gateway_options_t *options, const atomic_int *stop, error_t *error);

#endif
