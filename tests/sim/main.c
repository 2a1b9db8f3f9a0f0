/* sim - a cluster a seed, thousands of times a second.
 *
 *   sim [--first S] [--seeds N]   runs seeds S .. S+N-1; the first that breaks a rule ends it
 *   sim --replay SEED [--trace]   runs one seed; --trace prints all that happens in it
 *   --without KIND,... --jobs N --workers N --quiet MS
 *                                 a smaller run: what is said of a seed that breaks a rule is that
 *                                 of the smallest one that does */
#include "scope.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct {
    uint64_t first;
    uint64_t count;
    int trace;
    scope_t scope;
} arguments_t;

typedef struct {
    uint64_t steps;
    uint64_t states[JOB_STATE_COUNT];
    uint64_t crashes;
} totals_t;

static int set(arguments_t *self, const char *name, const char *value)
{
    uint64_t number = strtoull(value, NULL, 10);
    if (!strcmp(name, "--first"))
        self->first = number;
    else if (!strcmp(name, "--seeds"))
        self->count = number;
    else if (!strcmp(name, "--replay"))
        self->first = number, self->count = 1;
    else if (!strcmp(name, "--jobs"))
        self->scope.jobs = (uint32_t)number;
    else if (!strcmp(name, "--workers"))
        self->scope.workers = (uint32_t)number;
    else if (!strcmp(name, "--quiet"))
        self->scope.quiet_ms = (int64_t)number;
    else
        return !strcmp(name, "--without") && scope_without(&self->scope, value);
    return 1;
}

static int parse(int argc, char **argv, arguments_t *out)
{
    *out = (arguments_t){.first = 1, .count = 10000};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--trace") == 0)
            out->trace = 1;
        else if (i + 1 == argc || !set(out, argv[i], argv[i + 1]))
            return 0;
        else
            i++;
    }
    return 1;
}

static void report(world_t *world, uint64_t seed)
{
    scope_t least = world->scope;
    printf("seed %llu at %lld ms: %s\n", (unsigned long long)seed, (long long)world->now_ms,
           world->violation);
    scope_shrink(&least, world, seed);
    world_run(world, seed, 1); /* the same again, this time with its trace */
    size_t lines = world->trace_count < TRACE_LINES ? world->trace_count : TRACE_LINES;
    printf("made as small as it goes, at %lld ms: %s\nthe last %zu of %zu things that happened "
           "(all: sim --replay %llu",
           (long long)world->now_ms, world->violation, lines, world->trace_count,
           (unsigned long long)seed);
    scope_print(&least, stdout);
    puts(" --trace):");
    for (size_t i = world->trace_count - lines; i < world->trace_count; i++)
        puts(world->trace[i % TRACE_LINES]);
}

static void add_totals(totals_t *totals, const world_t *world)
{
    totals->steps += world->steps;
    totals->crashes += world->generation;
    for (uint32_t i = 0; i < world->job_count; i++) {
        if (world->jobs[i].durable.present)
            totals->states[world->jobs[i].durable.state]++;
    }
}

/* Some seeds run twice: equal seeds must give equal actions. */
static int repeats(world_t *world, uint64_t seed)
{
    uint64_t digest = world->digest;
    world_run(world, seed, 0);
    if (world->digest == digest)
        return 1;
    printf("seed %llu gave other actions when it ran again\n", (unsigned long long)seed);
    return 0;
}

static int run_all(const arguments_t *arguments, totals_t *totals)
{
    world_t *world = calloc(1, sizeof *world);
    int ok = world != NULL;
    for (uint64_t i = 0; ok && i < arguments->count; i++) {
        uint64_t seed = arguments->first + i;
        world->scope = arguments->scope;
        world_run(world, seed, arguments->trace ? 2 : 0);
        add_totals(totals, world);
        if (world->violated) {
            report(world, seed);
            ok = 0;
        } else if (seed % 64 == 0) {
            ok = repeats(world, seed);
        }
    }
    if (world)
        world_clear(world);
    free(world);
    return ok;
}

int main(int argc, char **argv)
{
    arguments_t arguments;
    totals_t totals = {0};
    if (!parse(argc, argv, &arguments)) {
        fprintf(stderr, "usage: sim [--first S] [--seeds N] | --replay SEED [--trace]\n"
                        "       [--without KIND,...] [--jobs N] [--workers N] [--quiet MS]\n");
        return 2;
    }
    clock_t start = clock();
    if (!run_all(&arguments, &totals))
        return 1;
    double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
    printf("%llu seeds, %llu steps, %llu coordinator crashes, %.1f s: no rule broken\n",
           (unsigned long long)arguments.count, (unsigned long long)totals.steps,
           (unsigned long long)totals.crashes, seconds);
    for (int state = 0; state < JOB_STATE_COUNT; state++) {
        if (totals.states[state])
            printf("  jobs %s: %llu\n", job_state_name((job_state_t)state),
                   (unsigned long long)totals.states[state]);
    }
    return 0;
}
