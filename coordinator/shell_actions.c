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

static void tell_store(job_record_t *record, story_store_t store, const error_t *error)
{
    if (!record)
        return;
    if (error->code)
        job_story_refused(&record->story, clock_wall_ms(), store, error);
    else
        job_story_taken(&record->story, clock_wall_ms(), store);
}

static void done_with(shell_t *self, const core_action_t *action, const sha256_t *found,
                      const error_t *error)
{
    core_event_t event = {.kind = CORE_EVENT_DONE, .ticket = action->ticket, .found = found};
    event.lost = action->kind == CORE_ACTION_SAVE_STAGE && error->code &&
                 !strcmp(error->field, SPOOL_PAYLOAD);
    tell_store(record_of(self, action), STORE_LEDGER, error);
    shell_notice_fence(self, error);
    memcpy(event.job_id, action->job_id, sizeof event.job_id);
    if (error->code) {
        event.error = *error;
        self->metrics.saves_failed++;
        log_event(self->log, LOG_WARNING, "save_failed", LOG_TEXT("job_id", action->job_id),
                  LOG_TEXT("code", error_name(error->code)), LOG_TEXT("error", error->message));
    }
    shell_later(self, &event);
}

static void done(shell_t *self, const core_action_t *action, const error_t *error)
{
    done_with(self, action, NULL, error);
}

/* An ended job answers from the ledger; its texts need no memory here. */
static void slim(job_record_t *record)
{
    if (!job_state_ended(record->state) || record->merging)
        return;
    free(record->spec_json);
    free(record->report_json);
    record->spec_json = NULL;
    record->report_json = NULL;
    job_record_set_stage(record, NULL, record->stage_number, 0, NULL);
    job_story_clear(&record->story);
}

static void log_task(shell_t *self, const char *event, const core_action_t *action)
{
    const worker_peer_t *peer = shell_peer(self, action->worker);
    log_event(self->log, LOG_DEBUG, event, LOG_TEXT("job_id", action->ref.job_id),
              LOG_INT("stage", action->ref.stage), LOG_INT("task", action->ref.task),
              LOG_INT("attempt", action->ref.attempt), LOG_TEXT("worker", peer ? peer->name : ""));
}

/* ---- saves ---- */

static void act_reply(shell_t *self, const core_action_t *action)
{
    shell_answer(self, action->request, action->job_id, &action->error);
}

/* The row with the story so far; NULL for a spec that the ledger has already keeps it there. */
static int save_row(shell_t *self, job_record_t *record, ledger_job_t *row, error_t *error)
{
    row->report_json = status_report(self, record, row->state);
    int code = self->ledger->verbs->save_job(self->ledger, row, error);
    free(row->report_json);
    row->report_json = NULL;
    if (!code)
        record->story.dirty = 0;
    return code;
}

static int save_job(shell_t *self, job_record_t *record, const core_action_t *action,
                    error_t *error)
{
    ledger_job_t row = {.epoch = action->epoch,
                        .state = action->state,
                        .submitted_ms = record->submitted_ms,
                        .changed_ms = clock_wall_ms(),
                        .error = action->error,
                        .spec_json = record->spec_json};
    memcpy(row.job_id, record->job_id, sizeof row.job_id);
    memcpy(row.idempotency_key, record->idempotency_key, sizeof row.idempotency_key);
    if (job_state_ended(action->state))
        job_record_phase(record, NULL, clock_monotonic_ms());
    int code = save_row(self, record, &row, error);
    if (code)
        return code;
    record->durable = 1;
    record->changed_ms = row.changed_ms;
    record->row_epoch = row.epoch;
    record->row_state = row.state;
    return OK;
}

/* A story that has grown while the job's row had no reason to be saved. */
static void save_story(shell_t *self, job_record_t *record, int64_t now_ms)
{
    error_t error = ERROR_INIT;
    ledger_job_t row = {.epoch = record->row_epoch,
                        .state = record->row_state,
                        .submitted_ms = record->submitted_ms,
                        .changed_ms = record->changed_ms,
                        .error = ERROR_INIT};
    memcpy(row.job_id, record->job_id, sizeof row.job_id);
    memcpy(row.idempotency_key, record->idempotency_key, sizeof row.idempotency_key);
    record->story.saved_ms = now_ms;
    if (save_row(self, record, &row, &error))
        log_event(self->log, LOG_WARNING, "story_not_saved", LOG_TEXT("job_id", record->job_id),
                  LOG_TEXT("error", error.message));
}

