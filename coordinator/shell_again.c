/* What the shell does for jobs that go back: a retried one gets its record again, and one that has
 * lost a file keeps what is known of its results. */
#include "coordinator/shell.h"

#include "common/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- results of an earlier pass over a stage ---- */

void shell_remember(shell_t *self, const char *job_id)
{
    core_job_view_t view;
    error_t error = ERROR_INIT;
    if (!core_job(self->core, job_id, &view) || !view.has_stage || view.last)
        return;
    sha256_t *results = calloc((size_t)view.task_count + 1, sizeof *results);
    if (!results)
        return;
    for (uint32_t task = 0; task < view.task_count; task++)
        core_result(self->core, job_id, task, &results[task]);
    sha256_t name = spool_stage_name(&view.stage_sha, &view.state_sha);
    if (spool_remember(self->spool, job_id, &name, results, view.task_count, &error))
        log_event(self->log, LOG_WARNING, "results_not_remembered", LOG_TEXT("job_id", job_id),
                  LOG_TEXT("error", error.message));
    free(results);
}

/* ---- files that only an earlier step can make again ---- */

void shell_tell_lost(shell_t *self, job_record_t *record, const error_t *error)
{
    self->metrics.files_lost++;
    log_event(self->log, LOG_WARNING, "file_lost", LOG_TEXT("job_id", record->job_id),
              LOG_TEXT("error", error->message));
    job_story_add(&record->story, clock_wall_ms(), "file_lost",
                  "the job goes back to its plan, what is known of its results is kept: %s",
                  error->message);
    shell_remember(self, record->job_id);
}

static void lost(shell_t *self, job_record_t *record, const error_t *error)
{
    core_event_t event = {.kind = CORE_EVENT_LOST, .error = *error};
    memcpy(event.job_id, record->job_id, sizeof event.job_id);
    shell_tell_lost(self, record, error);
    shell_later(self, &event);
}

/* A worker may still ask for an input of a job whose files are being purged: nothing is lost then,
 * and what would be remembered of it would be in the way of the purge. */
static int needs_files(shell_t *self, const char *job_id)
{
    core_job_view_t view;
    return core_job(self->core, job_id, &view) && view.state != JOB_CANCELLING &&
           !job_state_ended(view.state);
}

int shell_input_missed(shell_t *self, const char *job_id, const sha256_t *sha256,
                       const error_t *error)
{
    job_record_t *record = needs_files(self, job_id) ? job_book_find(&self->jobs, job_id) : NULL;
    for (size_t i = 0; record && i < record->stage.input_count; i++) {
        if (sha256_equal(&record->stage.inputs[i].sha256, sha256)) {
            lost(self, record, error);
            return 1;
        }
    }
    return 0;
}

void shell_verify_inputs(shell_t *self, const char *job_id)
{
    job_record_t *record = needs_files(self, job_id) ? job_book_find(&self->jobs, job_id) : NULL;
    for (size_t i = 0; record && i < record->stage.input_count; i++) {
        error_t error = ERROR_INIT;
        uint8_t *bytes = NULL;
        size_t length;
        int code = spool_get(self->spool, job_id, &record->stage.inputs[i].sha256, &bytes, &length,
                             &error);
        free(bytes);
        if (code == ERR_NOT_FOUND || code == ERR_INPUT) {
            lost(self, record, &error);
            return;
        }
    }
}

/* ---- retry ---- */

/* The stage that a retried job stands at. */
void shell_load_again(shell_t *self, job_record_t *record)
{
    core_job_view_t view;
    error_t error = ERROR_INIT;
    if (record->stage.task_count || !core_job(self->core, record->job_id, &view) ||
        !view.has_stage || view.last)
        return;
    stage_name_t name = {record->job_id, view.stage, view.task_count, view.stage_sha,
                         view.state_sha};
    if (shell_load_stage(self, record, &name, &error)) {
        lost(self, record, &error);
        return;
    }
    snprintf(record->stage_phase, sizeof record->stage_phase, "%s",
             task_kind_name(record->stage.kind));
    for (uint32_t task = 0; task < view.task_count; task++)
        if (core_task_done(self->core, record->job_id, task))
            job_record_done_before(record, task);
}
