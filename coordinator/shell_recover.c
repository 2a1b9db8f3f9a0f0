#include "coordinator/shell.h"

#include "common/clock.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What an earlier coordinator had to tell: times, workers, faults. */
static void read_report(job_record_t *record, const char *report_json)
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

static int new_record(shell_t *self, const ledger_job_t *row, job_record_t **out, error_t *error)
{
    job_record_t seen;
    int code = shell_record_of_row(row, &seen, error);
    if (code)
        return code;
    job_record_t *record = job_book_add(&self->jobs, row->job_id);
    char *spec_json = strdup(row->spec_json);
    if (!record || !spec_json) {
        if (record)
            job_book_remove(&self->jobs, record);
        free(spec_json);
        job_spec_clear(&seen.spec);
        return error_set(error, ERR_MEMORY, "no memory for job %s", row->job_id);
    }
    *record = seen;
    record->spec_json = spec_json;
    *out = record;
    return OK;
}

int shell_recover_job(shell_t *self, const ledger_job_t *row, error_t *error)
{
    job_record_t *record = NULL;
    int code = new_record(self, row, &record, error);
    if (code)
        return code;
    read_report(record, row->report_json);
    if (!job_state_ended(row->state))
        note_restart(record);
    core_event_t event = {.kind = CORE_EVENT_RECOVER_JOB,
                          .priority = record->spec.priority,
                          .epoch = row->epoch,
                          .state = row->state,
                          .settled = row->settled,
                          .error = row->error};
    memcpy(event.job_id, row->job_id, sizeof event.job_id);
    shell_feed(self, &event);
    return OK;
}

/* A job whose spec this version cannot read would be lost in silence: it is an error that stops the
 * start instead, because the ledger then belongs to a newer or a damaged installation. */
static int recover_job(void *context, const ledger_job_t *row)
{
    shell_t *self = context;
    error_t error = ERROR_INIT;
    int code = shell_recover_job(self, row, &error);
    if (code)
        log_event(self->log, LOG_ERROR, "ledger_unreadable", LOG_TEXT("job_id", row->job_id),
                  LOG_TEXT("error", error.message));
    return code;
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
void shell_recover_stage(shell_t *self, const ledger_stage_t *row)
{
    error_t error = ERROR_INIT;
    job_record_t *record = job_book_find(&self->jobs, row->job_id);
    stage_name_t name = {row->job_id, row->stage, row->task_count, row->stage_sha, row->state_sha};
    int wanted = record && !row->last && !job_state_ended(record->state);
    if (wanted && shell_load_stage(self, record, &name, &error)) {
        log_event(self->log, LOG_WARNING, "stage_lost", LOG_TEXT("job_id", row->job_id),
                  LOG_TEXT("error", error.message));
        return;
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
}

static int recover_stage(void *context, const ledger_stage_t *row)
{
    shell_recover_stage(context, row);
    return OK;
}

void shell_recover_task(shell_t *self, const task_ref_t *ref, const sha256_t *result)
{
    job_record_t *record = job_book_find(&self->jobs, ref->job_id);
    core_event_t event = {
        .kind = CORE_EVENT_RECOVER_TASK, .epoch = ref->epoch, .ref = *ref, .sha256 = *result};
    if (record && ref->stage == record->stage_number)
        job_record_done_before(record, ref->task);
    shell_feed(self, &event);
}

static int recover_task(void *context, const task_ref_t *ref, const sha256_t *result)
{
    shell_recover_task(context, ref, result);
    return OK;
}

/* Of those that are settled: in each state there are so many more than have been read. */
static int recover_counts(shell_t *self, error_t *error)
{
    size_t counts[JOB_STATE_COUNT];
    int code = self->ledger->verbs->count(self->ledger, counts, error);
    for (size_t i = 0; !code && i < self->jobs.count; i++)
        if (counts[self->jobs.items[i]->row_state])
            counts[self->jobs.items[i]->row_state]--;
    for (int state = 0; !code && state < JOB_STATE_COUNT; state++) {
        core_event_t event = {
            .kind = CORE_EVENT_RECOVER_COUNT, .state = (job_state_t)state, .count = counts[state]};
        shell_feed(self, &event);
    }
    return code;
}

static int note_newest(void *context, const ledger_job_t *row)
{
    shell_t *self = context;
    self->jobs.last_id_ms = row->submitted_ms;
    return OK;
}

int shell_recover(shell_t *self, error_t *error)
{
    const ledger_query_t newest = {.state = -1, .before = "", .limit = 1};
    const ledger_verbs_t *verbs = self->ledger->verbs;
    int code =
        verbs->load(self->ledger, NULL, recover_job, recover_stage, recover_task, self, error);
    if (!code)
        code = recover_counts(self, error);
    if (!code)
        code = verbs->list(self->ledger, &newest, note_newest, self, error);
    if (code && error && !error->message[0])
        error_set(error, code, "the ledger cannot be read back");
    if (!code && self->jobs.count)
        log_event(self->log, LOG_INFO, "recovered", LOG_INT("jobs", self->jobs.count));
    return code;
}

void shell_recovered(shell_t *self)
{
    core_event_t event = {.kind = CORE_EVENT_RECOVERED};
    shell_feed(self, &event);
}
