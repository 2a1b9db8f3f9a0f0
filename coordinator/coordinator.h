/* coordinator.h - the shell around the core: sockets, clock, stores and the merge thread.
 *
 * It turns messages and finished work into core events, and carries the core's actions out. It
 * decides nothing. One active coordinator a state folder (a lock file says so). */
#ifndef STAGE4_COORDINATOR_COORDINATOR_H
#define STAGE4_COORDINATOR_COORDINATOR_H

#include "common/error.h"
#include "common/log.h"
#include "common/net/actor.h"
#include "coordinator/plan/memory_need.h"
#include "coordinator/store/ledger.h"
#include "proto/store/result_store.h"

#include <stdatomic.h>

typedef struct {
    const char *client_endpoint; /* bound: "tcp://127.0.0.1:5570", "inproc://clients" */
    const char *worker_endpoint; /* bound: "tcp://127.0.0.1:5571", "inproc://workers" */
    const char *indices_folder;
    const char *state_folder;  /* ledger.db, stage4.db (results: two files, so that the commit of a
                                  large result never holds up a checkpoint), spool/, cache/, lock */
    const char *output_folder; /* JSONL */
    int scratch; /* 1: the state folder goes with this process. Its spool is not synced, and stores
                    that are not named keep nothing on disk; the output is as durable as ever */
    /* The stores. All zero: SQLite files in the state folder; a path that is NULL is filled in. */
    ledger_options_t ledger;
    result_store_options_t results;
    uint32_t queue_limit;   /* queued jobs, beyond which submit is ERR_BUSY; default 1000 */
    uint32_t running_limit; /* jobs at once; default 2 */
    uint64_t matrix_bytes;  /* for the distances of one partition in a worker; default 2 GiB */
    uint32_t retry_limit;   /* deaths or failures of a task that fail its job; default 3 */
    memory_place_t memory;  /* a job that needs more is refused */
    net_pipe_t *wake; /* something comes by it when *stop is set; NULL: looked at now and then */
    int32_t retention_days; /* of jobs that have none of their own; 0: for ever, -1: 90 */
    int32_t catalog_days;   /* cached catalogs that were not used for so long go; 0: never */
    log_t *log;             /* borrowed */
} coordinator_options_t;

/* Runs until *stop is set. ERR_CONFLICT when another coordinator holds the state folder or the
 * ledger, or takes the ledger over while this one is stopped (it says who);
 * ERR_UNAVAILABLE when an endpoint is taken. */
int coordinator_run(const coordinator_options_t *options, const atomic_int *stop, error_t *error);

#endif
