#include "scope.h"

#include <string.h>

#define SHORTEST_MS 200

#define FAULT(name)                                                                                \
    {                                                                                              \
#name, offsetof(faults_t, name), sizeof(((faults_t *)0)->name)                             \
    }

static const struct {
    const char *name;
    size_t offset, size;
} FAULTS[] = {
    FAULT(drop),
    FAULT(repeat),
    FAULT(delay),
    FAULT(save_fails),
    FAULT(save_slow),
    FAULT(task_fails),
    FAULT(task_permanent),
    FAULT(advance_fails),
    FAULT(crashes),
    FAULT(crash_in_actions),
    FAULT(crash_after_effects),
    FAULT(worker_faults),
    FAULT(lost_payloads),
    FAULT(stalls),
    FAULT(hangs),
    FAULT(controls),
};

#define FAULT_COUNT (sizeof FAULTS / sizeof *FAULTS)

static uint32_t at_most(uint32_t count, uint32_t limit)
{
    return limit && limit < count ? limit : count;
}

void scope_apply(const scope_t *self, world_t *world)
{
    for (size_t i = 0; i < FAULT_COUNT; i++)
        if (self->without & 1U << i)
            memset((char *)&world->faults + FAULTS[i].offset, 0, FAULTS[i].size);
    world->job_count = at_most(world->job_count, self->jobs);
    world->worker_count = at_most(world->worker_count, self->workers);
    if (self->quiet_ms && self->quiet_ms < world->quiet_ms)
        world->quiet_ms = self->quiet_ms;
}

static int leave_out(scope_t *self, const char *word, size_t length)
{
    for (size_t i = 0; i < FAULT_COUNT; i++) {
        if (strlen(FAULTS[i].name) == length && !strncmp(FAULTS[i].name, word, length)) {
            self->without |= 1U << i;
            return 1;
        }
    }
    return 0;
}

int scope_without(scope_t *self, const char *words)
{
    size_t length = strcspn(words, ",");
    int known = leave_out(self, words, length);
    return known && (!words[length] || scope_without(self, words + length + 1));
}

void scope_print(const scope_t *self, FILE *out)
{
    const char *before = " --without ";
    for (size_t i = 0; i < FAULT_COUNT; i++) {
        if (self->without & 1U << i) {
            fprintf(out, "%s%s", before, FAULTS[i].name);
            before = ",";
        }
    }
    if (self->jobs)
        fprintf(out, " --jobs %u", self->jobs);
    if (self->workers)
        fprintf(out, " --workers %u", self->workers);
    if (self->quiet_ms)
        fprintf(out, " --quiet %lld", (long long)self->quiet_ms);
}

/* Takes the smaller scope when the seed breaks a rule in it, too. */
static int try(scope_t *self, const scope_t *smaller, world_t *world, uint64_t seed)
{
    world->scope = *smaller;
    world_run(world, seed, 0);
    if (!world->violated)
        return 0;
    *self = *smaller;
    return 1;
}

static int shrink_once(scope_t *self, world_t *world, uint64_t seed)
{
    int shrunk = 0;
    for (size_t i = 0; i < FAULT_COUNT; i++) {
        scope_t smaller = *self;
        smaller.without |= 1U << i;
        shrunk |= smaller.without != self->without && try(self, &smaller, world, seed);
    }
    for (uint32_t jobs = 1; jobs < (self->jobs ? self->jobs : WORLD_JOBS); jobs++) {
        scope_t smaller = *self;
        smaller.jobs = jobs;
        shrunk |= try(self, &smaller, world, seed);
    }
    for (uint32_t workers = 1; workers < (self->workers ? self->workers : WORLD_WORKERS);
         workers++) {
        scope_t smaller = *self;
        smaller.workers = workers;
        shrunk |= try(self, &smaller, world, seed);
    }
    scope_t sooner = *self;
    sooner.quiet_ms = (self->quiet_ms ? self->quiet_ms : 8000) / 2;
    return (sooner.quiet_ms >= SHORTEST_MS && try(self, &sooner, world, seed)) || shrunk;
}

void scope_shrink(scope_t *self, world_t *world, uint64_t seed)
{
    while (shrink_once(self, world, seed))
        ;
    world->scope = *self;
}
