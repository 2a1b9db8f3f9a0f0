/* Workers come and go; what they hold is free again when they do. */
#include "coordinator/core/core_inner.h"

#include <string.h>

/* A holder less. The task is free when nobody else has it and no result is being saved. */
static void holder_gone(core_job_t *job, const task_ref_t *ref)
{
    task_entry_t *entry = &job->tasks.entries[ref->task];
    entry->holders--;
    if (entry->holders == 0 && entry->status == TASK_HELD)
        task_table_set(&job->tasks, ref->task, TASK_FREE);
}

static void end_lease_at(worker_t *worker, size_t at)
{
    lease_t lease = worker->leases[at];
    worker_remove_lease(worker, at);
    if (!lease.brought)
        holder_gone(lease.job, &lease.ref);
}

void lease_end(core_t *self, uint32_t handle, const task_ref_t *ref)
{
    worker_t *worker = worker_table_find(&self->workers, handle);
    size_t at = worker ? worker_find_lease(worker, ref) : LEASE_NONE;
    if (at != LEASE_NONE)
        end_lease_at(worker, at);
}

static void abort_lease_at(core_t *self, worker_t *worker, size_t at)
{
    task_ref_t ref = worker->leases[at].ref;
    end_lease_at(worker, at);
    core_act_ref(self, CORE_ACTION_ABORT, worker->handle, &ref);
}

/* Every lease of the job (and task, unless TASK_NONE) whose result has not come. */
static void abort_leases(core_t *self, const core_job_t *job, uint32_t task)
{
    for (size_t w = 0; w < self->workers.count; w++) {
        worker_t *worker = self->workers.items[w];
        for (size_t i = worker->lease_count; i > 0; i--) {
            const lease_t *lease = &worker->leases[i - 1];
            if (lease->job == job && !lease->brought &&
                (task == TASK_NONE || lease->ref.task == task))
                abort_lease_at(self, worker, i - 1);
        }
    }
}

void leases_abort_task(core_t *self, const core_job_t *job, uint32_t task)
{
    if (job->tasks.entries[task].holders > 0)
        abort_leases(self, job, task);
}

void leases_abort_job(core_t *self, const core_job_t *job) { abort_leases(self, job, TASK_NONE); }

int leases_hold(const core_t *self, const core_job_t *job)
{
    for (size_t w = 0; w < self->workers.count; w++)
        for (size_t i = 0; i < self->workers.items[w]->lease_count; i++)
            if (self->workers.items[w]->leases[i].job == job)
                return 1;
    return 0;
}

/* Workers run what they hold in order, so the oldest lease is the task it died on; those that only
 * waited behind it are blameless. */
static size_t running_lease(const worker_t *worker)
{
    for (size_t i = 0; i < worker->lease_count; i++) {
        if (!worker->leases[i].brought)
            return i;
    }
    return LEASE_NONE;
}

/* A pause need not wait for what its workers have not begun: they run in order of arrival. */
void leases_abort_waiting(core_t *self, const core_job_t *job)
{
    for (size_t w = 0; w < self->workers.count; w++) {
        worker_t *worker = self->workers.items[w];
        size_t running = running_lease(worker);
        for (size_t i = worker->lease_count; i > 0; i--) {
            const lease_t *lease = &worker->leases[i - 1];
            if (lease->job == job && !lease->brought && i - 1 != running)
                abort_lease_at(self, worker, i - 1);
        }
    }
}

void task_fault(core_t *self, core_job_t *job, uint32_t task, const error_t *error)
{
    task_entry_t *entry = &job->tasks.entries[task];
    if (++entry->faults < self->options.retry_limit)
        return;
    error_t failure = ERROR_INIT;
    error_set(&failure, error->code, "task %u of stage %u failed %u times, the last time: %s", task,
              job->stage.number, entry->faults, error->message);
    job_fail(self, job, &failure);
}

static void end_all_leases(worker_t *worker)
{
    while (worker->lease_count)
        end_lease_at(worker, worker->lease_count - 1);
}

static uint32_t leases_of(const worker_t *worker, const core_job_t *job)
{
    uint32_t count = 0;
    for (size_t i = 0; i < worker->lease_count; i++)
        count += worker->leases[i].job == job && !worker->leases[i].brought;
    return count;
}

/* Each job that the worker held tasks of has lost a worker, and is told so. */
static void count_lost(core_t *self, const worker_t *worker, const char *how)
{
    for (size_t i = 0; i < worker->lease_count; i++) {
        core_job_t *job = worker->leases[i].job;
        size_t earlier = 0;
        while (worker->leases[earlier].job != job)
            earlier++;
        if (earlier != i)
            continue;
        job->workers_lost++;
        core_action_t *action = core_act_job(self, CORE_ACTION_LOST, job);
        action->worker = worker->handle;
        action->task_count = leases_of(worker, job);
        error_set(&action->error, ERR_UNAVAILABLE, "%s", how);
    }
}

/* The worker holds nothing any more, and did not say so itself. */
static void worker_died(core_t *self, worker_t *worker, const char *how)
{
    size_t running = running_lease(worker);
    core_job_t *job = running == LEASE_NONE ? NULL : worker->leases[running].job;
    uint32_t task = running == LEASE_NONE ? TASK_NONE : worker->leases[running].ref.task;
    end_all_leases(worker);
    if (!job || job_stopped(job))
        return;
    error_t error = ERROR_INIT;
    error_set(&error, ERR_UNAVAILABLE, "the worker that ran it %s", how);
    task_fault(self, job, task, &error);
}

static worker_t *heard(core_t *self, uint32_t handle)
{
    worker_t *worker = worker_table_find(&self->workers, handle);
    if (worker)
        worker->heard_ms = self->now_ms;
    return worker;
}

