/* Which queued job starts: the oldest of the highest priority, as long as the memory that the jobs
 * at work need together stays under the limit. What a job needs is known from its plan on. */
#include "coordinator/core/core_inner.h"

/* So often may smaller jobs that came later start before one that waits for memory. */
#define OVERTAKE_LIMIT 8

uint64_t memory_in_use(const core_t *self, const core_job_t *but)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < self->active.count; i++) {
        const core_job_t *job = self->active.items[i];
        if (job != but && job_in_slot(job))
            sum += job->memory;
    }
    return sum;
}

/* A job that is alone may start whatever it needs: the plan has refused what never fits. */
int memory_fits(const core_t *self, const core_job_t *job)
{
    uint64_t used = memory_in_use(self, job);
    return self->options.memory_limit == 0 || job->memory == 0 || used == 0 ||
           (used < self->options.memory_limit && job->memory <= self->options.memory_limit - used);
}

static int ranks_before(const core_job_t *job, const core_job_t *other)
{
    return !other || job->priority > other->priority ||
           (job->priority == other->priority && job->sequence < other->sequence);
}

core_job_t *next_to_start(core_t *self)
{
    core_job_t *first = NULL;
    core_job_t *fitting = NULL;
    for (size_t i = 0; i < self->queue.count; i++) {
        core_job_t *job = self->queue.items[i];
        if (ranks_before(job, first))
            first = job;
        if (ranks_before(job, fitting) && memory_fits(self, job))
            fitting = job;
    }
    if (first == fitting || !fitting)
        return fitting;
    if (first->overtaken >= OVERTAKE_LIMIT)
        return NULL;
    first->overtaken++;
    return fitting;
}
