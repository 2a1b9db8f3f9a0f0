/* The life of a job: what moves it from one state to the next. */
#include "coordinator/core/core_inner.h"

#include <stdio.h>
#include <stdlib.h>

/* Running and merging need no row of their own: the stage's row tells where the job stands. */
static int must_be_durable(job_state_t state)
{
    return state != JOB_RUNNING && state != JOB_MERGING;
}

void job_watch(core_t *self, core_job_t *job)
{
    if (job->active)
        return;
    job->active = 1;
    job_list_insert(&self->active, job);
}

void job_enter(core_t *self, core_job_t *job)
{
    self->not_ended += !job_state_ended(job->state);
    self->in_slot += job_in_slot(job) ? 1 : 0;
    if (job->state != JOB_QUEUED && job->state != JOB_PAUSED)
        job_watch(self, job);
}

void job_move(core_t *self, core_job_t *job, job_move_t move)
{
    job_state_t next;
    if (!job_state_next(job->state, move, &next)) {
        fprintf(stderr, "core: job %s cannot %s while %s\n", job->id, job_move_name(move),
                job_state_name(job->state));
        abort();
    }
    if (next == job->state)
        return;
    job_state_t before = job->state;
    if (before == JOB_QUEUED)
        job_list_remove(&self->queue, job);
    self->in_slot -= job_in_slot(job) ? 1 : 0;
    job->state = next;
    if (next == JOB_RUNNING && job->served_ms < self->served_ms)
        job->served_ms = self->served_ms; /* who had nothing to do is owed nothing */
    if (next == JOB_PAUSING)
        job->pause_until_ms = self->now_ms + self->options.pause_grace_ms;
    self->in_slot += job_in_slot(job) ? 1 : 0;
    self->not_ended += job_state_ended(before) ? 1 : 0;
    self->not_ended -= job_state_ended(next) ? 1 : 0;
    if (next != JOB_QUEUED && next != JOB_PAUSED)
        job_watch(self, job);
    if (must_be_durable(next)) {
        job->version++;
        job_save_next(self, job);
    } else {
        job_tell(self, job, next);
    }
}

/* What cancelling and failing have in common: nothing of the job goes on. */
void job_stop_work(core_t *self, core_job_t *job)
{
    job->has_next = 0;
    if (job->advancing)
        core_act_job(self, CORE_ACTION_STOP_ADVANCE, job);
    leases_abort_job(self, job);
    result_drop_waiting(self, job);
}

void job_fail(core_t *self, core_job_t *job, const error_t *error)
{
    if (job_stopped(job))
        return;
    job_set_error(&job->error, error);
    job_move(self, job, MOVE_FAIL);
    job_stop_work(self, job);
}

/* ---- what users ask for ---- */

static int refuse_busy(const core_t *self, error_t *error)
{
    if (self->not_ended < self->options.queue_limit)
        return OK;
    return error_field(error, ERR_BUSY, "queue_limit",
                       "%zu jobs are waiting or running, and queue_limit is %u; try later",
                       self->not_ended, self->options.queue_limit);
}

void job_submitted(core_t *self, const core_event_t *event)
{
    error_t error = ERROR_INIT;
    if (job_table_find(&self->jobs, event->job_id)) {
        error_set(&error, ERR_CONFLICT, "job %s exists already", event->job_id);
        core_reply(self, event->request, event->job_id, &error);
        return;
    }
    if (refuse_busy(self, &error)) {
        core_reply(self, event->request, event->job_id, &error);
        return;
    }
    core_job_t *job = job_table_add(&self->jobs, event->job_id);
    job->sequence = ++self->next_sequence;
    job->priority = event->priority;
    job->epoch = 1;
    job->state = JOB_QUEUED;
    job->version = 1;
    job_enter(self, job);
    job_add_waiter(job, event->request, job->version, VERB_SUBMIT);
    job_save_next(self, job);
}

