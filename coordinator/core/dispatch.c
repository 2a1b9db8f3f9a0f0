/* Handing out tasks: of the jobs of the highest priority, the one that was given the least time of
 * workers; its lowest free task; to the freest worker. */
#include "coordinator/core/core_inner.h"

#include <string.h>

#define TASK_MS 1000 /* what a task is taken to last while none of its stage has ended */

static int has_free_task(const core_job_t *job)
{
    return job->state == JOB_RUNNING && job->tasks.free > 0;
}

/* 1 when `job` comes before `other`: a higher priority, or it was given less time, or its turn is
 * earlier; those that were submitted after the one served last have theirs before the others. */
static int comes_before(const core_t *self, const core_job_t *job, const core_job_t *other)
{
    int ahead = job->sequence > self->served_sequence;
    int other_ahead = other->sequence > self->served_sequence;
    if (job->priority != other->priority)
        return job->priority > other->priority;
    if (job->served_ms != other->served_ms)
        return job->served_ms < other->served_ms;
    return ahead != other_ahead ? ahead : job->sequence < other->sequence;
}

static core_job_t *next_job(const core_t *self)
{
    core_job_t *next = NULL;
    for (size_t i = 0; i < self->active.count; i++) {
        core_job_t *job = self->active.items[i];
        if (has_free_task(job) && (!next || comes_before(self, job, next)))
            next = job;
    }
    return next;
}

static void hand_out(core_t *self, core_job_t *job, uint32_t task, worker_t *worker)
{
    task_entry_t *entry = &job->tasks.entries[task];
    task_table_set(&job->tasks, task, TASK_HELD);
    entry->holders++;
    entry->attempts++;
    job->retries += entry->attempts > 1;

    lease_t *lease = worker_add_lease(worker);
    lease->job = job;
    memcpy(lease->ref.job_id, job->id, sizeof lease->ref.job_id);
    lease->ref.epoch = job->epoch;
    lease->ref.stage = job->stage.number;
    lease->ref.task = task;
    lease->ref.attempt = entry->attempts;
    lease->dispatched_ms = self->now_ms;
    lease->seen_ms = self->now_ms;
    core_act_ref(self, CORE_ACTION_DISPATCH, worker->handle, &lease->ref);
}

/* By what is known of its stage: so a job of long tasks gets fewer of them, and as much time. */
static uint64_t cost_of_task(const core_job_t *job)
{
    int64_t mean_ms = task_table_mean_ms(&job->tasks);
    return mean_ms > 0 ? (uint64_t)mean_ms : TASK_MS;
}

static void hand_out_free(core_t *self)
{
    for (;;) {
        core_job_t *job = next_job(self);
        worker_t *worker = job ? worker_table_freest(&self->workers, NULL) : NULL;
        if (!worker)
            return;
        self->served_sequence = job->sequence;
        self->served_ms = job->served_ms;
        job->served_ms += cost_of_task(job);
        hand_out(self, job, task_table_first_free(&job->tasks), worker);
    }
}

/* ---- stragglers: near the end of a stage, slow tasks are started a second time ---- */

static int near_the_end(const core_t *self, const core_job_t *job)
{
    const task_table_t *tasks = &job->tasks;
    return self->options.straggler_percent > 0 && job->state == JOB_RUNNING && tasks->free == 0 &&
           tasks->done < tasks->count && task_table_mean_ms(tasks) >= 0 &&
           (uint64_t)tasks->done * 100 >= (uint64_t)tasks->count * self->options.straggler_percent;
}

/* When the lease becomes a straggler: twice the mean after it was handed out; INT64_MAX: never. */
static int64_t straggles_at(const core_t *self, const lease_t *lease)
{
    const task_entry_t *entry = NULL;
    if (lease->brought || !near_the_end(self, lease->job))
        return INT64_MAX;
    entry = &lease->job->tasks.entries[lease->ref.task];
    if (entry->status != TASK_HELD || entry->holders != 1)
        return INT64_MAX;
    return lease->dispatched_ms + 2 * task_table_mean_ms(&lease->job->tasks) + 1;
}

static int any_near_the_end(const core_t *self)
{
    for (size_t i = 0; i < self->active.count; i++) {
        if (near_the_end(self, self->active.items[i]))
            return 1;
    }
    return 0;
}

/* How many workers have free credit; *one is one of them. */
static size_t takers(const core_t *self, const worker_t **one)
{
    size_t count = 0;
    *one = NULL;
    for (size_t i = 0; i < self->workers.count; i++) {
        const worker_t *worker = self->workers.items[i];
        if (worker->lease_count < worker->credit) {
            *one = worker;
            count++;
        }
    }
    return count;
}

/* The lease that is due first and whose task another worker could take; NULL when there is none. */
static const lease_t *first_straggler(const core_t *self, int64_t *due_ms)
{
    const lease_t *first = NULL;
    const worker_t *taker;
    size_t taker_count = takers(self, &taker);
    *due_ms = INT64_MAX;
    for (size_t w = 0; taker_count > 0 && w < self->workers.count; w++) {
        const worker_t *worker = self->workers.items[w];
        if (taker_count == 1 && taker == worker)
            continue;
        for (size_t i = 0; i < worker->lease_count; i++) {
            int64_t at_ms = straggles_at(self, &worker->leases[i]);
            if (at_ms < *due_ms) {
                *due_ms = at_ms;
                first = &worker->leases[i];
            }
        }
    }
    return first;
}

int64_t core_next_straggler(const core_t *self)
{
    int64_t due_ms = INT64_MAX;
    if (any_near_the_end(self))
        first_straggler(self, &due_ms);
    return due_ms;
}

static void hand_out_stragglers(core_t *self)
{
    while (any_near_the_end(self)) {
        int64_t due_ms;
        const lease_t *lease = first_straggler(self, &due_ms);
        if (!lease || due_ms > self->now_ms)
            return;
        hand_out(self, lease->job, lease->ref.task,
                 worker_table_freest(&self->workers, &lease->ref));
    }
}

void core_dispatch(core_t *self)
{
    hand_out_free(self);
    hand_out_stragglers(self);
}
