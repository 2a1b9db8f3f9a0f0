#include "coordinator/core/core_inner.h"

#include "coordinator/core/memory.h"

#include <stdlib.h>
#include <string.h>

void core_options_init(core_options_t *self)
{
    *self = (core_options_t){.queue_limit = 1000,
                             .running_limit = 2,
                             .retry_limit = 3,
                             .lease_ms = 3000,
                             .save_retry_ms = 500,
                             .save_retry_limit = 20,
                             .purge_retry_ms = 30000,
                             .pause_grace_ms = 1000,
                             .straggler_percent = 90};
}

core_t *core_new(const core_options_t *options)
{
    core_t *self = core_allocate(1, sizeof *self);
    self->options = *options;
    self->wake_ms = INT64_MAX;
    job_table_init(&self->jobs);
    return self;
}

void core_destroy(core_t **self)
{
    core_t *core = *self;
    if (!core)
        return;
    core_saves_clear(core);
    worker_table_clear(&core->workers);
    free(core->queue.items);
    free(core->active.items);
    free(core->recovered.items);
    free(core->tickets.items);
    free(core->retries.items);
    job_table_clear(&core->jobs);
    free(core);
    *self = NULL;
}

/* ---- events ---- */

static void on_result(core_t *self, const core_event_t *event)
{
    worker_t *worker = worker_table_find(&self->workers, event->worker);
    if (worker)
        worker->heard_ms = self->now_ms;
    result_brought(self, event->worker, &event->ref, &event->sha256);
}

static void on_done(core_t *self, const core_event_t *event)
{
    pending_t pending;
    if (!pending_take(self, event->ticket, &pending))
        return;
    switch (pending.kind) {
    case PENDING_SLOT:
        job_save_done(self, pending.job, event);
        break;
    case PENDING_RESULT:
        result_save_done(self, pending.save, &event->error);
        break;
    case PENDING_ADVANCE:
        job_advance_done(self, pending.job, event);
        break;
    case PENDING_WRITE:
        job_write_done(self, pending.job, event);
        break;
    case PENDING_REMOVE:
        job_remove_done(self, pending.job, &event->error);
        break;
    case PENDING_PURGE:
        job_purge_done(self, pending.job, &event->error);
        break;
    }
}

static void on_recovered(core_t *self, const core_event_t *event)
{
    (void)event;
    recover_end(self);
}

static void on_tick(core_t *self, const core_event_t *event)
{
    (void)self;
    (void)event;
}

static void handle(core_t *self, const core_event_t *event)
{
    static void (*const HANDLERS[])(core_t *, const core_event_t *) = {
        [CORE_EVENT_SUBMIT] = job_submitted,
        [CORE_EVENT_CONTROL] = job_control,
        [CORE_EVENT_RECOVER_JOB] = recover_job,
        [CORE_EVENT_RECOVER_STAGE] = recover_stage,
        [CORE_EVENT_RECOVER_TASK] = recover_task,
        [CORE_EVENT_RECOVER_COUNT] = recover_count,
        [CORE_EVENT_RECOVERED] = on_recovered,
        [CORE_EVENT_HELLO] = worker_hello,
        [CORE_EVENT_HEARTBEAT] = worker_heartbeat,
        [CORE_EVENT_RESULT] = on_result,
        [CORE_EVENT_FAILURE] = worker_failure,
        [CORE_EVENT_RETURNED] = worker_returned,
        [CORE_EVENT_GOODBYE] = worker_goodbye,
        [CORE_EVENT_DONE] = on_done,
        [CORE_EVENT_LOST] = job_lost,
        [CORE_EVENT_EXPIRE] = job_expired,
        [CORE_EVENT_TICK] = on_tick,
    };
    if (event->kind == CORE_EVENT_CONTROL || event->kind == CORE_EVENT_EXPIRE)
        recover_end(self); /* the job that it is about may have come back just now */
    HANDLERS[event->kind](self, event);
}

/* ---- what follows from them ---- */

static void try_again(core_t *self)
{
    pending_t pending;
    while (pending_due(self, &pending)) {
        if (pending.kind == PENDING_SLOT)
            job_save_retry(self, pending.job);
        else if (pending.kind == PENDING_RESULT)
            result_save_retry(self, pending.save);
        else if (pending.kind == PENDING_PURGE)
            job_purge_again(self, pending.job);
        else
            pending.job->waiting = 0;
    }
}

