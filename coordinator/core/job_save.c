/* Saves of a job's row and its stage's row. One at a time a job, so that none overtakes another;
 * what is saved is always the newest, so a burst of decisions costs one save. */
#include "coordinator/core/core_inner.h"

#include <string.h>

void job_tell(core_t *self, core_job_t *job, job_state_t state)
{
    if (job->known && job->told == state)
        return;
    if (job->known)
        self->told_counts[job->told]--;
    job->known = 1;
    job->told = state;
    self->told_counts[state]++;
    core_action_t *action = core_act_job(self, CORE_ACTION_CHANGED, job);
    action->state = state;
    if (state == JOB_FAILED && job->error)
        action->error = *job->error;
}

static void save_job(core_t *self, core_job_t *job)
{
    job->slot = SLOT_JOB;
    job->slot_version = job->version;
    job->slot_state = job->state;
    core_action_t *action = core_act_job(self, CORE_ACTION_SAVE_JOB, job);
    action->settled = job->state == JOB_CANCELLED && job->purged && !job->purge_failed;
    if (job->error)
        action->error = *job->error;
    action->ticket = pending_ticket(self, PENDING_SLOT, job, NULL);
}

static void save_stage(core_t *self, core_job_t *job)
{
    job->slot = SLOT_STAGE;
    core_action_t *action = core_act_job(self, CORE_ACTION_SAVE_STAGE, job);
    action->stage = job->next.number;
    action->task_count = job->next.task_count;
    action->last = job->next.last;
    action->stage_sha = job->next.stage_sha;
    action->state_sha = job->next.state_sha;
    action->ticket = pending_ticket(self, PENDING_SLOT, job, NULL);
}

void job_save_next(core_t *self, core_job_t *job)
{
    if (job->slot != SLOT_EMPTY)
        return;
    if (!job_durable(job))
        save_job(self, job);
    else if (job->has_next)
        save_stage(self, job);
}

/* What the durable state means for a client that asked for `verb`: OK, or what came in between. */
static int answer_waiter(const core_job_t *job, client_verb_t verb, error_t *error)
{
    int paused = job->told == JOB_PAUSING || job->told == JOB_PAUSED;
    int cancelled = job->told == JOB_CANCELLING || job->told == JOB_CANCELLED;
    int granted = verb == VERB_PAUSE    ? paused
                  : verb == VERB_CANCEL ? cancelled
                  : verb == VERB_SUBMIT ? 1
                                        : !paused && !cancelled && job->told != JOB_FAILED;
    if (granted)
        return OK;
    return error_set(error, ERR_CONFLICT, "the request was overtaken: the job is %s (%s) by now",
                     job_state_name(job->told), job_state_words(job->told));
}

static void answer_waiters(core_t *self, core_job_t *job)
{
    size_t kept = 0;
    for (size_t i = 0; i < job->waiter_count; i++) {
        job_waiter_t waiter = job->waiters[i];
        if (waiter.version > job->durable_version) {
            job->waiters[kept++] = waiter;
            continue;
        }
        error_t error = ERROR_INIT;
        answer_waiter(job, waiter.verb, &error);
        core_reply(self, waiter.request, job->id, &error);
    }
    job->waiter_count = kept;
}

/* The first save of a job has failed: the client is told, and nobody else ever heard of it. */
static void forget_job(core_t *self, core_job_t *job, const error_t *cause)
{
    error_t error = ERROR_INIT;
    error_set(&error, ERR_UNAVAILABLE, "the job could not be saved, submit it again later: %s",
              cause->message);
    for (size_t i = 0; i < job->waiter_count; i++)
        core_reply(self, job->waiters[i].request, job->id, &error);
    self->not_ended--;
    job_table_remove(&self->jobs, job);
}

/* The stage that ADVANCE gave cannot be read back: it is made again. */
static int stage_lost(core_t *self, core_job_t *job, job_slot_t slot, const core_event_t *event)
{
    if (slot != SLOT_STAGE || !event->lost || !job->has_next ||
        ++job->slot_failures > self->options.save_retry_limit)
        return 0;
    job->has_next = 0;
    if (job->next_unsure)
        job_rewind(self, job, &event->error);
    job_save_next(self, job);
    return 1;
}

static void slot_failed(core_t *self, core_job_t *job, job_slot_t slot, const core_event_t *event)
{
    const error_t *error = &event->error;
    if (!job->known) {
        forget_job(self, job, error);
        return;
    }
    if (stage_lost(self, job, slot, event))
        return;
    job->next_unsure |= slot == SLOT_STAGE && !event->lost;
    job_set_error(&job->save_error, error);
    job->slot = SLOT_WAITING;
    job->saves_waiting++;
    job->slot_failures++;
    pending_retry(self, PENDING_SLOT, job, NULL);
    if (slot == SLOT_STAGE && job->slot_failures > self->options.save_retry_limit)
        job_fail(self, job, error);
}

static void job_row_durable(core_t *self, core_job_t *job)
{
    job->durable_version = job->slot_version;
    /* A job that runs on has not changed for those who watch; job_move tells those states. */
    job_tell(self, job, job->slot_state);
    if (job->state == JOB_QUEUED && job_durable(job))
        job_list_insert(&self->queue, job);
    answer_waiters(self, job);
}

/* Results of an earlier pass over this very stage need not be computed again. */
static void take_found(core_job_t *job, const sha256_t *found)
{
    static const sha256_t NONE = {{0}};
    for (uint32_t task = 0; found && task < job->tasks.count; task++) {
        if (sha256_equal(&found[task], &NONE))
            continue;
        job->tasks.entries[task].result = found[task];
        task_table_set(&job->tasks, task, TASK_DONE);
    }
}

void job_save_done(core_t *self, core_job_t *job, const core_event_t *event)
{
    job_slot_t slot = job->slot;
    job->slot = SLOT_EMPTY;
    if (event->error.code != OK) {
        slot_failed(self, job, slot, event);
        return;
    }
    job->slot_failures = 0;
    if (slot == SLOT_JOB)
        job_row_durable(self, job);
    else if (job->has_next) {
        job_set_stage(job, &job->next);
        job->has_next = 0;
        job->next_unsure = 0;
        take_found(job, event->found);
    } else {
        job->next_unsure = 1; /* the job has failed meanwhile: the ledger is a stage further */
    }
    job_save_next(self, job);
}

void job_save_retry(core_t *self, core_job_t *job)
{
    job->saves_waiting--;
    job->slot = SLOT_EMPTY;
    job_save_next(self, job);
}
