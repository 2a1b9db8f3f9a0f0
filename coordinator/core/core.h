/* core.h - everything the coordinator decides, and nothing it does.
 *
 * core_step(core, event, now_ms, actions) is the whole of it: no socket, no file, no clock, no
 * random number. The shell (coordinator.c) and the simulation (tests/sim) feed it events and carry
 * out its actions, in the order given. Equal event sequences give equal action sequences.
 *
 * Words: a *request* is the shell's handle of a waiting client (0: none waits). A *worker* is the
 * shell's handle of one connection identity. A *ticket* names one save that is under way; the shell
 * answers each action that carries a ticket with exactly one CORE_EVENT_DONE (or it dies).
 *
 * Rules that the simulation checks at every step:
 *  - nothing is acknowledged (REPLY with OK to a submit or control, ACK of a result) before the
 * save that it depends on is done;
 *  - a result is accepted at most once for (job, epoch, stage, task), whichever attempt brings it;
 *    one of an older epoch, stage, or of a task already done is answered with ACK and counted;
 *  - an epoch only grows; it grows by cancel, recovery, retry, and when a lost file sends a job
 *    back to its plan;
 *  - a task belongs to at most one worker, except a straggler, which may run twice;
 *  - a worker never holds more than its credit;
 *  - a worker silent for lease_ms is gone: its tasks are free again. Time that the core was not
 *    stepped, though it had asked for a TICK, is nobody's silence;
 *  - a task that retry_limit (3) workers died on or failed, or whose payload was lost as often,
 * fails the job with its name. Workers run in order: only the oldest lease is what one died on;
 *  - jobs at work need no more than memory_limit together, as far as their plans say;
 *  - a job that pauses keeps no task for longer than pause_grace_ms;
 *  - a job that has ended is forgotten once the ledger has its end, and that its purge is done;
 *  - ADVANCE and WRITE of a job are under way at most once at a time. */
#ifndef STAGE4_COORDINATOR_CORE_CORE_H
#define STAGE4_COORDINATOR_CORE_CORE_H

#include "common/error.h"
#include "common/sha256.h"
#include "coordinator/core/job_state.h"
#include "proto/client_message.h"
#include "proto/task.h"
#include "proto/worker_message.h"

#include <stddef.h>
#include <stdint.h>

typedef struct core core_t;

typedef struct {
    uint32_t queue_limit;       /* jobs not ended beyond which a submit is ERR_BUSY; default 1000 */
    uint32_t running_limit;     /* jobs worked on at once; default 2 */
    uint64_t memory_limit;      /* bytes that the jobs at work may need together; 0: any; a job
                                   that is alone starts in any case */
    uint32_t retry_limit;       /* 3 */
    int64_t lease_ms;           /* 3000 */
    int64_t save_retry_ms;      /* a failed save is tried again after this; default 500 */
    uint32_t save_retry_limit;  /* then the job fails (a stage or task save); default 20 */
    int64_t purge_retry_ms;     /* a failed purge is tried again after this; default 30000 */
    int64_t pause_grace_ms;     /* a pause waits so long for what runs, then takes it back; 1000 */
    uint32_t straggler_percent; /* a second attempt starts when at least that share of a stage is
                                   done, no task is free, and one runs at twice the mean; 0 off;
                                   default 90 */
} core_options_t;

void core_options_init(core_options_t *self);

