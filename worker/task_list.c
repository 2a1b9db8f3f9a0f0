#include "worker/task_list.h"

#include <stdlib.h>
#include <string.h>

int task_refs_equal(const task_ref_t *a, const task_ref_t *b)
{
    return a->task == b->task && a->stage == b->stage && a->epoch == b->epoch &&
           a->attempt == b->attempt && !strcmp(a->job_id, b->job_id);
}

held_task_t *task_list_find(task_list_t *self, const task_ref_t *ref)
{
    for (size_t i = 0; i < self->held_count; i++)
        if (!self->held[i].forgotten && task_refs_equal(&self->held[i].job->task.ref, ref))
            return &self->held[i];
    return NULL;
}

held_task_t *task_list_running(task_list_t *self)
{
    for (size_t i = 0; i < self->held_count; i++)
        if (self->held[i].running)
            return &self->held[i];
    return NULL;
}

size_t task_list_counted(const task_list_t *self)
{
    size_t count = 0;
    for (size_t i = 0; i < self->held_count; i++)
        count += !self->held[i].forgotten;
    return count;
}

held_task_t *task_list_add(task_list_t *self, task_t *task, error_t *error)
{
    if (self->held_count == HELD_LIMIT) {
        error_set(error, ERR_BUSY, "the worker holds %zu tasks already", self->held_count);
        return NULL;
    }
    compute_job_t *job = calloc(1, sizeof *job);
    if (!job) {
        error_set(error, ERR_MEMORY, "no memory for a task");
        return NULL;
    }
    job->task = *task;
    memset(task, 0, sizeof *task);
    held_task_t *held = &self->held[self->held_count++];
    *held = (held_task_t){.job = job};
    return held;
}

void task_list_remove(task_list_t *self, held_task_t *held, input_cache_t *cache)
{
    size_t at = (size_t)(held - self->held);
    for (size_t i = 0; i < held->pinned; i++)
        input_cache_unpin(cache, &held->job->inputs[i].sha256);
    compute_job_destroy(&held->job);
    self->held_count--;
    memmove(held, held + 1, (self->held_count - at) * sizeof *held);
}

static void remove_offer(task_list_t *self, size_t at)
{
    free(self->offers[at].payload);
    self->offer_count--;
    memmove(&self->offers[at], &self->offers[at + 1],
            (self->offer_count - at) * sizeof *self->offers);
}

void task_list_offer(task_list_t *self, compute_job_t *job, int64_t now_ms)
{
    if (self->offer_count == OFFER_LIMIT)
        remove_offer(self, 0);
    self->offers[self->offer_count++] = (offer_t){.ref = job->task.ref,
                                                  .sha256 = job->sha256,
                                                  .seconds = job->seconds,
                                                  .work = job->task.work,
                                                  .payload = job->payload,
                                                  .length = job->length,
                                                  .due_ms = now_ms,
                                                  .wait_ms = 2000};
    job->payload = NULL;
}

void task_list_withdraw(task_list_t *self, const task_ref_t *ref)
{
    for (size_t i = 0; i < self->offer_count; i++) {
        if (task_refs_equal(&self->offers[i].ref, ref)) {
            remove_offer(self, i);
            return;
        }
    }
}

static void add_progress(worker_message_t *out, const task_ref_t *ref, uint64_t work_done)
{
    if (out->progress_count < WORKER_CREDIT_LIMIT)
        out->progress[out->progress_count++] = (task_progress_t){*ref, work_done};
}

void task_list_progress(const task_list_t *self, worker_message_t *out)
{
    out->progress_count = 0;
    for (size_t i = 0; i < self->held_count; i++) {
        compute_job_t *job = self->held[i].job;
        if (!self->held[i].forgotten)
            add_progress(out, &job->task.ref, atomic_load(&job->work_done));
    }
    for (size_t i = 0; i < self->offer_count; i++)
        add_progress(out, &self->offers[i].ref, self->offers[i].work);
}

void task_list_clear(task_list_t *self, input_cache_t *cache)
{
    while (self->held_count)
        task_list_remove(self, &self->held[self->held_count - 1], cache);
    while (self->offer_count)
        remove_offer(self, self->offer_count - 1);
}
