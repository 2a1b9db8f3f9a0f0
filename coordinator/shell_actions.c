#include "coordinator/shell.h"

#include "common/clock.h"
#include "coordinator/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *shell_grow(void *items, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return items;
    *capacity = *capacity ? 2 * *capacity : 16;
    items = realloc(items, *capacity * size);
    if (!items) {
        fputs("coordinator: out of memory; what is durable is in the ledger\n", stderr);
        abort();
    }
    return items;
}

void shell_later(shell_t *self, const core_event_t *event)
{
    self->events =
        shell_grow(self->events, self->event_count, &self->event_capacity, sizeof *self->events);
    self->events[self->event_count++] = *event;
}

static void step(shell_t *self, const core_event_t *event)
{
    self->wake_ms = core_step(self->core, event, clock_monotonic_ms(), &self->actions);
    for (size_t i = 0; i < self->actions.count; i++)
        shell_perform(self, &self->actions.items[i]);
}

void shell_feed_later(shell_t *self)
{
    for (size_t i = 0; i < self->event_count; i++) {
        core_event_t next = self->events[i]; /* the list may move while it grows */
        step(self, &next);
    }
    self->event_count = 0;
}

void shell_feed(shell_t *self, const core_event_t *event)
{
    step(self, event);
    shell_feed_later(self);
}

static job_record_t *record_of(shell_t *self, const core_action_t *action)
{
    return job_book_find(&self->jobs, action->job_id);
}

static void done(shell_t *self, const core_action_t *action, const error_t *error)
{
    core_event_t event = {.kind = CORE_EVENT_DONE, .ticket = action->ticket, .error = *error};
    memcpy(event.job_id, action->job_id, sizeof event.job_id);
    shell_later(self, &event);
}

void shell_log_task(shell_t *self, const char *event, const core_action_t *action)
{
    const worker_peer_t *peer = shell_peer(self, action->worker);
    log_event(self->log, LOG_DEBUG, event, LOG_TEXT("job_id", action->ref.job_id),
              LOG_INT("stage", action->ref.stage), LOG_INT("task", action->ref.task),
              LOG_INT("attempt", action->ref.attempt), LOG_TEXT("worker", peer ? peer->name : ""));
}

static void act_reply(shell_t *self, const core_action_t *action)
{
    shell_answer(self, action->request, action->job_id, &action->error);
}

static void act_drop_result(shell_t *self, const core_action_t *action)
{
    payload_shelf_drop(&self->shelf, action->worker, &action->ref);
}

/* ---- workers ---- */

static void tell_of(shell_t *self, const core_action_t *action, worker_message_kind_t kind)
{
    worker_message_t message = {.kind = kind, .ref = action->ref};
    shell_tell_worker(self, action->worker, &message, NULL, 0);
}

static void act_ack(shell_t *self, const core_action_t *action) { tell_of(self, action, MSG_ACK); }

static void act_abort(shell_t *self, const core_action_t *action)
{
    tell_of(self, action, MSG_ABORT);
}

/* Borrows the record's arrays: the task must not be cleared. */
static int describe_task(job_record_t *record, const task_ref_t *ref, task_t *out)
{
    const stage_t *stage = &record->stage;
    if (ref->stage != record->stage_number || ref->task >= stage->task_count)
        return 0;
    uint32_t begin = stage->segment_begin[ref->task];
    *out = (task_t){.ref = *ref,
                    .kind = stage->kind,
                    .index_fingerprint = record->index_fingerprint,
                    .dimension = record->spec.dimension,
                    .segments = stage->segments + begin,
                    .segment_count = stage->segment_begin[ref->task + 1] - begin,
                    .work = stage->work[ref->task],
                    .input_count = stage->input_count,
                    .param_count = stage->param_count};
    snprintf(out->index_name, sizeof out->index_name, "%s", level_plural(record->spec.level));
    memcpy(out->inputs, stage->inputs, sizeof out->inputs);
    memcpy(out->params, stage->params, sizeof out->params);
    return 1;
}

/* A queue that is full hands the task back. A connection that is gone is a worker that left: it may
 * have said goodbye, so the task stays with it until that is read (shell_read_workers). */
static void act_dispatch(shell_t *self, const core_action_t *action)
{
    worker_message_t message = {.kind = MSG_TASK};
    job_record_t *record = record_of(self, action);
    int code = ERR_INTERNAL;
    if (record && describe_task(record, &action->ref, &message.task))
        code = shell_tell_worker(self, action->worker, &message, NULL, 0);
    if (!code) {
        self->metrics.tasks_dispatched++;
        shell_log_task(self, "task_dispatched", action);
        return;
    }
    core_event_t event = {
        .kind = CORE_EVENT_RETURNED, .worker = action->worker, .ref = action->ref};
    worker_peer_t *peer = shell_peer(self, action->worker);
    log_event(self->log, LOG_WARNING, "dispatch_failed", LOG_TEXT("job_id", action->job_id),
              LOG_INT("task", action->ref.task), LOG_TEXT("code", error_name(code)));
    if (code == ERR_UNAVAILABLE && peer)
        peer->unreachable = 1;
    else
        shell_later(self, &event);
}