#define HELLO_REPEATS 4

/* One hello may come several times (the network repeats it, or each of several questions who it is
 * was answered): that is no death, and must not be held against a task. A worker that goes on
 * saying hello is in a crash loop. */
static int is_repeat(core_t *self, worker_t *worker)
{
    int quick = self->now_ms - worker->hello_ms < self->options.lease_ms;
    worker->hello_repeats = quick ? worker->hello_repeats + 1 : 0;
    return quick && worker->hello_repeats <= HELLO_REPEATS;
}

static void restarted(core_t *self, worker_t *worker)
{
    static const char HOW[] = "was started again";
    count_lost(self, worker, HOW);
    if (is_repeat(self, worker))
        end_all_leases(worker);
    else
        worker_died(self, worker, HOW);
}

void worker_hello(core_t *self, const core_event_t *event)
{
    worker_t *worker = heard(self, event->worker);
    if (worker)
        restarted(self, worker);
    else
        worker = worker_table_add(&self->workers, event->worker);
    worker->credit = event->credit;
    worker->heard_ms = self->now_ms;
    worker->hello_ms = self->now_ms;
}

static int named_in(const core_event_t *event, const task_ref_t *ref)
{
    for (size_t i = 0; i < event->ref_count; i++) {
        if (refs_equal(&event->refs[i].ref, ref))
            return 1;
    }
    return 0;
}

/* What the worker has never heard of, or lost: the message was, one way or the other. */
static void end_unnamed(core_t *self, worker_t *worker, const core_event_t *event)
{
    for (size_t i = worker->lease_count; i > 0; i--) {
        lease_t *lease = &worker->leases[i - 1];
        if (named_in(event, &lease->ref))
            lease->seen_ms = self->now_ms;
        else if (!lease->brought && self->now_ms - lease->seen_ms >= self->options.lease_ms)
            abort_lease_at(self, worker, i - 1);
    }
}

void worker_heartbeat(core_t *self, const core_event_t *event)
{
    worker_t *worker = heard(self, event->worker);
    if (!worker) {
        if (worker_table_tell_stranger(&self->workers, event->worker, self->now_ms,
                                       self->options.lease_ms))
            core_act(self, CORE_ACTION_DISMISS)->worker = event->worker;
        return;
    }
    for (size_t i = 0; i < event->ref_count; i++) {
        if (worker_find_lease(worker, &event->refs[i].ref) == LEASE_NONE)
            core_act_ref(self, CORE_ACTION_ABORT, event->worker, &event->refs[i].ref);
    }
    end_unnamed(self, worker, event);
}

static int fails_at_once(int code)
{
    return code == ERR_CHANGED || code == ERR_INPUT || code == ERR_USAGE;
}

void worker_failure(core_t *self, const core_event_t *event)
{
    worker_t *worker = heard(self, event->worker);
    core_job_t *job = job_table_find(&self->jobs, event->ref.job_id);
    size_t at = worker ? worker_find_lease(worker, &event->ref) : LEASE_NONE;
    if (at == LEASE_NONE)
        return; /* told twice, or taken from it long ago: another attempt will say it too */
    end_lease_at(worker, at);
    if (!job || job_stopped(job))
        return;
    if (fails_at_once(event->error.code))
        job_fail(self, job, &event->error);
    else if (job->tasks.entries[event->ref.task].status != TASK_SAVING)
        task_fault(self, job, event->ref.task, &event->error);
}

void worker_returned(core_t *self, const core_event_t *event)
{
    heard(self, event->worker);
    lease_end(self, event->worker, &event->ref);
}

void worker_goodbye(core_t *self, const core_event_t *event)
{
    worker_t *worker = worker_table_find(&self->workers, event->worker);
    if (!worker)
        return;
    if (event->error.code != OK) {
        count_lost(self, worker, "was gone");
        core_act(self, CORE_ACTION_DISMISS)->worker = worker->handle;
    }
    end_all_leases(worker);
    worker_table_take(&self->workers, worker);
    worker_destroy(worker);
}

void workers_expire(core_t *self)
{
    for (size_t i = self->workers.count; i > 0; i--) {
        worker_t *worker = self->workers.items[i - 1];
        if (self->now_ms - worker->heard_ms < self->options.lease_ms)
            continue;
        worker_table_take(&self->workers, worker);
        count_lost(self, worker, "went silent");
        core_act(self, CORE_ACTION_DISMISS)->worker = worker->handle;
        worker_died(self, worker, "went silent");
        worker_destroy(worker);
    }
}

/* Silence only counts while we listened: after a stall of our own (a stopped machine, a busy disk)
 * the messages that came meanwhile are still to be read. A tick at least every third of a lease is
 * asked for, so that a stall shows as a tick that comes late. */
void workers_forgive(core_t *self, int64_t overslept_ms)
{
    for (size_t i = 0; i < self->workers.count; i++) {
        worker_t *worker = self->workers.items[i];
        worker->heard_ms += overslept_ms;
        for (size_t l = 0; l < worker->lease_count; l++)
            worker->leases[l].seen_ms += overslept_ms;
    }
}

int64_t workers_next_tick(const core_t *self)
{
    if (self->workers.count == 0)
        return INT64_MAX;
    int64_t next_ms = self->now_ms + self->options.lease_ms / 3;
    for (size_t i = 0; i < self->workers.count; i++) {
        int64_t due_ms = self->workers.items[i]->heard_ms + self->options.lease_ms;
        next_ms = due_ms < next_ms ? due_ms : next_ms;
    }
    return next_ms;
}