/* While the ledger refuses saves, those of a story would only be in the way of the others. */
void shell_save_stories(shell_t *self)
{
    int64_t now_ms = clock_wall_ms();
    for (size_t i = 0; i < self->jobs.count; i++) {
        job_record_t *record = self->jobs.items[i];
        job_story_t *story = &record->story;
        if (story->dirty && record->durable && !job_state_ended(record->row_state) &&
            !story->trouble[STORE_LEDGER].since_ms && now_ms - story->saved_ms >= STORY_SAVE_MS)
            save_story(self, record, now_ms);
    }
}

static void act_save_job(shell_t *self, const core_action_t *action)
{
    error_t error = ERROR_INIT;
    job_record_t *record = record_of(self, action);
    if (record && !record->spec_json)
        shell_revive(self, record, action->state != JOB_REMOVING, &error);
    if (error.code)
        ; /* it is tried again */
    else if (!record || !record->spec_json)
        error_set(&error, ERR_INTERNAL, "job %s has no spec to be saved with", action->job_id);
    else
        save_job(self, record, action, &error);
    done(self, action, &error);
}

int shell_load_stage(shell_t *self, job_record_t *record, uint32_t number, uint32_t task_count,
                     const sha256_t *stage_sha, const sha256_t *state_sha, error_t *error)
{
    uint8_t *bytes = NULL;
    size_t length;
    stage_t stage;
    sha256_t fingerprint;
    memset(&stage, 0, sizeof stage);
    int code = spool_get(self->spool, record->job_id, stage_sha, &bytes, &length, error);
    if (!code)
        code = stage_decode(bytes, length, &stage, error);
    if (!code && stage.task_count != task_count)
        code = error_set(error, ERR_INTERNAL, "stage %u has %u tasks where %u were announced",
                         number, stage.task_count, task_count);
    if (!code)
        code =
            advance_index_fingerprint(self->spool, record->job_id, state_sha, &fingerprint, error);
    if (!code)
        code = job_record_set_stage(record, &stage, number, clock_monotonic_ms(), error);
    if (!code)
        record->index_fingerprint = fingerprint;
    stage_clear(&stage);
    free(bytes);
    return code;
}

/* The stage is read before it is saved: one that cannot be handed out is no stage. */
static int save_stage(shell_t *self, job_record_t *record, const core_action_t *action,
                      error_t *error)
{
    ledger_stage_t row = {.epoch = action->epoch,
                          .stage = action->stage,
                          .task_count = action->task_count,
                          .last = action->last,
                          .stage_sha = action->stage_sha,
                          .state_sha = action->state_sha};
    memcpy(row.job_id, action->job_id, sizeof row.job_id);
    int code = OK;
    if (!action->last)
        code = shell_load_stage(self, record, action->stage, action->task_count, &action->stage_sha,
                                &action->state_sha, error);
    else
        code = job_record_set_stage(record, NULL, action->stage, 0, error);
    if (!code)
        code = self->ledger->verbs->save_stage(self->ledger, &row, error);
    if (!code)
        memcpy(record->stage_phase, record->next_phase, sizeof record->stage_phase);
    return code;
}

static void act_save_stage(shell_t *self, const core_action_t *action)
{
    error_t error = ERROR_INIT;
    const sha256_t *found = NULL;
    job_record_t *record = record_of(self, action);
    if (!record)
        error_set(&error, ERR_INTERNAL, "job %s has no record", action->job_id);
    else if (!save_stage(self, record, action, &error) && !action->last)
        found = shell_recall(self, record, &action->stage_sha, &action->state_sha);
    done_with(self, action, found, &error);
}

static void count_result(shell_t *self, const core_action_t *action)
{
    job_record_t *record = record_of(self, action);
    worker_peer_t *peer = shell_peer(self, action->worker);
    if (record && record->stage_number == action->ref.stage &&
        action->ref.task < record->stage.task_count)
        record->progress[action->ref.task] = record->stage.work[action->ref.task];
    if (peer)
        peer->tasks_done++;
    if (peer && record)
        job_record_add_worker(record, peer->name);
}