/* ---- events: what has happened ---- */
typedef enum {
    /* A new job. request, job_id (fresh, chosen by the shell). The shell has checked the spec and
     * found no job with the same idempotency key. */
    CORE_EVENT_SUBMIT,
    /* A user's pause, resume, cancel or retry. request, verb, job_id. */
    CORE_EVENT_CONTROL,
    /* Recovery, before any other event: jobs that are not settled (id, epoch, state), then their
     * stages, then their finished tasks, and for each state how many settled jobs there are; then
     * one CORE_EVENT_RECOVERED. Later: a CONTROL or EXPIRE of a job that the core has forgotten
     * comes right behind its RECOVER_JOB (settled), RECOVER_STAGE and RECOVER_TASK. */
    CORE_EVENT_RECOVER_JOB,
    CORE_EVENT_RECOVER_STAGE,
    CORE_EVENT_RECOVER_TASK,
    CORE_EVENT_RECOVER_COUNT, /* state, count */
    CORE_EVENT_RECOVERED,
    CORE_EVENT_HELLO,     /* worker, credit: (re)appears and holds nothing */
    CORE_EVENT_HEARTBEAT, /* worker, refs[ref_count] that it holds with progress */
    CORE_EVENT_RESULT,    /* worker, ref, sha256: the shell keeps the payload until told */
    CORE_EVENT_FAILURE,   /* worker, ref, error: ERR_CHANGED, ERR_INPUT, ERR_USAGE fail the job at
                             once, ERR_NOT_FOUND of an input payload and the rest count as retries */
    CORE_EVENT_RETURNED,  /* worker, ref: not done, no fault of the task */
    CORE_EVENT_GOODBYE,   /* worker leaves; with an error: it is gone, and had not said so */
    /* ticket, error: a save, ADVANCE, WRITE or PURGE has ended. Failed saves are tried again. So
     * are ADVANCE and WRITE after ERR_UNAVAILABLE, ERR_IO or ERR_CANCELLED; ADVANCE with
     * ERR_NOT_FOUND or ERR_INPUT and a ref: that task's payload cannot be read, it runs again. `lost`: what cannot be
     * read is a file that only an earlier step can make again; of a SAVE_STAGE: the stage itself. A
     * SAVE_STAGE that went well may bring `found`. A REMOVE that failed waits for the next EXPIRE. */
    CORE_EVENT_DONE,
    CORE_EVENT_LOST, /* job_id, error: such a file is missed, and no ADVANCE or WRITE noticed it */
    /* job_id: it has ended, and its retention is over. Again for one whose removal has failed. */
    CORE_EVENT_EXPIRE,
    CORE_EVENT_TICK /* time passes */
} core_event_kind_t;

typedef struct {
    core_event_kind_t kind;
    uint64_t request;
    uint32_t worker;
    uint32_t credit;
    uint64_t ticket;
    char job_id[JOB_ID_SIZE];
    client_verb_t verb;
    uint32_t priority;   /* SUBMIT, RECOVER_JOB: higher ones start and are served first */
    uint32_t epoch;      /* RECOVER_* */
    job_state_t state;   /* RECOVER_JOB, RECOVER_COUNT */
    int settled;         /* RECOVER_JOB: it has ended, and so has its purge */
    size_t count;        /* RECOVER_COUNT */
    uint32_t stage;      /* RECOVER_STAGE; DONE of ADVANCE: the next stage's number */
    uint32_t task_count; /* RECOVER_STAGE; DONE of ADVANCE */
    int last;            /* RECOVER_STAGE; DONE of ADVANCE: nothing left to compute */
    uint64_t memory;     /* the same: bytes that the job needs at work; 0: as known, or not known */
    sha256_t stage_sha;  /* RECOVER_STAGE; DONE of ADVANCE */
    sha256_t state_sha;  /* RECOVER_STAGE; DONE of ADVANCE */
    task_ref_t ref;
    sha256_t sha256;       /* RESULT, RECOVER_TASK */
    int lost;              /* DONE */
    const sha256_t *found; /* DONE of SAVE_STAGE: results that an earlier pass over the same stage
                              left, durable, by task; zeros where there is none. NULL: none at all */
    error_t error;         /* FAILURE, DONE */
    size_t ref_count;
    const task_progress_t *refs;
} core_event_t;