static void proceed_jobs(core_t *self)
{
    size_t kept = 0;
    for (size_t i = 0; i < self->active.count; i++) {
        core_job_t *job = self->active.items[i];
        while (job_proceed(self, job))
            ;
        if (job_is_over(self, job))
            job_forget(self, job);
        else if (job_settled(job))
            job->active = 0;
        else
            self->active.items[kept++] = job;
    }
    self->active.count = kept;
}

static void start_jobs(core_t *self)
{
    while (self->queue.count > 0 && self->in_slot < self->options.running_limit) {
        core_job_t *job = next_to_start(self);
        if (!job)
            return;
        job_move(self, job, MOVE_START);
        while (job_proceed(self, job))
            ;
    }
}

static int64_t settle(core_t *self)
{
    try_again(self);
    workers_expire(self);
    proceed_jobs(self);
    start_jobs(self);
    core_dispatch(self);

    int64_t wake_ms = workers_next_tick(self);
    int64_t straggler_ms = core_next_straggler(self);
    int64_t pause_ms = jobs_next_pause(self);
    wake_ms = straggler_ms < wake_ms ? straggler_ms : wake_ms;
    wake_ms = pause_ms < wake_ms ? pause_ms : wake_ms;
    if (self->retries.count > 0 && self->retries.items[0].due_ms < wake_ms)
        wake_ms = self->retries.items[0].due_ms;
    return wake_ms;
}

int64_t core_step(core_t *self, const core_event_t *event, int64_t now_ms, core_actions_t *actions)
{
    actions->count = 0;
    self->actions = actions;
    self->now_ms = now_ms;
    if (now_ms > self->wake_ms)
        workers_forgive(self, now_ms - self->wake_ms);
    handle(self, event);
    self->wake_ms = settle(self);
    self->actions = NULL;
    return self->wake_ms;
}

/* ---- reading ---- */

int core_knows(const core_t *self, const char *job_id)
{
    return job_table_find(&self->jobs, job_id) != NULL;
}

size_t core_job_total(const core_t *self) { return self->jobs.count; }

int core_job(const core_t *self, const char *job_id, core_job_view_t *out)
{
    const core_job_t *job = job_table_find(&self->jobs, job_id);
    if (!job || !job->known)
        return 0;
    memset(out, 0, sizeof *out);
    out->job_id = job->id;
    out->state = job->told;
    out->epoch = job->epoch;
    out->stage = job->has_stage ? job->stage.number : 0;
    out->task_count = job->tasks.count;
    out->tasks_done = job->tasks.done;
    out->tasks_in_flight = task_table_in_flight(&job->tasks);
    out->results_waiting = (uint32_t)job->result_saves;
    out->memory_need = job->memory;
    out->memory_in_use = memory_in_use(self, job);
    out->waits_for_memory = job->state == JOB_QUEUED && !memory_fits(self, job);
    out->waits_for_turn = job->state == JOB_QUEUED && self->in_slot >= self->options.running_limit;
    out->has_stage = job->has_stage;
    if (job->has_stage) {
        out->last = job->stage.last;
        out->stage_sha = job->stage.stage_sha;
        out->state_sha = job->stage.state_sha;
    }
    out->retries = job->retries;
    out->workers_lost = job->workers_lost;
    out->late_results = job->late_results;
    out->saving_failed = job->saves_waiting > 0 || job->waiting;
    if (job->error)
        out->error = *job->error;
    else if (out->saving_failed && job->save_error)
        out->error = *job->save_error;
    return 1;
}

int core_task_done(const core_t *self, const char *job_id, uint32_t task)
{
    const core_job_t *job = job_table_find(&self->jobs, job_id);
    return job && task < job->tasks.count && job->tasks.entries[task].status == TASK_DONE;
}

int core_result(const core_t *self, const char *job_id, uint32_t task, sha256_t *out)
{
    if (!core_task_done(self, job_id, task))
        return 0;
    *out = job_table_find(&self->jobs, job_id)->tasks.entries[task].result;
    return 1;
}

size_t core_job_count(const core_t *self, job_state_t state)
{
    return (int)state >= 0 && state < JOB_STATE_COUNT ? self->told_counts[state] : 0;
}

size_t core_worker_count(const core_t *self) { return self->workers.count; }

size_t core_worker_leases(const core_t *self, uint32_t worker)
{
    const worker_t *found = worker_table_find(&self->workers, worker);
    return found ? found->lease_count : 0;
}