static void act_save_result(shell_t *self, const core_action_t *action)
{
    error_t error = ERROR_INIT;
    const net_frame_t *payload = payload_shelf_find(&self->shelf, action->worker, &action->ref);
    int code = payload ? spool_put_as(self->spool, action->job_id, payload->bytes, payload->length,
                                      &action->sha256, &error)
                       : error_set(&error, ERR_INTERNAL, "the payload to be saved is not there");
    if (!code)
        code = self->ledger->verbs->save_task(self->ledger, &action->ref, &action->sha256, &error);
    if (!code) {
        payload_shelf_drop(&self->shelf, action->worker, &action->ref);
        count_result(self, action);
        self->metrics.results_saved++;
        log_task(self, "result_saved", action);
    }
    done(self, action, &error);
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
        log_task(self, "task_dispatched", action);
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

/* The files are gone: so may be the rows that name them. */
static void purged(shell_t *self, job_record_t *record, merge_work_t *work)
{
    if (!work->error.code && !work->keep_spool)
        work->error.code =
            self->ledger->verbs->forget_tasks(self->ledger, work->job_id, &work->error);
    slim(record);
}

/* Nothing is left but the row. */
static void removed(shell_t *self, merge_work_t *work)
{
    if (!work->error.code)
        work->error.code =
            self->ledger->verbs->remove_job(self->ledger, work->job_id, &work->error);
    if (!work->error.code)
        log_event(self->log, LOG_INFO, "job_removed", LOG_TEXT("job_id", work->job_id));
}

void shell_merged(shell_t *self, merge_work_t *work)
{
    static const char *const NAMES[] = {"advance_failed", "write_failed", "purge_failed",
                                        "removal_failed"};
    core_event_t event = {.kind = CORE_EVENT_DONE, .ticket = work->ticket};
    job_record_t *record = job_book_find(&self->jobs, work->job_id);
    memcpy(event.job_id, work->job_id, sizeof event.job_id);
    if (record) {
        record->merging = NULL;
        if (!work->error.code || work->error.code == ERR_UNAVAILABLE)
            tell_store(record, STORE_RESULTS, &work->error);
        if (work->kind == MERGE_PURGE)
            purged(self, record, work);
        else if (work->kind == MERGE_REMOVE)
            removed(self, work);
        else if (work->kind == MERGE_ADVANCE && !work->error.code)
            advanced(record, work, &event);
        else if (work->report_json && !work->error.code) {
            free(record->report_json);
            record->report_json = work->report_json;
            work->report_json = NULL;
        }
    }
    shell_notice_fence(self, &work->error);
    if (work->error.code) {
        event.error = work->error;
        event.lost = work->lost;
        if (record && work->lost)
            shell_tell_lost(self, record, &work->error);
        name_broken(record, work, &event);
        log_event(self->log, LOG_WARNING, NAMES[work->kind], LOG_TEXT("job_id", work->job_id),
                  LOG_TEXT("code", error_name(work->error.code)),
                  LOG_TEXT("error", work->error.message));
    }
    int gone = work->kind == MERGE_REMOVE && !work->error.code;
    merge_work_destroy(&work);
    shell_feed(self, &event);
    if (gone && record)
        job_book_remove(&self->jobs, record);
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
    if (action->state == JOB_RUNNING)
        job_record_phase(record, record->stage_phase, clock_monotonic_ms());
    else if (action->state == JOB_QUEUED)
        shell_load_again(self, record);
    else if (action->state == JOB_PAUSED)
        job_record_phase(record, NULL, clock_monotonic_ms());
    slim(record);
}

void shell_perform(shell_t *self, const core_action_t *action)
{
    static void (*const PERFORM[])(shell_t *, const core_action_t *) = {
        [CORE_ACTION_REPLY] = act_reply,
        [CORE_ACTION_SAVE_JOB] = act_save_job,
        [CORE_ACTION_SAVE_STAGE] = act_save_stage,
        [CORE_ACTION_SAVE_RESULT] = act_save_result,
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
    };
    PERFORM[action->kind](self, action);
}
