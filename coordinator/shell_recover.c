#include "coordinator/shell.h"

#include "common/clock.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What an earlier coordinator had to tell: times, workers, faults. */
void shell_read_report(job_record_t *record, const char *report_json)
{
    json_t *report = report_json ? json_loads(report_json, 0, NULL) : NULL;
    const json_t *times = json_object_get(report, "times");
    const json_t *workers = json_object_get(report, "workers");
    job_story_read(&record->story, report);
    for (size_t i = 0; i < json_array_size(times); i++) {
        const json_t *time = json_array_get(times, i);
        const char *phase = json_string_value(json_object_get(time, "phase"));
        double seconds = json_number_value(json_object_get(time, "seconds"));
        if (phase && seconds >= 0 && seconds < 1e9)
            job_record_add_time(record, phase, (int64_t)(1000.0 * seconds));
    }
    for (size_t i = 0; i < json_array_size(workers); i++)
        if (json_is_string(json_array_get(workers, i)))
            job_record_add_worker(record, json_string_value(json_array_get(workers, i)));
    record->recovered = (uint32_t)json_integer_value(json_object_get(report, "recovered"));
    json_decref(report);
}

static void note_restart(job_record_t *record)
{
    if (record->row_state == JOB_QUEUED || record->row_state == JOB_PAUSED)
        return;
    record->recovered++;
    job_story_add(&record->story, clock_wall_ms(), "coordinator_restarted",
                  "the coordinator was started again; tasks that were running run anew");
}

/* A job whose spec this version cannot read would be lost in silence: it is an error that stops the
 * start instead, because the ledger then belongs to a newer or a damaged installation. */
static int recover_job(void *context, const ledger_job_t *row)
{
    shell_t *self = context;
    error_t error = ERROR_INIT;
    job_record_t *record = job_book_add(&self->jobs, row->job_id);
    if (!record)
        return ERR_MEMORY;
    memcpy(record->idempotency_key, row->idempotency_key, sizeof record->idempotency_key);
    record->submitted_ms = row->submitted_ms;
    record->changed_ms = row->changed_ms;
    record->state = row->state;
    record->durable = 1;
    if (job_spec_from_json(row->spec_json, strlen(row->spec_json), &record->spec, &error)) {
        log_event(self->log, LOG_ERROR, "ledger_unreadable", LOG_TEXT("job_id", row->job_id),
                  LOG_TEXT("error", error.message));
        return ERR_INPUT;
    }
    record->row_epoch = row->epoch;
    record->row_state = row->state;
    if (!job_state_ended(row->state)) {
        shell_read_report(record, row->report_json);
        note_restart(record);
        record->spec_json = strdup(row->spec_json);
        if (!record->spec_json)
            return ERR_MEMORY;
    }
    record->asked = shell_asked(&record->spec);
    core_event_t event = {.kind = CORE_EVENT_RECOVER_JOB,
                          .priority = record->spec.priority,
                          .epoch = row->epoch,
                          .state = row->state,
                          .error = row->error};
    memcpy(event.job_id, row->job_id, sizeof event.job_id);
    if (job_state_ended(row->state))
        job_book_rest(&self->jobs, record);
    shell_feed(self, &event);
    return OK;
}

/* The ledger has the results of this pass over the stage only. */
static void recover_found(shell_t *self, job_record_t *record, const ledger_stage_t *row,
                          const stage_name_t *name)
{
    static const sha256_t NONE = {{0}};
    sha256_t *found = stage_file_recall(self->spool, name);
    job_record_found_before(record, found);
    for (uint32_t task = 0; found && task < row->task_count; task++) {
        core_event_t event = {
            .kind = CORE_EVENT_RECOVER_TASK, .epoch = row->epoch, .sha256 = found[task]};
        memcpy(event.ref.job_id, row->job_id, sizeof event.ref.job_id);
        event.ref.epoch = row->epoch;
        event.ref.stage = row->stage;
        event.ref.task = task;
        if (!sha256_equal(&found[task], &NONE))
            shell_feed(self, &event);
    }
    free(found);
}

/* A stage whose files are gone or damaged is left out: the job is then planned anew, which gives
 * the same bytes. */
static int recover_stage(void *context, const ledger_stage_t *row)
{
    shell_t *self = context;
    error_t error = ERROR_INIT;
    job_record_t *record = job_book_find(&self->jobs, row->job_id); /* NULL: at rest */
    stage_name_t name = {row->job_id, row->stage, row->task_count, row->stage_sha, row->state_sha};
    int wanted = record && !row->last && !job_state_ended(record->state);
    if (wanted && shell_load_stage(self, record, &name, &error)) {
        log_event(self->log, LOG_WARNING, "stage_lost", LOG_TEXT("job_id", row->job_id),
                  LOG_TEXT("error", error.message));
        return OK;
    }
    if (wanted)
        snprintf(record->stage_phase, sizeof record->stage_phase, "%s",
                 task_kind_name(record->stage.kind));
    core_event_t event = {.kind = CORE_EVENT_RECOVER_STAGE,
                          .epoch = row->epoch,
                          .stage = row->stage,
                          .task_count = row->task_count,
                          .last = row->last,
                          .memory = advance_memory(self->spool, row->job_id, &row->state_sha),
                          .stage_sha = row->stage_sha,
                          .state_sha = row->state_sha};
    memcpy(event.job_id, row->job_id, sizeof event.job_id);
    shell_feed(self, &event);
    if (wanted)
        recover_found(self, record, row, &name);
    return OK;
}

static int recover_task(void *context, const task_ref_t *ref, const sha256_t *result)
{
    shell_t *self = context;
    job_record_t *record = job_book_find(&self->jobs, ref->job_id);
    core_event_t event = {
        .kind = CORE_EVENT_RECOVER_TASK, .epoch = ref->epoch, .ref = *ref, .sha256 = *result};
    if (record && ref->stage == record->stage_number)
        job_record_done_before(record, ref->task);
    shell_feed(self, &event);
    return OK;
}

int shell_recover(shell_t *self, error_t *error)
{
    int code = self->ledger->verbs->load(self->ledger, recover_job, recover_stage, recover_task,
                                         self, error);
    if (code) {
        if (error && !error->message[0])
            error_set(error, code, "the ledger cannot be read back");
        return code;
    }
    if (self->jobs.count)
        log_event(self->log, LOG_INFO, "recovered", LOG_INT("jobs", self->jobs.count));
    return OK;
}

void shell_recovered(shell_t *self)
{
    core_event_t event = {.kind = CORE_EVENT_RECOVERED};
    shell_feed(self, &event);
}
