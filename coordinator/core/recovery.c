/* Recovery: the ledger's rows become jobs again.
 *
 * A job that was running gets a new epoch, saved before anything is handed out, so that results of
 * attempts that this process knows nothing of are refused. Results that are in the ledger stay:
 * they are functions of the input, whatever epoch brought them. */
#include "coordinator/core/core_inner.h"

#include <string.h>

void recover_job(core_t *self, const core_event_t *event)
{
    if (job_table_find(&self->jobs, event->job_id))
        return;
    core_job_t *job = job_table_add(&self->jobs, event->job_id);
    job->sequence = ++self->next_sequence;
    job->priority = event->priority;
    job->epoch = event->epoch;
    job->state = event->state;
    job->purged = event->settled;
    job->version = 1;
    job->durable_version = 1;
    if (event->error.code != OK)
        job_set_error(&job->error, &event->error);
    job_list_insert(&self->recovered, job);
}

void recover_stage(core_t *self, const core_event_t *event)
{
    core_job_t *job = job_table_find(&self->jobs, event->job_id);
    if (!job || event->epoch > job->epoch ||
        (!event->last && (event->task_count == 0 || event->task_count > TASK_TABLE_LIMIT)))
        return;
    job_stage_t stage = {event->stage, event->task_count, event->last, event->stage_sha,
                         event->state_sha};
    job_set_stage(job, &stage);
    job->memory = event->memory;
}

void recover_task(core_t *self, const core_event_t *event)
{
    const task_ref_t *ref = &event->ref;
    core_job_t *job = job_table_find(&self->jobs, ref->job_id);
    if (!job || !job->has_stage || ref->epoch > job->epoch || ref->stage != job->stage.number ||
        ref->task >= job->tasks.count)
        return;
    job->tasks.entries[ref->task].result = event->sha256;
    task_table_set(&job->tasks, ref->task, TASK_DONE);
}

/* A new epoch without a save of its own: nothing is handed out in it before a save that carries
 * it (the one that starts the job) is durable. */
static void recover_waiting(core_t *self, core_job_t *job)
{
    job->epoch++;
    if (job->state == JOB_QUEUED)
        job_list_insert(&self->queue, job);
}

static void recover_working(core_t *self, core_job_t *job)
{
    job->epoch++;
    job->state = job->state == JOB_PAUSING ? JOB_PAUSED : JOB_PLANNING;
    job->version++;
    job_save_next(self, job);
}

/* One that had been forgotten has been told and counted before. */
static void tell_recovered(core_t *self, core_job_t *job)
{
    if (!job->purged) {
        job_tell(self, job, job->state);
        return;
    }
    job->known = 1;
    job->told = job->state;
}

static void recover(core_t *self, core_job_t *job)
{
    int written_last = job->state == JOB_WRITING && job->has_stage && job->stage.last;
    tell_recovered(self, job);
    if (job->state == JOB_QUEUED || job->state == JOB_PAUSED)
        recover_waiting(self, job);
    else if (!job_state_ended(job->state) && job->state != JOB_CANCELLING && !written_last)
        recover_working(self, job);
    job_enter(self, job);
}

void recover_count(core_t *self, const core_event_t *event)
{
    self->told_counts[event->state] += event->count;
}

void recover_end(core_t *self)
{
    for (size_t i = 0; i < self->recovered.count; i++)
        recover(self, self->recovered.items[i]);
    self->recovered.count = 0;
}