static void act_lost(shell_t *self, const core_action_t *action)
{
    job_record_t *record = record_of(self, action);
    const worker_peer_t *peer = shell_peer(self, action->worker);
    self->metrics.workers_lost++;
    if (record)
        job_story_add(&record->story, clock_wall_ms(), "worker_lost",
                      "worker %s %s; %u of its tasks were handed on", peer ? peer->name : "?",
                      action->error.message, action->task_count);
}

static void act_dismiss(shell_t *self, const core_action_t *action)
{
    worker_message_t message = {.kind = MSG_WHO};
    worker_peer_t *peer = shell_peer(self, action->worker);
    if (!peer)
        return;
    log_event(self->log, LOG_WARNING, "worker_dismissed", LOG_TEXT("worker", peer->name));
    shell_tell_worker(self, action->worker, &message, NULL, 0);
    shell_forget_peer(self, action->worker);
}

/* ---- the merge thread ---- */

static merge_work_t *new_work(merge_kind_t kind, job_record_t *record, const core_action_t *action)
{
    merge_work_t *work = record ? calloc(1, sizeof *work) : NULL;
    if (!work)
        return NULL;
    work->kind = kind;
    work->ticket = action->ticket;
    memcpy(work->job_id, action->job_id, sizeof work->job_id);
    work->epoch = action->epoch;
    work->spec = &record->spec;
    work->spec_json = record->spec_json;
    work->first = action->first;
    work->stage = action->stage;
    work->stage_sha = action->stage_sha;
    work->state_sha = action->state_sha;
    return work;
}

static void hand_over(shell_t *self, job_record_t *record, merge_work_t *work,
                      const core_action_t *action)
{
    error_t error = ERROR_INIT;
    if (work && !net_pipe_put(merge_thread_pipe(self->merge), work)) {
        record->merging = work;
        return;
    }
    merge_work_destroy(&work);
    error_set(&error, ERR_UNAVAILABLE, "no memory to merge or write job %s", action->job_id);
    done(self, action, &error);
}

static void act_advance(shell_t *self, const core_action_t *action)
{
    job_record_t *record = record_of(self, action);
    merge_work_t *work = new_work(MERGE_ADVANCE, record, action);
    if (work && !action->first) {
        work->result_count = action->task_count;
        work->results = calloc((size_t)action->task_count + 1, sizeof *work->results);
        for (uint32_t task = 0; work->results && task < action->task_count; task++)
            core_result(self->core, action->job_id, task, &work->results[task]);
        if (!work->results)
            merge_work_destroy(&work);
    }
    if (record)
        job_record_phase(record, action->first ? "planning" : "merging", clock_monotonic_ms());
    hand_over(self, record, work, action);
}

static void act_write(shell_t *self, const core_action_t *action)
{
    job_record_t *record = record_of(self, action);
    if (record)
        job_record_phase(record, "writing", clock_monotonic_ms());
    hand_over(self, record, new_work(MERGE_WRITE, record, action), action);
}

static void act_purge(shell_t *self, const core_action_t *action)
{
    job_record_t *record = record_of(self, action);
    merge_work_t *work = new_work(MERGE_PURGE, record, action);
    if (work) {
        work->discard_results = action->state != JOB_COMPLETED;
        work->keep_spool = action->state == JOB_FAILED;
    }
    hand_over(self, record, work, action);
}

static void act_remove(shell_t *self, const core_action_t *action)
{
    job_record_t *record = record_of(self, action);
    hand_over(self, record, new_work(MERGE_REMOVE, record, action), action);
}

static void act_stop_advance(shell_t *self, const core_action_t *action)
{
    job_record_t *record = record_of(self, action);
    if (record && record->merging)
        atomic_store(&record->merging->stop, 1);
}

static void advanced(job_record_t *record, const merge_work_t *work, core_event_t *event)
{
    const advance_output_t *out = &work->advanced;
    event->stage = work->first ? 0 : work->stage + 1;
    event->task_count = out->task_count;
    event->memory = out->memory;
    event->last = out->last;
    event->stage_sha = out->stage_sha;
    event->state_sha = out->state_sha;
    memcpy(record->next_phase, out->phase, sizeof record->next_phase);
}

/* The broken payload's task, so that the core can have it done again. */
static void name_broken(job_record_t *record, const merge_work_t *work, core_event_t *event)
{
    if (work->broken_task == UINT32_MAX)
        return;
    if (record)
        job_story_add(&record->story, clock_wall_ms(), "result_lost",
                      "the result of task %u of stage %u is computed again: %s", work->broken_task,
                      work->stage, work->error.message);
    memcpy(event->ref.job_id, work->job_id, sizeof event->ref.job_id);
    event->ref.epoch = work->epoch;
    event->ref.stage = work->stage;
    event->ref.task = work->broken_task;
}

