/* Results: the first acceptable one of a task is saved, and only then acknowledged. */
#include "coordinator/core/core_inner.h"
#include "coordinator/core/memory.h"

#include <stdlib.h>
#include <string.h>

static void save_destroy(result_save_t *save)
{
    free(save->bringers);
    free(save);
}

void core_saves_clear(core_t *self)
{
    for (size_t i = 0; i < self->save_count; i++)
        save_destroy(self->saves[i]);
    free(self->saves);
}

/* Of the stage and epoch that the job is in: what was sent back to its plan has another. */
static int is_current(const core_job_t *job, const task_ref_t *ref)
{
    return job->has_stage && ref->epoch == job->epoch && ref->stage == job->stage.number &&
           ref->task < job->tasks.count;
}

static result_save_t *find_save(const core_t *self, const core_job_t *job, uint32_t task)
{
    for (size_t i = 0; i < self->save_count; i++) {
        const task_ref_t *ref = &self->saves[i]->ref;
        if (self->saves[i]->job == job && ref->task == task && is_current(job, ref))
            return self->saves[i];
    }
    return NULL;
}

static void add_bringer(result_save_t *save, uint32_t worker, const task_ref_t *ref)
{
    for (size_t i = 0; i < save->bringer_count; i++) {
        if (save->bringers[i].worker == worker && refs_equal(&save->bringers[i].ref, ref))
            return;
    }
    save->bringers = core_room(save->bringers, save->bringer_count, &save->bringer_capacity,
                               sizeof *save->bringers);
    save->bringers[save->bringer_count++] = (bringer_t){worker, *ref};
}

static void act_save(core_t *self, result_save_t *save)
{
    core_action_t *action = core_act_job(self, CORE_ACTION_SAVE_RESULT, save->job);
    action->worker = save->worker;
    action->ref = save->ref;
    action->sha256 = save->sha256;
    action->ticket = pending_ticket(self, PENDING_RESULT, save->job, save);
}

/* The worker has finished its part: from now on its lease only holds the credit until the ACK. */
static void mark_brought(core_t *self, core_job_t *job, uint32_t handle, const task_ref_t *ref)
{
    worker_t *worker = worker_table_find(&self->workers, handle);
    size_t at = worker ? worker_find_lease(worker, ref) : LEASE_NONE;
    if (at == LEASE_NONE || worker->leases[at].brought)
        return;
    worker->leases[at].brought = 1;
    job->tasks.entries[ref->task].holders--;
    task_table_add_time(&job->tasks, self->now_ms - worker->leases[at].dispatched_ms);
}

static void accept(core_t *self, core_job_t *job, uint32_t worker, const task_ref_t *ref,
                   const sha256_t *sha256)
{
    mark_brought(self, job, worker, ref);
    task_table_set(&job->tasks, ref->task, TASK_SAVING);
    self->saves =
        core_room(self->saves, self->save_count, &self->save_capacity, sizeof *self->saves);
    result_save_t *save = core_allocate(1, sizeof *save);
    save->job = job;
    save->ref = *ref;
    save->worker = worker;
    save->sha256 = *sha256;
    self->saves[self->save_count++] = save;
    job->result_saves++;
    add_bringer(save, worker, ref);
    act_save(self, save);
}

/* Another attempt's result of the same task is being saved: this one waits for its ACK with it. */
static void join_save(core_t *self, core_job_t *job, uint32_t worker, const task_ref_t *ref)
{
    mark_brought(self, job, worker, ref);
    add_bringer(find_save(self, job, ref->task), worker, ref);
    core_act_ref(self, CORE_ACTION_DROP_RESULT, worker, ref);
}

static void refuse(core_t *self, core_job_t *job, uint32_t worker, const task_ref_t *ref)
{
    if (job)
        job->late_results++;
    lease_end(self, worker, ref);
    core_act_ref(self, CORE_ACTION_DROP_RESULT, worker, ref);
    core_act_ref(self, CORE_ACTION_ACK, worker, ref);
}

