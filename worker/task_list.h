/* task_list.h - what a worker has in its hands: tasks that wait or run, and results not yet
 * acknowledged. Plain lists; the worker decides. */
#ifndef STAGE4_WORKER_TASK_LIST_H
#define STAGE4_WORKER_TASK_LIST_H

#include "proto/worker_message.h"
#include "worker/compute_thread.h"
#include "worker/input_cache.h"

/* A task between its arrival and the end of its computation. */
typedef struct {
    compute_job_t *job; /* owned here, and by the compute thread while it runs */
    size_t pinned;      /* inputs[0 .. pinned) of the job are there */
    int running;
    int forgotten; /* the coordinator does not count it any more; it still runs, its end is awaited
                    */
} held_task_t;

/* A result that the coordinator has not acknowledged; sent again, more and more rarely. */
typedef struct {
    task_ref_t ref;
    sha256_t sha256;
    double seconds;
    uint64_t work;
    uint8_t *payload; /* owned */
    size_t length;
    int64_t due_ms;
    int64_t wait_ms;
} offer_t;

#define HELD_LIMIT (WORKER_CREDIT_LIMIT + 1) /* and one that is forgotten but still runs */
#define OFFER_LIMIT WORKER_CREDIT_LIMIT

typedef struct {
    held_task_t held[HELD_LIMIT]; /* in order of arrival */
    size_t held_count;
    offer_t offers[OFFER_LIMIT]; /* oldest first */
    size_t offer_count;
} task_list_t;

int task_refs_equal(const task_ref_t *a, const task_ref_t *b);

held_task_t *task_list_find(task_list_t *self, const task_ref_t *ref); /* not a forgotten one */
held_task_t *task_list_running(task_list_t *self);
size_t task_list_counted(const task_list_t *self); /* held and not forgotten */
/* NULL when the list is full. Takes the task's arrays from `task`. */
held_task_t *task_list_add(task_list_t *self, task_t *task, error_t *error);
/* Unpins its inputs and destroys its job. */
void task_list_remove(task_list_t *self, held_task_t *held, input_cache_t *cache);

/* Moves the payload of a finished job into an offer, due now. The oldest offer gives way when the
 * list is full: the coordinator will have its task done again. */
void task_list_offer(task_list_t *self, compute_job_t *job, int64_t now_ms);
void task_list_withdraw(task_list_t *self, const task_ref_t *ref); /* nothing when not there */

/* What a heartbeat says. */
void task_list_progress(const task_list_t *self, worker_message_t *out);

void task_list_clear(task_list_t *self, input_cache_t *cache); /* nothing may be running */

#endif
