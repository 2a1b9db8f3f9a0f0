#include "coordinator/store/ledger.h"

#include <stdlib.h>

void ledger_job_clear(ledger_job_t *self)
{
    free(self->spec_json);
    free(self->report_json);
    self->spec_json = NULL;
    self->report_json = NULL;
}

int ledger_fenced(const char *where, const char *owner, error_t *error)
{
    return error_field(
        error, ERR_CONFLICT, LEDGER_OWNER,
        "another coordinator has the ledger in %s: %s; this one must not write to it", where,
        owner);
}

ledger_change_t ledger_change_job(const ledger_job_t *job)
{
    return (ledger_change_t){
        .kind = LEDGER_JOB, .job_id = job->job_id, .epoch = job->epoch, .job = job};
}

ledger_change_t ledger_change_stage(const ledger_stage_t *stage)
{
    return (ledger_change_t){
        .kind = LEDGER_STAGE, .job_id = stage->job_id, .epoch = stage->epoch, .stage = stage};
}

ledger_change_t ledger_change_task(const task_ref_t *ref, const sha256_t *result)
{
    return (ledger_change_t){.kind = LEDGER_TASK,
                             .job_id = ref->job_id,
                             .epoch = ref->epoch,
                             .ref = ref,
                             .result = result};
}

ledger_change_t ledger_change_forget(const char *job_id)
{
    return (ledger_change_t){.kind = LEDGER_FORGET, .job_id = job_id};
}

ledger_change_t ledger_change_settle(const char *job_id)
{
    return (ledger_change_t){.kind = LEDGER_SETTLE, .job_id = job_id};
}

ledger_change_t ledger_change_remove(const char *job_id)
{
    return (ledger_change_t){.kind = LEDGER_REMOVE, .job_id = job_id};
}

int ledger_change(ledger_t *self, ledger_change_t change, error_t *error)
{
    self->verbs->change(self, &change, 1);
    if (change.error.code && error)
        *error = change.error;
    return change.error.code;
}