/* ---- actions: what is to be done ---- */
typedef enum {
    CORE_ACTION_REPLY,       /* request, job_id, error (OK: the job's status is the answer) */
    CORE_ACTION_SAVE_JOB,    /* ticket, job_id, epoch, state, error, settled: ledger save_job */
    CORE_ACTION_SAVE_STAGE,  /* ticket, job_id, epoch, stage, task_count, last, stage_sha, state_sha
                              */
    CORE_ACTION_SAVE_RESULT, /* ticket, worker, ref, sha256: payload to the spool, then save_task */
    CORE_ACTION_DROP_RESULT, /* worker, ref: let the payload go, it is not wanted */
    CORE_ACTION_ACK,         /* worker, ref */
    CORE_ACTION_DISPATCH,    /* worker, ref: send the task */
    CORE_ACTION_ABORT,       /* worker, ref: tell it to stop that task */
    CORE_ACTION_DISMISS, /* worker: forget the connection; it will say hello again if it lives */
    CORE_ACTION_LOST, /* worker, job_id, task_count, error: it is gone, that many tasks of the job
                         are handed on; for the job's story. Before the DISMISS, if there is one */
    CORE_ACTION_ADVANCE, /* ticket, job_id, epoch, stage, first: run advance() over the results */
    CORE_ACTION_STOP_ADVANCE, /* job_id: its advance or write is not wanted (now), end it soon */
    CORE_ACTION_WRITE,        /* ticket, job_id, epoch, state_sha: write the outcome */
    CORE_ACTION_PURGE,        /* ticket, job_id, state: remove temporary output and, unless it is
                                 completed, what was written; unless it has failed, spool and task
                                 rows too: a failed job keeps those, to go on from when retried. Then an
                                 ended job's row says that it is settled */
    CORE_ACTION_REMOVE,   /* ticket, job_id: remove all there is of it, the ledger's row last; once
                                 that went well the core does not know the job any more */
    CORE_ACTION_CHANGED,  /* job_id, state: tell whoever watches (log, metrics, progress) */
    CORE_ACTION_FORGOTTEN /* job_id: the ledger has all there is of it, and the core nothing; or
                             it is removed. The last action of a job */
} core_action_kind_t;

typedef struct {
    core_action_kind_t kind;
    uint64_t request;
    uint64_t ticket;
    uint32_t worker;
    char job_id[JOB_ID_SIZE];
    uint32_t epoch;
    job_state_t state;
    uint32_t stage;
    uint32_t task_count;
    int last;
    int first;
    int settled;
    sha256_t stage_sha;
    sha256_t state_sha;
    task_ref_t ref;
    sha256_t sha256;
    error_t error;
} core_action_t;

/* A growing list, owned by the caller and reused between steps. */
typedef struct {
    core_action_t *items;
    size_t count;
    size_t capacity;
} core_actions_t;

void core_actions_clear(core_actions_t *self); /* frees */

/* Allocation failure inside the core aborts the process: what is durable is in the ledger. */
core_t *core_new(const core_options_t *options);
void core_destroy(core_t **self);

/* Empties `actions`, then fills it. Returns when it next wants a TICK, in now_ms time (INT64_MAX:
 * not before the next event). */
int64_t core_step(core_t *self, const core_event_t *event, int64_t now_ms, core_actions_t *actions);

/* ---- reading, for status and metrics; pointers live until the next step ---- */
typedef struct {
    const char *job_id;
    job_state_t state;
    uint32_t epoch;
    uint32_t stage;
    uint32_t task_count;
    uint32_t tasks_done; /* results durable */
    uint32_t tasks_in_flight;
    uint32_t results_waiting; /* accepted, and not durable */
    uint64_t memory_need;     /* 0: not known before it is planned */
    uint64_t memory_in_use;   /* by other jobs at work */
    int waits_for_memory;
    int waits_for_turn; /* as many jobs as may run at once are running */
    int has_stage;      /* and then these: */
    int last;
    sha256_t stage_sha;
    sha256_t state_sha;
    uint32_t retries;      /* attempts beyond the first, over the job's life in this process */
    uint32_t workers_lost; /* while holding tasks of the job */
    uint32_t late_results;
    int saving_failed; /* 1 while a save of it waits to be tried again */
    error_t error;     /* of a failed job, or of the save being retried */
} core_job_view_t;

/* 1 for a job that is in the core: not ended, or not settled. All others are in the ledger, or
 * nowhere. */
int core_knows(const core_t *self, const char *job_id);
size_t core_job_total(const core_t *self); /* of those */
/* 1 when known. The state is the durable one: what is not in the ledger is told to nobody. */
int core_job(const core_t *self, const char *job_id, core_job_view_t *out);
/* The result of a finished task of the job's stage; 1 when it is durable. For ADVANCE. */
int core_result(const core_t *self, const char *job_id, uint32_t task, sha256_t *out);
int core_task_done(const core_t *self, const char *job_id, uint32_t task);
/* Forgotten ones too. */
size_t core_job_count(const core_t *self, job_state_t state);
size_t core_worker_count(const core_t *self);
size_t core_worker_leases(const core_t *self, uint32_t worker); /* tasks it holds */

#endif