static int is_wanted(const core_job_t *job, const task_ref_t *ref)
{
    return job && job_computing(job) && is_current(job, ref) &&
           job->tasks.entries[ref->task].status != TASK_DONE;
}

/* The payload under this very name is on its way to the spool: it must not be dropped, and is
 * answered when that save ends, even if the job is cancelled meanwhile. */
static int is_being_saved(const core_t *self, const core_job_t *job, uint32_t worker,
                          const task_ref_t *ref)
{
    for (size_t i = 0; job && i < self->save_count; i++) {
        const result_save_t *save = self->saves[i];
        if (save->job == job && save->worker == worker && refs_equal(&save->ref, ref))
            return 1;
    }
    return 0;
}

void result_brought(core_t *self, uint32_t worker, const task_ref_t *ref, const sha256_t *sha256)
{
    core_job_t *job = job_table_find(&self->jobs, ref->job_id);
    if (is_being_saved(self, job, worker, ref))
        return;
    if (!is_wanted(job, ref))
        refuse(self, job, worker, ref);
    else if (job->tasks.entries[ref->task].status == TASK_SAVING)
        join_save(self, job, worker, ref);
    else
        accept(self, job, worker, ref, sha256);
}

static void acknowledge(core_t *self, const result_save_t *save)
{
    for (size_t i = 0; i < save->bringer_count; i++) {
        const bringer_t *bringer = &save->bringers[i];
        lease_end(self, bringer->worker, &bringer->ref);
        core_act_ref(self, CORE_ACTION_ACK, bringer->worker, &bringer->ref);
    }
}

/* Takes the save off the list and lets it go. */
static void end_save(core_t *self, result_save_t *save)
{
    size_t at = 0;
    while (self->saves[at] != save)
        at++;
    self->save_count--;
    memmove(self->saves + at, self->saves + at + 1,
            (self->save_count - at) * sizeof(result_save_t *));
    save->job->result_saves--;
    save_destroy(save);
}

/* The result is not wanted any more: its job was cancelled or has failed. */
static void drop_save(core_t *self, result_save_t *save)
{
    save->job->late_results++;
    core_act_ref(self, CORE_ACTION_DROP_RESULT, save->worker, &save->ref);
    acknowledge(self, save);
    end_save(self, save);
}

void result_drop_waiting(core_t *self, const core_job_t *job)
{
    for (size_t i = self->save_count; i > 0; i--) {
        result_save_t *save = self->saves[i - 1];
        if (save->job != job || !save->waiting)
            continue;
        pending_forget_save(self, save);
        save->job->saves_waiting--;
        drop_save(self, save);
    }
}

static void result_durable(core_t *self, result_save_t *save)
{
    core_job_t *job = save->job;
    uint32_t task = save->ref.task;
    int current = is_current(job, &save->ref); /* also of a job that has failed meanwhile */
    if (current) {
        job->tasks.entries[task].result = save->sha256;
        task_table_set(&job->tasks, task, TASK_DONE);
    }
    acknowledge(self, save);
    end_save(self, save);
    if (current)
        leases_abort_task(self, job, task);
}

void result_save_done(core_t *self, result_save_t *save, const error_t *error)
{
    core_job_t *job = save->job;
    if (error->code == OK) {
        result_durable(self, save);
        return;
    }
    if (job_stopped(job) || !is_current(job, &save->ref)) {
        drop_save(self, save);
        return;
    }
    job_set_error(&job->save_error, error);
    job->saves_waiting++;
    save->waiting = 1;
    if (++save->failures > self->options.save_retry_limit)
        job_fail(self, job, error); /* which drops the saves that wait, this one too */
    else
        pending_retry(self, PENDING_RESULT, job, save);
}

void result_save_retry(core_t *self, result_save_t *save)
{
    save->waiting = 0;
    save->job->saves_waiting--;
    act_save(self, save);
}