static int move_of(client_verb_t verb, job_move_t *out)
{
    static const struct {
        client_verb_t verb;
        job_move_t move;
    } ROWS[] = {{VERB_PAUSE, MOVE_PAUSE},
                {VERB_RESUME, MOVE_RESUME},
                {VERB_CANCEL, MOVE_CANCEL},
                {VERB_RETRY, MOVE_RETRY}};
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        if (ROWS[i].verb == verb) {
            *out = ROWS[i].move;
            return 1;
        }
    }
    return 0;
}

static int refuse_control(const core_job_t *job, const core_event_t *event, job_move_t move,
                          error_t *error)
{
    char offers[JOB_OFFERS_SIZE];
    if (!job || !job->known)
        return error_set(error, ERR_NOT_FOUND, "there is no job %s", event->job_id);
    job_state_offers_words(job->state, offers);
    return error_set(error, ERR_CONFLICT,
                     "the job is %s (%s): there is no %s of it now; what can be asked for: %s",
                     job_state_name(job->state), job_state_words(job->state), job_move_name(move),
                     *offers ? offers : "nothing");
}

/* A job that has just failed is cleaned up first. */
static int must_wait(core_job_t *job, job_move_t move)
{
    if (move != MOVE_RETRY || job->purged)
        return 0;
    job->retry_asked = 1;
    return 1;
}

static void take_control(core_t *self, core_job_t *job, job_move_t move)
{
    if (move == MOVE_RETRY) {
        job_start_over(self, job);
        return;
    }
    if (move == MOVE_CANCEL && job->state != JOB_CANCELLING)
        job->epoch++;
    job_move(self, job, move);
    if (move == MOVE_CANCEL)
        job_stop_work(self, job);
    if (move == MOVE_PAUSE)
        leases_abort_waiting(self, job);
}

void job_control(core_t *self, const core_event_t *event)
{
    core_job_t *job = job_table_find(&self->jobs, event->job_id);
    job_move_t move = JOB_MOVE_COUNT;
    job_state_t next;
    error_t error = ERROR_INIT;
    if (!job || !job->known || !move_of(event->verb, &move) ||
        !job_state_next(job->state, move, &next)) {
        refuse_control(job, event, move, &error);
        core_reply(self, event->request, event->job_id, &error);
        return;
    }
    if (move == MOVE_RETRY && refuse_busy(self, &error)) {
        core_reply(self, event->request, event->job_id, &error);
        return;
    }
    if (must_wait(job, move)) {
        job_add_waiter(job, event->request, job->version + 1, event->verb);
        return;
    }
    take_control(self, job, move);
    if (job_durable(job))
        core_reply(self, event->request, job->id, NULL);
    else
        job_add_waiter(job, event->request, job->version, event->verb);
}

/* ---- what follows by itself ---- */

static void start_advance(core_t *self, core_job_t *job)
{
    job->advancing = 1;
    job->advance_epoch = job->epoch;
    core_action_t *action = core_act_job(self, CORE_ACTION_ADVANCE, job);
    action->first = !job->has_stage;
    if (job->has_stage) {
        action->stage = job->stage.number;
        action->task_count = job->stage.task_count;
        action->stage_sha = job->stage.stage_sha;
        action->state_sha = job->stage.state_sha;
    }
    action->ticket = pending_ticket(self, PENDING_ADVANCE, job, NULL);
}

static int stage_complete(const core_job_t *job) { return job->tasks.done == job->tasks.count; }

/* Planning (started, resumed or recovered) and merging: towards a stage with work in it. */
static int proceed_between(core_t *self, core_job_t *job)
{
    if (!job_durable(job) || job->advancing || job->waiting || job->has_next)
        return 0;
    if (!job->has_stage || (job->state == JOB_MERGING && !job->stage.last && stage_complete(job))) {
        start_advance(self, job);
        return 0;
    }
    int at_work = task_table_in_flight(&job->tasks) > 0; /* resumed before it had come to rest */
    if (job->state == JOB_PLANNING && !at_work && !memory_fits(self, job))
        job_move(self, job, MOVE_WAIT);
    else
        job_move(self, job, job->stage.last ? MOVE_LAST : MOVE_TASKS);
    return 1;
}

