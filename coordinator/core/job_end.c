/* The end of jobs: one that has ended is forgotten when the ledger has all of it, and comes back when
 * something is wanted of it. What has been kept for as long as was asked is removed.
 *
 * That it is to be removed is durable before anything goes, so a crash in the middle is finished at
 * the next start; the ledger's row goes last. */
#include "coordinator/core/core_inner.h"

/* Nothing that is under way, or waits to be tried again, has to do with the job. */
static int at_rest(const core_job_t *job)
{
    return job_durable(job) && job->slot == SLOT_EMPTY && !job->advancing && !job->waiting &&
           !job->purging && !job->retry_asked && job->result_saves == 0 && job->saves_waiting == 0;
}

void job_expired(core_t *self, const core_event_t *event)
{
    core_job_t *job = job_table_find(&self->jobs, event->job_id);
    job_state_t next;
    if (!job || !job->known || !job->purged || !at_rest(job))
        return; /* the next EXPIRE will find it at rest */
    if (job->state != JOB_REMOVING && !job_state_next(job->state, MOVE_EXPIRE, &next))
        return;
    job->purged = 0;
    job->purge_failed = 0;
    pending_forget_purge(self, job);
    if (job->state == JOB_REMOVING)
        job_watch(self, job);
    else
        job_move(self, job, MOVE_EXPIRE);
}

int proceed_removing(core_t *self, core_job_t *job)
{
    if (!at_rest(job) || job->purged)
        return 0;
    job->purging = 1;
    core_action_t *action = core_act_job(self, CORE_ACTION_REMOVE, job);
    action->ticket = pending_ticket(self, PENDING_REMOVE, job, NULL);
    return 0;
}

void job_remove_done(core_t *self, core_job_t *job, const error_t *error)
{
    job->purging = 0;
    job->purged = 1; /* of a removal that failed: it was tried */
    if (error->code != OK)
        return;
    self->told_counts[job->told]--;
    if (job->active)
        job_list_remove(&self->active, job);
    job_forget(self, job);
}

int job_is_over(const core_t *self, const core_job_t *job)
{
    return job_state_ended(job->state) && job->state != JOB_REMOVING && job->purged &&
           !job->purge_failed && at_rest(job) && job->waiter_count == 0 && !leases_hold(self, job);
}

void job_forget(core_t *self, core_job_t *job)
{
    core_act_job(self, CORE_ACTION_FORGOTTEN, job);
    job_table_remove(&self->jobs, job);
}
