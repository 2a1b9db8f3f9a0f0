/* worker.h - a worker: takes tasks from one coordinator, runs them, hands the payloads back.
 *
 * Holds nothing that matters: killed at any moment, it costs the tasks in flight. The event loop
 * (this thread) keeps the heartbeat; one compute thread runs tasks on compute_options.threads. */
#ifndef STAGE4_WORKER_WORKER_H
#define STAGE4_WORKER_WORKER_H

#include "common/error.h"
#include "common/log.h"
#include "common/net/actor.h"
#include "worker/open_indices.h"

#include <stdatomic.h>
#include <stdint.h>

typedef struct {
    const char *endpoint;       /* "tcp://127.0.0.1:5571", "inproc://workers" */
    const char *indices_folder; /* read-only */
    open_indices_t *indices;    /* of that folder, shared with other workers; NULL: its own */
    const char *name;           /* NULL: host-pid-n */
    uint32_t threads;
    uint32_t credit;      /* tasks held at once: one runs, the others wait; default 2 */
    size_t cache_bytes;   /* inputs kept between tasks; default 1 GiB */
    size_t vectors_bytes; /* of each index, kept once they are read; 0: none */
    net_pipe_t *wake; /* something comes by it when *stop is set; NULL: looked at now and then */
    log_t *log;       /* borrowed */
} worker_options_t;

/* Runs until *stop is set (then returns what it holds and leaves within some seconds) or the
 * options are unusable. Reconnects for ever. */
int worker_run(const worker_options_t *options, const atomic_int *stop, error_t *error);

#endif