static int proceed_running(core_t *self, core_job_t *job)
{
    if (!stage_complete(job))
        return 0;
    job_move(self, job, MOVE_STAGE_DONE);
    return 1;
}

static int proceed_writing(core_t *self, core_job_t *job)
{
    if (!job_durable(job) || job->advancing || job->waiting)
        return 0;
    job->advancing = 1;
    job->advance_epoch = job->epoch;
    core_action_t *action = core_act_job(self, CORE_ACTION_WRITE, job);
    action->stage = job->stage.number;
    action->state_sha = job->stage.state_sha;
    action->ticket = pending_ticket(self, PENDING_WRITE, job, NULL);
    return 0;
}

/* What runs gets a moment to finish; then it is taken back, and runs again after the resume. */
static void enforce_pause(core_t *self, core_job_t *job)
{
    if (self->now_ms < job->pause_until_ms)
        return;
    job->pause_until_ms = INT64_MAX;
    if (job->advancing)
        core_act_job(self, CORE_ACTION_STOP_ADVANCE, job);
    leases_abort_job(self, job);
}

int64_t jobs_next_pause(const core_t *self)
{
    int64_t next_ms = INT64_MAX;
    for (size_t i = 0; i < self->active.count; i++) {
        const core_job_t *job = self->active.items[i];
        if (job->state == JOB_PAUSING && job->pause_until_ms < next_ms)
            next_ms = job->pause_until_ms;
    }
    return next_ms;
}

static int proceed_pausing(core_t *self, core_job_t *job)
{
    enforce_pause(self, job);
    if (job->advancing || job->has_next || task_table_in_flight(&job->tasks) > 0)
        return 0;
    job_move(self, job, MOVE_IDLE);
    return 1;
}

/* Cancelled or ended: what the job left behind goes, once nothing can add to it any more. */
static int proceed_stopped(core_t *self, core_job_t *job)
{
    if (job->retry_asked && job->purged) {
        job_start_over(self, job);
        return 1;
    }
    if (!job_durable(job) || job->slot != SLOT_EMPTY || job->advancing || job->result_saves > 0 ||
        job->purging || job->purged)
        return 0;
    job->purging = 1;
    core_action_t *action = core_act_job(self, CORE_ACTION_PURGE, job);
    action->ticket = pending_ticket(self, PENDING_PURGE, job, NULL);
    return 0;
}

static int proceed_never(core_t *self, core_job_t *job)
{
    (void)self;
    (void)job;
    return 0;
}

int job_proceed(core_t *self, core_job_t *job)
{
    static int (*const PROCEED[JOB_STATE_COUNT])(core_t *, core_job_t *) = {
        [JOB_QUEUED] = proceed_never,      [JOB_PLANNING] = proceed_between,
        [JOB_RUNNING] = proceed_running,   [JOB_MERGING] = proceed_between,
        [JOB_WRITING] = proceed_writing,   [JOB_PAUSING] = proceed_pausing,
        [JOB_PAUSED] = proceed_never,      [JOB_CANCELLING] = proceed_stopped,
        [JOB_COMPLETED] = proceed_stopped, [JOB_CANCELLED] = proceed_stopped,
        [JOB_FAILED] = proceed_stopped,    [JOB_REMOVING] = proceed_removing,
    };
    return PROCEED[job->state](self, job);
}

int job_settled(const core_job_t *job)
{
    if (job->state == JOB_QUEUED || job->state == JOB_PAUSED)
        return 1;
    return job_state_ended(job->state) && job_durable(job) && job->purged &&
           (job->purge_failed || job->state == JOB_REMOVING);
}

/* ---- ends of ADVANCE, WRITE and PURGE ---- */

