/* job.h - what the core remembers of one job, and the table of all jobs.
 *
 * `state` is what the core has decided; `told` is what anyone may know: it follows once the ledger
 * has it. `version` counts the decisions that must be durable, `durable_version` those that are. */
#ifndef STAGE4_COORDINATOR_CORE_JOB_H
#define STAGE4_COORDINATOR_CORE_JOB_H

#include "common/error.h"
#include "coordinator/core/job_state.h"
#include "coordinator/core/task_table.h"
#include "proto/client_message.h"
#include "proto/task.h"

/* A client that waits until `version` is durable. */
typedef struct {
    uint64_t request;
    uint64_t version;
    client_verb_t verb;
} job_waiter_t;

/* Where a job stands between two barriers; what a row of the ledger's stages says. */
typedef struct {
    uint32_t number;
    uint32_t task_count;
    int last;
    sha256_t stage_sha;
    sha256_t state_sha;
} job_stage_t;

/* A job has one slot for saves of its own row and its stage's row: they never overtake another. */
typedef enum { SLOT_EMPTY, SLOT_JOB, SLOT_STAGE, SLOT_WAITING } job_slot_t;

typedef struct core_job core_job_t;
struct core_job {
    core_job_t *next_in_bucket;
    char id[JOB_ID_SIZE];
    uint64_t sequence; /* of submission */
    uint32_t priority;
    uint32_t epoch;
    job_state_t state;
    job_state_t told;
    int known;  /* the ledger has it; before that nobody may hear of it */
    int active; /* in core->active */

    uint64_t version;
    uint64_t durable_version;
    job_slot_t slot;
    uint64_t slot_version;
    job_state_t slot_state;
    uint32_t slot_failures;

    uint64_t memory;    /* that it needs while it is at work, bytes; 0: not known yet */
    uint32_t overtaken; /* times that a job which came later was started before it */
    uint64_t served_ms; /* time of workers that it was given, as one number with the others */

    int has_stage;
    job_stage_t stage;
    task_table_t tasks;
    int has_next; /* ADVANCE has given the next stage; it is not saved yet */
    job_stage_t next;
    int next_unsure; /* a save of one was reported to have failed, or was overtaken by the job's
                      * failure; the ledger may have it */

    int advancing;          /* ADVANCE or WRITE under way */
    uint32_t advance_epoch; /* ... of that epoch: one of the past says nothing */
    int waiting;            /* ... or to be tried again later */
    uint32_t advance_failures;
    uint32_t rewinds;       /* times that a lost file sent it back to its plan */
    int64_t pause_until_ms; /* pausing: what still runs then is taken back; INT64_MAX: it was */
    int purging;
    int purged;            /* a purge has ended, well or not */
    int purge_failed;      /* ... it has not, and is tried again later */
    int retry_asked;       /* as soon as the purge is over */
    uint32_t result_saves; /* under way or to be tried again */
    uint32_t saves_waiting;

    uint32_t retries;
    uint32_t workers_lost;
    uint32_t late_results;
    error_t *error;      /* of a failed job, owned */
    error_t *save_error; /* the newest of a store, owned */

    job_waiter_t *waiters;
    size_t waiter_count;
    size_t waiter_capacity;
};

/* All jobs, by id. Never walked: what needs an order has a list of its own. */
typedef struct {
    core_job_t **buckets;
    size_t bucket_count; /* a power of two */
    size_t count;
} job_table_t;

void job_table_init(job_table_t *self);
void job_table_clear(job_table_t *self); /* destroys the jobs */
core_job_t *job_table_find(const job_table_t *self, const char *job_id);
core_job_t *job_table_add(job_table_t *self, const char *job_id); /* must be new */
void job_table_remove(job_table_t *self, core_job_t *job);        /* destroys it */

int job_durable(const core_job_t *self);
int job_stopped(const core_job_t *self);   /* cancelled or ended: nothing more is computed */
int job_in_slot(const core_job_t *self);   /* counts against running_limit */
int job_computing(const core_job_t *self); /* results of its current stage are wanted */
void job_set_stage(core_job_t *self, const job_stage_t *stage);
void job_drop_stage(core_job_t *self); /* and the next one: the job is planned again */
void job_add_waiter(core_job_t *self, uint64_t request, uint64_t version, client_verb_t verb);
void job_set_error(error_t **slot, const error_t *error);
void job_clear_error(error_t **slot);

/* A growing list of jobs in order of submission; owns nothing. */
typedef struct {
    core_job_t **items;
    size_t count;
    size_t capacity;
} job_list_t;

void job_list_insert(job_list_t *self, core_job_t *job);
void job_list_remove(job_list_t *self, const core_job_t *job); /* nothing when it is not there */

#endif
