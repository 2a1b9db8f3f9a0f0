/* merge_thread.h - the thread beside the event loop: folds results, writes outcomes, purges.
 *
 * One thread, first in first out: so a purge never overtakes the advance of its job, and at most
 * one fold needs memory at a time. It has handles of its own on spool and result store. */
#ifndef STAGE4_COORDINATOR_MERGE_THREAD_H
#define STAGE4_COORDINATOR_MERGE_THREAD_H

#include "common/error.h"
#include "common/net/actor.h"
#include "coordinator/merge/advance.h"
#include "proto/task.h"
#include "proto/job_spec.h"
#include "proto/store/result_store.h"

#include <stdatomic.h>

typedef enum { MERGE_ADVANCE, MERGE_WRITE, MERGE_PURGE, MERGE_REMOVE } merge_kind_t;

/* One piece of work. The first part is filled by the event loop, the second by the thread; while it
 * is away only `stop` may be touched. */
typedef struct {
    merge_kind_t kind;
    uint64_t ticket;
    char job_id[JOB_ID_SIZE];
    uint32_t epoch;
    const job_spec_t *spec; /* borrowed: of the job's record, which stays until this is back */
    const char *spec_json;  /* borrowed */
    atomic_int stop;
    int first;
    uint32_t stage;
    sha256_t stage_sha;
    sha256_t state_sha;
    uint32_t result_count;
    sha256_t *results;   /* owned */
    int discard_results; /* PURGE: of a job that has not completed, also what was committed */

    int keep_spool; /* PURGE: of a job that may be retried */

    error_t error;
    int lost;                  /* a file of the job that an earlier step left cannot be read */
    uint32_t broken_task;      /* UINT32_MAX; else the task whose payload cannot be read */
    advance_output_t advanced; /* ADVANCE */
    char *report_json;         /* WRITE; owned */
} merge_work_t;

void merge_work_destroy(merge_work_t **self);

typedef struct {
    const char *indices_folder;
    const char *cache_folder;
    const char *output_folder;
    const char *spool_folder;
    int scratch; /* the spool need not be durable */
    memory_place_t memory;
    const result_store_options_t *results; /* borrowed */
    result_fence_t fence;                  /* claimed of the results; borrowed texts */
    uint64_t matrix_bytes;                 /* advance.h */
} merge_places_t;

typedef struct merge_thread merge_thread_t;

/* Opens its stores first, so that a damaged one is known at the start. `places` is borrowed. */
int merge_thread_new(const merge_places_t *places, merge_thread_t **out, error_t *error);
/* Waits for the work under way: set its `stop` first. What is not taken back is destroyed. */
void merge_thread_destroy(merge_thread_t **self);
net_pipe_t *merge_thread_pipe(merge_thread_t *self); /* merge_work_t* go and come back */
/* Work that is taken from now on is given back at once, unfinished. */
void merge_thread_stop(merge_thread_t *self);

#endif