/* What has come back leaves the ledger's rows to the saver: then the core hears of it. */
static int leave_rows(shell_t *self, const merge_work_t *work)
{
    core_action_t action = {.ticket = work->ticket};
    if (work->error.code || (work->kind != MERGE_PURGE && work->kind != MERGE_REMOVE))
        return 0;
    memcpy(action.job_id, work->job_id, sizeof action.job_id);
    shell_leave_rows(self, &action,
                     work->kind == MERGE_REMOVE ? STORE_REMOVE
                     : work->keep_spool         ? STORE_SETTLE
                                                : STORE_FORGET);
    return 1;
}

static void take_over(shell_t *self, job_record_t *record, merge_work_t *work, core_event_t *event)
{
    record->merging = NULL;
    if (!work->error.code)
        job_story_taken(&record->story, clock_wall_ms(), STORE_RESULTS);
    else if (work->error.code == ERR_UNAVAILABLE)
        job_story_refused(&record->story, clock_wall_ms(), STORE_RESULTS, &work->error);
    if (work->kind == MERGE_ADVANCE && !work->error.code)
        advanced(record, work, event);
    else if (work->report_json && !work->error.code) {
        free(record->report_json);
        record->report_json = work->report_json;
        work->report_json = NULL;
    }
    if (work->error.code && work->lost)
        shell_tell_lost(self, record, &work->error);
}

void shell_merged(shell_t *self, merge_work_t *work)
{
    static const char *const NAMES[] = {"advance_failed", "write_failed", "purge_failed",
                                        "removal_failed"};
    core_event_t event = {.kind = CORE_EVENT_DONE, .ticket = work->ticket};
    job_record_t *record = job_book_find(&self->jobs, work->job_id);
    memcpy(event.job_id, work->job_id, sizeof event.job_id);
    if (record)
        take_over(self, record, work, &event);
    shell_notice_fence(self, &work->error);
    if (work->error.code) {
        event.error = work->error;
        event.lost = work->lost;
        name_broken(record, work, &event);
        log_event(self->log, LOG_WARNING, NAMES[work->kind], LOG_TEXT("job_id", work->job_id),
                  LOG_TEXT("code", error_name(work->error.code)),
                  LOG_TEXT("error", work->error.message));
    }
    int left = leave_rows(self, work);
    merge_work_destroy(&work);
    if (!left)
        shell_feed(self, &event);
}

/* ---- and the rest ---- */

static void act_changed(shell_t *self, const core_action_t *action)
{
    job_record_t *record = record_of(self, action);
    if (action->state == JOB_FAILED)
        log_event(self->log, LOG_WARNING, "job_failed", LOG_TEXT("job_id", action->job_id),
                  LOG_TEXT("code", error_name(action->error.code)),
                  LOG_TEXT("error", action->error.message));
    else
        log_event(self->log, LOG_INFO, "job_changed", LOG_TEXT("job_id", action->job_id),
                  LOG_TEXT("state", job_state_name(action->state)));
    if (!record)
        return;
    if (record->state != action->state)
        record->changed_ms = clock_wall_ms();
    if (job_state_ended(action->state) && !job_state_ended(record->state))
        metrics_job_ended(&self->metrics, &record->spec, action->state,
                          (double)(record->changed_ms - record->submitted_ms) / 1000.0);
    record->state = action->state;
    if (job_state_ended(action->state)) /* nothing of it is computed; a retry reads it again */
        job_record_set_stage(record, NULL, 0, 0, NULL);
    else if (action->state == JOB_RUNNING)
        job_record_phase(record, record->stage_phase, clock_monotonic_ms());
    else if (action->state == JOB_QUEUED)
        shell_load_again(self, record);
    else if (action->state == JOB_PAUSED)
        job_record_phase(record, NULL, clock_monotonic_ms());
}

static void act_forgotten(shell_t *self, const core_action_t *action)
{
    job_record_t *record = record_of(self, action);
    self->forgotten++;
    if (record)
        job_book_remove(&self->jobs, record);
}

void shell_perform(shell_t *self, const core_action_t *action)
{
    static void (*const PERFORM[])(shell_t *, const core_action_t *) = {
        [CORE_ACTION_REPLY] = act_reply,
        [CORE_ACTION_SAVE_JOB] = shell_save_job,
        [CORE_ACTION_SAVE_STAGE] = shell_save_stage,
        [CORE_ACTION_SAVE_RESULT] = shell_save_result,
        [CORE_ACTION_DROP_RESULT] = act_drop_result,
        [CORE_ACTION_ACK] = act_ack,
        [CORE_ACTION_DISPATCH] = act_dispatch,
        [CORE_ACTION_ABORT] = act_abort,
        [CORE_ACTION_DISMISS] = act_dismiss,
        [CORE_ACTION_LOST] = act_lost,
        [CORE_ACTION_ADVANCE] = act_advance,
        [CORE_ACTION_STOP_ADVANCE] = act_stop_advance,
        [CORE_ACTION_WRITE] = act_write,
        [CORE_ACTION_PURGE] = act_purge,
        [CORE_ACTION_REMOVE] = act_remove,
        [CORE_ACTION_CHANGED] = act_changed,
        [CORE_ACTION_FORGOTTEN] = act_forgotten,
    };
    PERFORM[action->kind](self, action);
}
