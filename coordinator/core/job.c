#include "coordinator/core/job.h"

#include "coordinator/core/memory.h"

#include <stdlib.h>
#include <string.h>

/* FNV-1a: ids are chosen by the shell, not by an attacker. */
static size_t hash_of(const char *text)
{
    uint64_t hash = 14695981039346656037ull;
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * 1099511628211ull;
    return (size_t)(hash ^ (hash >> 32));
}

static core_job_t **bucket_of(const job_table_t *self, const char *job_id)
{
    return &self->buckets[hash_of(job_id) & (self->bucket_count - 1)];
}

static void job_destroy(core_job_t *self)
{
    task_table_clear(&self->tasks);
    free(self->error);
    free(self->save_error);
    free(self->waiters);
    free(self);
}

void job_table_init(job_table_t *self)
{
    self->bucket_count = 64;
    self->buckets = core_allocate(self->bucket_count, sizeof *self->buckets);
    self->count = 0;
}

void job_table_clear(job_table_t *self)
{
    for (size_t i = 0; i < self->bucket_count; i++) {
        for (core_job_t *job = self->buckets[i], *next; job; job = next) {
            next = job->next_in_bucket;
            job_destroy(job);
        }
    }
    free(self->buckets);
    memset(self, 0, sizeof *self);
}

core_job_t *job_table_find(const job_table_t *self, const char *job_id)
{
    core_job_t *job = *bucket_of(self, job_id);
    while (job && strcmp(job->id, job_id) != 0)
        job = job->next_in_bucket;
    return job;
}

static void put_in_bucket(job_table_t *self, core_job_t *job)
{
    core_job_t **bucket = bucket_of(self, job->id);
    job->next_in_bucket = *bucket;
    *bucket = job;
}

static void grow(job_table_t *self)
{
    core_job_t **old = self->buckets;
    size_t old_count = self->bucket_count;
    self->bucket_count *= 2;
    self->buckets = core_allocate(self->bucket_count, sizeof *self->buckets);
    for (size_t i = 0; i < old_count; i++) {
        for (core_job_t *job = old[i], *next; job; job = next) {
            next = job->next_in_bucket;
            put_in_bucket(self, job);
        }
    }
    free(old);
}

core_job_t *job_table_add(job_table_t *self, const char *job_id)
{
    if (self->count == self->bucket_count)
        grow(self);
    core_job_t *job = core_allocate(1, sizeof *job);
    memccpy(job->id, job_id, 0, sizeof job->id - 1);
    put_in_bucket(self, job);
    self->count++;
    return job;
}

void job_table_remove(job_table_t *self, core_job_t *job)
{
    core_job_t **link = bucket_of(self, job->id);
    while (*link != job)
        link = &(*link)->next_in_bucket;
    *link = job->next_in_bucket;
    self->count--;
    job_destroy(job);
}

int job_durable(const core_job_t *self) { return self->durable_version == self->version; }

int job_stopped(const core_job_t *self)
{
    return self->state == JOB_CANCELLING || job_state_ended(self->state);
}

int job_in_slot(const core_job_t *self)
{
    return self->state != JOB_QUEUED && self->state != JOB_PAUSED && !job_stopped(self);
}

int job_computing(const core_job_t *self)
{
    return job_in_slot(self) && self->has_stage && !self->stage.last;
}

void job_set_stage(core_job_t *self, const job_stage_t *stage)
{
    self->stage = *stage;
    self->has_stage = 1;
    task_table_clear(&self->tasks);
    if (!stage->last)
        task_table_init(&self->tasks, stage->task_count);
}

void job_drop_stage(core_job_t *self)
{
    self->has_stage = 0;
    self->has_next = 0;
    self->next_unsure = 0;
    task_table_clear(&self->tasks);
}

void job_add_waiter(core_job_t *self, uint64_t request, uint64_t version, client_verb_t verb)
{
    self->waiters =
        core_room(self->waiters, self->waiter_count, &self->waiter_capacity, sizeof *self->waiters);
    self->waiters[self->waiter_count++] = (job_waiter_t){request, version, verb};
}

void job_set_error(error_t **slot, const error_t *error)
{
    if (!*slot)
        *slot = core_allocate(1, sizeof **slot);
    **slot = *error;
}

void job_clear_error(error_t **slot)
{
    free(*slot);
    *slot = NULL;
}

void job_list_insert(job_list_t *self, core_job_t *job)
{
    self->items = core_room(self->items, self->count, &self->capacity, sizeof *self->items);
    size_t at = self->count;
    while (at > 0 && self->items[at - 1]->sequence > job->sequence)
        at--;
    memmove(self->items + at + 1, self->items + at, (self->count - at) * sizeof *self->items);
    self->items[at] = job;
    self->count++;
}

void job_list_remove(job_list_t *self, const core_job_t *job)
{
    size_t at = 0;
    while (at < self->count && self->items[at] != job)
        at++;
    if (at == self->count)
        return;
    self->count--;
    memmove(self->items + at, self->items + at + 1, (self->count - at) * sizeof *self->items);
}
