/* core_inner.h - what the files of the core share. Nothing outside this folder includes it.
 *
 * How a step goes: the event's handler changes jobs, tasks and leases; then core_settle moves every
 * job that can move, starts queued ones, and hands out tasks. Handlers therefore only record what
 * happened; what follows from it is decided in one place. */
#ifndef STAGE4_COORDINATOR_CORE_CORE_INNER_H
#define STAGE4_COORDINATOR_CORE_CORE_INNER_H

#include "coordinator/core/core.h"
#include "coordinator/core/job.h"
#include "coordinator/core/worker_table.h"

/* One accepted result on its way to the ledger. */
typedef struct {
    uint32_t worker;
    task_ref_t ref;
} bringer_t;

typedef struct {
    core_job_t *job;
    task_ref_t ref;
    uint32_t worker; /* whose payload is saved */
    sha256_t sha256;
    int waiting; /* a save failed; to be tried again */
    uint32_t failures;
    bringer_t *bringers; /* all who brought it, and wait for an ACK */
    size_t bringer_count;
    size_t bringer_capacity;
} result_save_t;

typedef enum {
    PENDING_SLOT, /* the job's save slot */
    PENDING_RESULT,
    PENDING_ADVANCE,
    PENDING_WRITE,
    PENDING_PURGE,
    PENDING_REMOVE
} pending_kind_t;

/* Something under way (ticket != 0) or to be tried again at due_ms. */
typedef struct {
    uint64_t ticket;
    int64_t due_ms;
    pending_kind_t kind;
    core_job_t *job;
    result_save_t *save; /* PENDING_RESULT */
} pending_t;

typedef struct {
    pending_t *items;
    size_t count;
    size_t capacity;
} pending_list_t;

struct core {
    core_options_t options;
    core_actions_t *actions; /* of the step under way */
    int64_t now_ms;
    int64_t wake_ms; /* what the last step answered */
    uint64_t next_ticket;
    uint64_t next_sequence;
    uint64_t served_sequence; /* the job that was last given a worker */
    uint64_t served_ms;       /* ... and what it had been given until then */

    job_table_t jobs;
    job_list_t queue;     /* queued, durable, startable */
    job_list_t active;    /* those core_settle looks after */
    job_list_t recovered; /* until CORE_EVENT_RECOVERED */
    worker_table_t workers;
    pending_list_t tickets; /* by ticket */
    pending_list_t retries; /* by due_ms */
    result_save_t **saves;
    size_t save_count;
    size_t save_capacity;
    size_t told_counts[JOB_STATE_COUNT];
    size_t not_ended;
    size_t in_slot;
};

/* actions.c */
core_action_t *core_act(core_t *self, core_action_kind_t kind);
core_action_t *core_act_job(core_t *self, core_action_kind_t kind, const core_job_t *job);
void core_act_ref(core_t *self, core_action_kind_t kind, uint32_t worker, const task_ref_t *ref);
void core_reply(core_t *self, uint64_t request, const char *job_id, const error_t *error);

/* pending.c: tickets and what waits to be tried again */
uint64_t pending_ticket(core_t *self, pending_kind_t kind, core_job_t *job, result_save_t *save);
int pending_take(core_t *self, uint64_t ticket, pending_t *out);
void pending_retry(core_t *self, pending_kind_t kind, core_job_t *job, result_save_t *save);
void pending_purge(core_t *self, core_job_t *job);
int pending_due(core_t *self, pending_t *out); /* takes the next that is due */
void pending_forget_purge(core_t *self, const core_job_t *job);
void pending_forget_save(core_t *self, const result_save_t *save);

/* job_save.c: the slot for the rows of a job */
void job_save_next(core_t *self, core_job_t *job);
void job_save_done(core_t *self, core_job_t *job, const core_event_t *event);
void job_save_retry(core_t *self, core_job_t *job);
void job_tell(core_t *self, core_job_t *job, job_state_t state);

/* result.c: results of tasks */
void result_brought(core_t *self, uint32_t worker, const task_ref_t *ref, const sha256_t *sha256);
void result_save_done(core_t *self, result_save_t *save, const error_t *error);
void result_save_retry(core_t *self, result_save_t *save);
void result_drop_waiting(core_t *self, const core_job_t *job);
void core_saves_clear(core_t *self);

/* job_life.c: moving jobs */
void job_move(core_t *self, core_job_t *job, job_move_t move);
void job_stop_work(core_t *self, core_job_t *job); /* takes back all that runs of it */
void job_fail(core_t *self, core_job_t *job, const error_t *error);
void job_submitted(core_t *self, const core_event_t *event);
void job_control(core_t *self, const core_event_t *event);
int job_proceed(core_t *self, core_job_t *job); /* 1 when the job moved */
int job_settled(const core_job_t *job);         /* 1 when core_settle may forget it */
void job_advance_done(core_t *self, core_job_t *job, const core_event_t *event);
void job_write_done(core_t *self, core_job_t *job, const core_event_t *event);
void job_purge_done(core_t *self, core_job_t *job, const error_t *error);
void job_purge_again(core_t *self, core_job_t *job);
void job_enter(core_t *self, core_job_t *job); /* a new job is counted and watched */
int64_t jobs_next_pause(const core_t *self);   /* when a pause's patience ends; INT64_MAX: never */

/* job_again.c: jobs that go back */
void job_start_over(core_t *self, core_job_t *job);
void job_rewind(core_t *self, core_job_t *job, const error_t *error);
void job_lost(core_t *self, const core_event_t *event);

/* admission.c: which queued job starts */
core_job_t *next_to_start(core_t *self); /* NULL: none may */
int memory_fits(const core_t *self, const core_job_t *job);
uint64_t memory_in_use(const core_t *self, const core_job_t *but); /* by jobs at work, bytes */

/* job_end.c: jobs that are over */
int proceed_removing(core_t *self, core_job_t *job);
void job_expired(core_t *self, const core_event_t *event);
void job_remove_done(core_t *self, core_job_t *job, const error_t *error);
int job_is_over(const core_t *self, const core_job_t *job); /* the ledger has all of it */
void job_forget(core_t *self, core_job_t *job); /* the caller takes it off core->active */
void job_watch(core_t *self, core_job_t *job);

/* lease.c: workers come, go, and hold tasks */
void worker_hello(core_t *self, const core_event_t *event);
void worker_heartbeat(core_t *self, const core_event_t *event);
void worker_failure(core_t *self, const core_event_t *event);
void worker_returned(core_t *self, const core_event_t *event);
void worker_goodbye(core_t *self, const core_event_t *event);
void workers_expire(core_t *self);
void workers_forgive(core_t *self, int64_t overslept_ms);
int64_t workers_next_tick(const core_t *self); /* INT64_MAX while there is none */
void lease_end(core_t *self, uint32_t worker, const task_ref_t *ref); /* frees the credit only */
void leases_abort_task(core_t *self, const core_job_t *job, uint32_t task);
void leases_abort_job(core_t *self, const core_job_t *job);
int leases_hold(const core_t *self, const core_job_t *job);     /* 1: a worker has a task of it */
void leases_abort_waiting(core_t *self, const core_job_t *job); /* those behind another */
void task_fault(core_t *self, core_job_t *job, uint32_t task, const error_t *error);

/* dispatch.c */
void core_dispatch(core_t *self);
int64_t core_next_straggler(const core_t *self);

/* recovery.c */
void recover_job(core_t *self, const core_event_t *event);
void recover_stage(core_t *self, const core_event_t *event);
void recover_task(core_t *self, const core_event_t *event);
void recover_count(core_t *self, const core_event_t *event);
void recover_end(core_t *self);

#endif
