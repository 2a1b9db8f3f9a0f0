/* worker_table.h - the workers that are there, and which task attempts each is believed to hold. */
#ifndef STAGE4_COORDINATOR_CORE_WORKER_TABLE_H
#define STAGE4_COORDINATOR_CORE_WORKER_TABLE_H

#include "coordinator/core/job.h"

/* A task attempt that a worker was given: it uses one credit until its ACK goes out. */
typedef struct {
    core_job_t *job;
    task_ref_t ref;
    int64_t dispatched_ms;
    int64_t seen_ms; /* dispatched, or last named in a heartbeat */
    int brought;     /* its result has come, and waits to be durable */
} lease_t;

typedef struct {
    uint32_t handle;
    uint32_t credit;
    int64_t heard_ms;
    int64_t hello_ms;
    uint32_t hello_repeats; /* in quick succession */
    lease_t *leases;        /* in the order they were handed out */
    size_t lease_count;
    size_t lease_capacity;
} worker_t;

/* An unknown connection that was told to say hello; told again only after a while. */
typedef struct {
    uint32_t handle;
    int64_t told_ms;
} stranger_t;

typedef struct {
    worker_t **items; /* by handle */
    size_t count;
    size_t capacity;
    stranger_t *strangers; /* by told_ms */
    size_t stranger_count;
    size_t stranger_capacity;
} worker_table_t;

void worker_table_clear(worker_table_t *self);
worker_t *worker_table_find(const worker_table_t *self, uint32_t handle);
worker_t *worker_table_add(worker_table_t *self, uint32_t handle); /* must be new */
/* Takes it out; the caller destroys it. */
void worker_table_take(worker_table_t *self, const worker_t *worker);
void worker_destroy(worker_t *self);

/* 1 when the stranger was not told within wait_ms: tell it now. */
int worker_table_tell_stranger(worker_table_t *self, uint32_t handle, int64_t now_ms,
                               int64_t wait_ms);

/* The worker with the most free credit, the lowest handle among equals; NULL when none has any.
 * `not_task` (may be NULL): a worker that holds that task is passed over. */
worker_t *worker_table_freest(const worker_table_t *self, const task_ref_t *not_task);

int refs_equal(const task_ref_t *a, const task_ref_t *b);
int refs_same_task(const task_ref_t *a, const task_ref_t *b); /* whatever the attempt */

/* LEASE_NONE when the worker does not hold that attempt. */
#define LEASE_NONE SIZE_MAX
size_t worker_find_lease(const worker_t *self, const task_ref_t *ref);
lease_t *worker_add_lease(worker_t *self);
void worker_remove_lease(worker_t *self, size_t index);

#endif
