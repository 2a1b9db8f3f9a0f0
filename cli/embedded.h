/* embedded.h - a coordinator and its workers as threads of this process, joined by inproc sockets.
 *
 * The same functions that the daemons run, so the same code paths. */
#ifndef STAGE4_CLI_EMBEDDED_H
#define STAGE4_CLI_EMBEDDED_H

#include "common/error.h"
#include "common/log.h"
#include "coordinator/store/ledger.h"
#include "proto/store/result_store.h"

#include <stddef.h>
#include <stdint.h>

typedef struct {
    const char *indices_folder;
    const char *state_folder;
    const char *output_folder;
    int scratch;             /* as the coordinator has it */
    ledger_options_t ledger; /* all zero: SQLite in the state folder, as is the next */
    result_store_options_t results;
    uint32_t workers;
    uint32_t threads;   /* of each worker; 0: the processors shared among the workers, at least 1 */
    size_t cache_bytes; /* of each worker */
    size_t vectors_bytes;      /* of each worker, of each index */
    uint64_t memory_limit_mib; /* of all together; 0: what the machine has */
    uint32_t queue_limit;
    uint32_t running_limit;
    uint64_t matrix_bytes;  /* as the coordinator has it */
    int32_t retention_days; /* -1: as the coordinator has it; 0: for ever */
    int32_t catalog_days;
    uint32_t retry_limit; /* 0: as the coordinator has it */
    log_t *log;           /* borrowed, as is all the text, until embedded_stop */
} embedded_options_t;

typedef struct embedded embedded_t;

int embedded_start(const embedded_options_t *options, embedded_t **out, error_t *error);
const char *embedded_client_endpoint(const embedded_t *self);
/* OK while all of them run, else the error that ended one. */
int embedded_check(embedded_t *self, error_t *error);
/* Ends the workers, then the coordinator, and waits for them. */
void embedded_stop(embedded_t **self);

#endif
