/* Going back: a failed or cancelled job that a user wants again, and a job that has lost a file. */
#include "coordinator/core/core_inner.h"

/* What was wrong with the input may have been mended: then nothing that was read from it counts. And
 * where the ledger may be a stage further than we are, both meet at the plan. */
static int is_to_be_planned(const core_job_t *job)
{
    if (job->next_unsure)
        return 1;
    return job->error && (job->error->code == ERR_CHANGED || job->error->code == ERR_INPUT ||
                          job->error->code == ERR_USAGE);
}

/* Everything that a failed job has durable stays done; the rest is free, with a clean record. */
void job_start_over(core_t *self, core_job_t *job)
{
    if (is_to_be_planned(job))
        job_drop_stage(job);
    task_table_start_over(&job->tasks);
    job_clear_error(&job->error);
    job_clear_error(&job->save_error);
    job->advance_failures = 0;
    job->slot_failures = 0;
    job->rewinds = 0;
    job->retries = 0;
    job->workers_lost = 0;
    job->late_results = 0;
    job->retry_asked = 0;
    job->purged = 0;
    job->purge_failed = 0;
    pending_forget_purge(self, job);
    job->epoch++;
    job_move(self, job, MOVE_RETRY);
}

/* Where nothing of the job runs no save is needed: the one that starts it carries the epoch. */
static void go_back(core_t *self, core_job_t *job)
{
    int planning = job->state == JOB_PLANNING;
    job_move(self, job, MOVE_REWIND);
    if (planning) {
        job->version++;
        job_save_next(self, job);
    }
}

/* The plan is made again, and what follows from it; stages whose results are remembered cost their
 * folds only. The new epoch keeps attempts of the first pass apart from those of the second. */
void job_rewind(core_t *self, core_job_t *job, const error_t *error)
{
    job_state_t failed; /* a job that is queued or paused goes back: it fails when it works again */
    if (job_stopped(job) || !job->has_stage)
        return;
    if (++job->rewinds > self->options.retry_limit &&
        job_state_next(job->state, MOVE_FAIL, &failed)) {
        error_t failure = ERROR_INIT;
        error_set(&failure, ERR_IO, "files of the job were lost from the spool %u times, now: %s",
                  job->rewinds, error->message);
        job_fail(self, job, &failure);
        return;
    }
    job_stop_work(self, job);
    job_drop_stage(job);
    job->epoch++;
    job->advance_failures = 0;
    go_back(self, job);
}

void job_lost(core_t *self, const core_event_t *event)
{
    core_job_t *job = job_table_find(&self->jobs, event->job_id);
    if (job && job->known)
        job_rewind(self, job, &event->error);
}
