/* Saves: handed to the saver as the core asks for them, and told to the core when they have come back.
 * Between the two anything may happen, as core.h has it; what is handed over is a copy, but for a
 * payload, which stays on its shelf for as long as the core knows of the save. */
#include "coordinator/shell.h"

#include "common/clock.h"
#include "coordinator/stage_file.h"
#include "coordinator/status.h"

#include <stdlib.h>
#include <string.h>

static store_work_t *work_for(store_kind_t kind, const core_action_t *action)
{
    store_work_t *work = store_work_new(kind, action->job_id);
    work->action = *action;
    return work;
}

/* ---- how long the saver keeps a job waiting ---- */

static void save(shell_t *self, store_work_t *work)
{
    job_record_t *record = job_book_find(&self->jobs, work->action.job_id);
    if (record && record->saves++ == 0)
        record->save_since_ms = clock_monotonic_ms();
    store_thread_ask(self->saver, work);
}

static void note_saved(shell_t *self, job_record_t *record, const store_work_t *work)
{
    shell_notice_fence(self, &work->error);
    if (!record)
        return;
    record->saves--;
    record->save_since_ms = clock_monotonic_ms();
    if (work->error.code)
        job_story_refused(&record->story, clock_wall_ms(), STORE_LEDGER, &work->error);
    else
        job_story_taken(&record->story, clock_wall_ms(), STORE_LEDGER);
}

static core_event_t done_event(const store_work_t *work)
{
    core_event_t event = {.kind = CORE_EVENT_DONE, .ticket = work->action.ticket};
    memcpy(event.job_id, work->action.job_id, sizeof event.job_id);
    event.error = work->error;
    return event;
}

static void log_failure(shell_t *self, const char *event, const store_work_t *work)
{
    if (work->error.code)
        self->metrics.saves_failed++;
    if (work->error.code)
        log_event(self->log, LOG_WARNING, event, LOG_TEXT("job_id", work->action.job_id),
                  LOG_TEXT("code", error_name(work->error.code)),
                  LOG_TEXT("error", work->error.message));
}

/* ---- a job's row ---- */

/* With the story so far; NULL for a spec that the ledger has already keeps it there. */
static void save_row(shell_t *self, job_record_t *record, store_work_t *work)
{
    ledger_job_t *row = &work->row;
    memcpy(row->job_id, record->job_id, sizeof row->job_id);
    memcpy(row->idempotency_key, record->idempotency_key, sizeof row->idempotency_key);
    row->submitted_ms = record->submitted_ms;
    row->report_json = status_report(self, record, row->state);
    record->story.dirty = 0;
    record->row_saves++;
    save(self, work);
}

/* For what cannot even be handed over. */
static void refuse(shell_t *self, const core_action_t *action, int code, const char *why)
{
    core_event_t event = {.kind = CORE_EVENT_DONE, .ticket = action->ticket};
    memcpy(event.job_id, action->job_id, sizeof event.job_id);
    error_set(&event.error, code, "%s", why);
    log_event(self->log, LOG_WARNING, "save_failed", LOG_TEXT("job_id", action->job_id),
              LOG_TEXT("error", why));
    shell_later(self, &event);
}

static void tell_retried(job_record_t *record)
{
    if (!record->durable || !job_state_ended(record->row_state) || record->retry_told)
        return;
    record->retry_told = 1;
    job_story_add(&record->story, clock_wall_ms(), "retried", "the job was %s, and was retried%s%s",
                  job_state_name(record->row_state), record->row_error.code ? ": " : "",
                  record->row_error.message);
}

static void save_job(shell_t *self, job_record_t *record, const core_action_t *action)
{
    char *spec_json = record->durable ? NULL : strdup(record->spec_json);
    if (!record->durable && !spec_json) {
        refuse(self, action, ERR_MEMORY, "no memory to save a job");
        return;
    }
    store_work_t *work = work_for(STORE_SAVE_JOB, action);
    work->row.epoch = action->epoch;
    work->row.state = action->state;
    work->row.error = action->error;
    work->row.changed_ms = clock_wall_ms();
    work->row.spec_json = spec_json;
    work->row.settled = action->settled;
    if (job_state_ended(action->state)) {
        work->row.expires_ms = shell_own_expiry_ms(&record->spec, work->row.changed_ms);
        job_record_phase(record, NULL, clock_monotonic_ms());
    } else
        tell_retried(record);
    save_row(self, record, work);
}

void shell_save_job(shell_t *self, const core_action_t *action)
{
    job_record_t *record = job_book_find(&self->jobs, action->job_id);
    if (record)
        save_job(self, record, action);
    else
        refuse(self, action, ERR_INTERNAL, "the job to be saved has no record");
}

static void job_saved(shell_t *self, job_record_t *record, store_work_t *work)
{
    if (record)
        record->row_saves--;
    if (record && work->error.code)
        record->story.dirty = 1;
    if (!work->action.ticket) { /* a story, which nobody waits for */
        log_failure(self, "story_not_saved", work);
        return;
    }
    if (record && !work->error.code) {
        record->durable = 1;
        record->changed_ms = work->row.changed_ms;
        record->row_epoch = work->row.epoch;
        record->row_state = work->row.state;
        record->row_error = work->row.error;
        record->retry_told = 0;
    }
    core_event_t event = done_event(work);
    log_failure(self, "save_failed", work);
    shell_feed(self, &event);
}

