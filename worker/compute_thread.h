/* compute_thread.h - the thread that runs tasks, one after another, so that the event loop beside
 * it never misses a heartbeat. */
#ifndef STAGE4_WORKER_COMPUTE_THREAD_H
#define STAGE4_WORKER_COMPUTE_THREAD_H

#include "common/error.h"
#include "common/net/actor.h"
#include "proto/task.h"
#include "worker/input_cache.h"
#include "worker/open_indices.h"

#include <stdatomic.h>

/* One task on its way through. The owner fills the first part and hands it over; while it is away
 * only the two atomics may be touched. It comes back with the second part filled. */
typedef struct {
    task_t task;                            /* owned */
    input_view_t inputs[STAGE_INPUT_LIMIT]; /* pinned by the owner until it is back */
    atomic_uint_fast64_t work_done;
    atomic_int stop;

    int code;
    error_t error;
    uint8_t *payload; /* owned; NULL unless code is OK */
    size_t length;
    sha256_t sha256;
    double seconds;
} compute_job_t;

void compute_job_destroy(compute_job_t **self);

typedef struct compute_thread compute_thread_t;

/* ERR_USAGE or ERR_MEMORY from compute_new. `indices` is borrowed. */
int compute_thread_new(open_indices_t *indices, uint32_t threads, compute_thread_t **out,
                       error_t *error);
/* Waits for the task that runs: set its `stop` first. Jobs not taken back are destroyed. */
void compute_thread_destroy(compute_thread_t **self);

const char *compute_thread_describe(const compute_thread_t *self); /* "avx512+openblas" */
net_pipe_t *compute_thread_pipe(compute_thread_t *self); /* compute_job_t* go and come back */

#endif