/* 1 when the error names a task whose payload cannot be read: it runs again. */
static int task_broken(core_t *self, core_job_t *job, const core_event_t *event)
{
    const task_ref_t *ref = &event->ref;
    int code = event->error.code;
    if ((code != ERR_NOT_FOUND && code != ERR_INPUT) || ref->job_id[0] == 0 || !job->has_stage ||
        ref->stage != job->stage.number || ref->task >= job->tasks.count ||
        job->tasks.entries[ref->task].status != TASK_DONE)
        return 0;
    task_table_set(&job->tasks, ref->task, TASK_FREE);
    task_fault(self, job, ref->task, &event->error);
    return 1;
}

/* Stores come back, full disks get free, a merge that was stopped is begun again. */
static int may_pass(int code)
{
    return code == ERR_UNAVAILABLE || code == ERR_CANCELLED || code == ERR_IO;
}

/* ADVANCE or WRITE has failed: what may pass is waited for, anything else fails the job. */
static void advance_failed(core_t *self, core_job_t *job, pending_kind_t kind,
                           const core_event_t *event)
{
    const error_t *error = &event->error;
    if (event->lost) {
        job_rewind(self, job, error);
        return;
    }
    if (!may_pass(error->code) || ++job->advance_failures > self->options.save_retry_limit) {
        job_fail(self, job, error);
        return;
    }
    if (job->state == JOB_PAUSING)
        return; /* it starts afresh when the job is resumed */
    job_set_error(&job->save_error, error);
    job->waiting = 1;
    pending_retry(self, kind, job, NULL);
}

static int stage_is_sane(const core_job_t *job, const core_event_t *event, error_t *error)
{
    uint32_t expected = job->has_stage ? job->stage.number + 1 : 0;
    if (event->stage != expected)
        return error_set(error, ERR_INTERNAL, "stage %u came where stage %u was due", event->stage,
                         expected);
    if (!event->last && (event->task_count == 0 || event->task_count > TASK_TABLE_LIMIT))
        return error_set(error, ERR_TOO_LARGE, "stage %u has %u tasks, 1 to %u are possible",
                         event->stage, event->task_count, TASK_TABLE_LIMIT);
    return OK;
}

/* It was stopped, or sent back to its plan, since the ADVANCE began. */
static int is_of_the_past(const core_job_t *job)
{
    return job_stopped(job) || job->advance_epoch != job->epoch;
}

void job_advance_done(core_t *self, core_job_t *job, const core_event_t *event)
{
    job->advancing = 0;
    if (is_of_the_past(job))
        return;
    if (event->error.code != OK) {
        if (!task_broken(self, job, event))
            advance_failed(self, job, PENDING_ADVANCE, event);
        return;
    }
    error_t error = ERROR_INIT;
    if (stage_is_sane(job, event, &error) != OK) {
        job_fail(self, job, &error);
        return;
    }
    job->advance_failures = 0;
    job->has_next = 1;
    if (event->memory)
        job->memory = event->memory;
    job->next = (job_stage_t){event->stage, event->task_count, event->last, event->stage_sha,
                              event->state_sha};
    job_save_next(self, job);
}

void job_write_done(core_t *self, core_job_t *job, const core_event_t *event)
{
    job->advancing = 0;
    if (is_of_the_past(job))
        return;
    if (event->error.code == OK)
        job_move(self, job, MOVE_WRITTEN);
    else
        advance_failed(self, job, PENDING_WRITE, event);
}

/* One that failed was logged by the shell, and is tried again later; nobody waits for that. */
void job_purge_done(core_t *self, core_job_t *job, const error_t *error)
{
    job->purging = 0;
    job->purged = 1;
    job->purge_failed = error->code != OK;
    if (job->purge_failed)
        pending_purge(self, job);
    if (job->state != JOB_FAILED)
        job_drop_stage(job);
    if (job->state == JOB_CANCELLING)
        job_move(self, job, MOVE_PURGED);
}

void job_purge_again(core_t *self, core_job_t *job)
{
    job->purged = 0;
    job->purge_failed = 0;
    job_watch(self, job);
}