/* A story that has grown while the job's row had no reason to be saved. */
static void save_story(shell_t *self, job_record_t *record, int64_t now_ms)
{
    store_work_t *work = store_work_new(STORE_SAVE_JOB, record->job_id);
    work->row.epoch = record->row_epoch;
    work->row.state = record->row_state;
    work->row.changed_ms = record->changed_ms;
    record->story.saved_ms = now_ms;
    save_row(self, record, work);
}

/* A row that is under way has the story, and ours would follow it with the state before. While the
 * ledger refuses saves, those of a story would only be in the way of the others. */
void shell_save_stories(shell_t *self)
{
    int64_t now_ms = clock_wall_ms();
    for (size_t i = 0; i < self->jobs.count; i++) {
        job_record_t *record = self->jobs.items[i];
        const job_story_t *story = &record->story;
        if (story->dirty && record->durable && !record->row_saves &&
            !job_state_ended(record->row_state) && !story->trouble[STORE_LEDGER].since_ms &&
            now_ms - story->saved_ms >= STORY_SAVE_MS)
            save_story(self, record, now_ms);
    }
}

/* ---- a stage ---- */

void shell_save_stage(shell_t *self, const core_action_t *action)
{
    save(self, work_for(STORE_SAVE_STAGE, action));
}

/* Takes the stage over: from now on its tasks can be described. */
static int take_stage(job_record_t *record, store_work_t *work)
{
    const core_action_t *action = &work->action;
    int64_t now_ms = clock_monotonic_ms();
    int code = job_record_set_stage(record, action->last ? NULL : &work->stage, action->stage,
                                    action->last ? 0 : now_ms, &work->error);
    if (code)
        return code;
    record->index_fingerprint = work->fingerprint;
    memcpy(record->stage_phase, record->next_phase, sizeof record->stage_phase);
    job_record_found_before(record, work->found);
    return OK;
}

static void stage_saved(shell_t *self, job_record_t *record, store_work_t *work)
{
    if (!work->error.code && !record)
        error_set(&work->error, ERR_INTERNAL, "job %s has no record", work->action.job_id);
    else if (!work->error.code)
        take_stage(record, work);
    core_event_t event = done_event(work);
    event.lost = event.error.code && !strcmp(event.error.field, SPOOL_PAYLOAD);
    event.found = event.error.code ? NULL : work->found;
    log_failure(self, "save_failed", work);
    shell_feed(self, &event);
}

int shell_load_stage(shell_t *self, job_record_t *record, const stage_name_t *name, error_t *error)
{
    stage_t stage;
    sha256_t fingerprint;
    int code = stage_file_read(self->spool, name, &stage, &fingerprint, error);
    if (!code)
        code = job_record_set_stage(record, &stage, name->number, clock_monotonic_ms(), error);
    if (!code)
        record->index_fingerprint = fingerprint;
    stage_clear(&stage);
    return code;
}

/* ---- a result ---- */

void shell_save_result(shell_t *self, const core_action_t *action)
{
    const net_frame_t *payload = payload_shelf_find(&self->shelf, action->worker, &action->ref);
    if (!payload) {
        refuse(self, action, ERR_INTERNAL, "the payload to be saved is not there");
        return;
    }
    store_work_t *work = work_for(STORE_SAVE_RESULT, action);
    work->bytes = payload->bytes;
    work->length = payload->length;
    save(self, work);
}

static void count_result(shell_t *self, job_record_t *record, const core_action_t *action)
{
    worker_peer_t *peer = shell_peer(self, action->worker);
    if (record && record->stage_number == action->ref.stage &&
        action->ref.task < record->stage.task_count)
        record->progress[action->ref.task] = record->stage.work[action->ref.task];
    if (peer)
        peer->tasks_done++;
    if (peer && record)
        job_record_add_worker(record, peer->name);
}

static void result_saved(shell_t *self, job_record_t *record, store_work_t *work)
{
    const core_action_t *action = &work->action;
    if (!work->error.code) {
        payload_shelf_drop(&self->shelf, action->worker, &action->ref);
        count_result(self, record, action);
        self->metrics.results_saved++;
        shell_log_task(self, "result_saved", action);
    }
    core_event_t event = done_event(work);
    log_failure(self, "save_failed", work);
    shell_feed(self, &event);
}

/* ---- the end of a job: its files are gone, now the rows that name them ---- */

void shell_leave_rows(shell_t *self, const core_action_t *action, store_kind_t kind)
{
    save(self, work_for(kind, action));
}

static void rows_forgotten(shell_t *self, job_record_t *record, store_work_t *work)
{
    core_event_t event = done_event(work);
    (void)record;
    log_failure(self, "purge_failed", work);
    shell_feed(self, &event);
}

static void row_removed(shell_t *self, job_record_t *record, store_work_t *work)
{
    core_event_t event = done_event(work);
    (void)record;
    log_failure(self, "removal_failed", work);
    if (!event.error.code)
        log_event(self->log, LOG_INFO, "job_removed", LOG_TEXT("job_id", event.job_id));
    shell_feed(self, &event);
}

/* ---- */

void shell_saved(shell_t *self, store_work_t *work)
{
    static void (*const SAVED[])(shell_t *, job_record_t *, store_work_t *) = {
        [STORE_SAVE_JOB] = job_saved,       [STORE_SAVE_STAGE] = stage_saved,
        [STORE_SAVE_RESULT] = result_saved, [STORE_FORGET] = rows_forgotten,
        [STORE_SETTLE] = rows_forgotten,    [STORE_REMOVE] = row_removed,
    };
    job_record_t *record = job_book_find(&self->jobs, work->action.job_id);
    note_saved(self, record, work);
    SAVED[work->kind](self, record, work);
}
