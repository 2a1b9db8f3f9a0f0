/* task_run.h - runs one task: vectors and inputs in, one payload out, no sockets.
 *
 * The payload is a function of the task, the index and the inputs alone: not of threads, SIMD
 * width, or what ran before. (That of `rotate` and `encode` may differ in its last bits from one
 * processor to another: no answer depends on it.) One file a task kind stands behind this header. */
#ifndef STAGE4_WORKER_TASKS_TASK_RUN_H
#define STAGE4_WORKER_TASKS_TASK_RUN_H

#include "common/input/flat_index.h"
#include "proto/task.h"
#include "worker/tasks/kept_vectors.h"

#include <stdatomic.h>

typedef struct compute compute_t; /* worker/compute/compute.h */

/* The bytes of an input; they stay valid until the task ends. */
typedef int (*task_input_fn)(void *context, const sha256_t *sha256, const void **bytes,
                             size_t *length, error_t *error);

typedef struct {
    compute_t *compute;
    const flat_index_t
        *index; /* opened and checked against task->index_fingerprint by the caller */
    task_input_fn input;
    void *input_context;
    atomic_uint_fast64_t *work_done; /* grows to task->work */
    const atomic_int *stop;          /* non-zero: give up soon with ERR_CANCELLED */
    kept_vectors_t *vectors;         /* of the index; NULL: they are read from it every time */
} task_context_t;

/* `payload` is malloc'd and the caller's. */
int task_run(const task_t *task, const task_context_t *context, uint8_t **payload, size_t *length,
             error_t *error);

#endif
