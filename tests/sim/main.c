/* sim - a cluster a seed, thousands of times a second.
 *
 *   sim [--first S] [--seeds N]   runs seeds S .. S+N-1; the first that breaks a rule ends it
 *   sim --replay SEED [--trace]   runs one seed; --trace prints all that happens in it */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct {
    uint64_t first;
    uint64_t count;
    int trace;
} arguments_t;

typedef struct {
    uint64_t steps;
    uint64_t states[JOB_STATE_COUNT];
    uint64_t crashes;
} totals_t;

static int parse(int argc, char **argv, arguments_t *out)
{
    *out = (arguments_t){1, 10000, 0};
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--trace") == 0) {
            out->trace = 1;
            continue;
        }
        if (!value)
            return 0;
        if (strcmp(argv[i], "--first") == 0)
            out->first = strtoull(value, NULL, 10);
        else if (strcmp(argv[i], "--seeds") == 0)
            out->count = strtoull(value, NULL, 10);
        else if (strcmp(argv[i], "--replay") == 0)
            *out = (arguments_t){strtoull(value, NULL, 10), 1, out->trace};
        else
            return 0;
        i++;
    }
    return 1;
}

static void report(world_t *world, uint64_t seed)
{
    world_run(world, seed, 1); /* the same again, this time with its trace */
    printf("seed %llu at %lld ms: %s\n", (unsigned long long)seed, (long long)world->now_ms,
           world->violation);
    size_t lines = world->trace_count < TRACE_LINES ? world->trace_count : TRACE_LINES;
    printf("the last %zu things that happened (sim --replay %llu --trace shows all):\n", lines,
           (unsigned long long)seed);
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
        fprintf(stderr, "usage: sim [--first S] [--seeds N] | --replay SEED [--trace]\n");
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
