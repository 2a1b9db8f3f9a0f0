/* stage4-bench - a whole `stage4 run`, measured against what the processor can do.
 *
 *   stage4-bench --indices FOLDER --embedding-type LEVEL [--threads T] [--workers W]
 *                [--param NAME=VALUE]... [--output FILE]
 *
 * Prints JSON: seconds and CPU seconds of the run and of its phases, the float32 and int8 peaks of
 * T x W threads, the int8 kernel's share of its peak, the time of one N x N x d product by OpenBLAS
 * on as many threads (from one tile of one thread), and `ratio` = seconds / (2 N^2 d / float32
 * peak). `ratio_cpu` has CPU seconds over all threads' instead: a busy machine does not spoil it. */
#include "peak.h"

#include "common/input/flat_index.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ARGUMENTS_MOST 64
#define PATH_SIZE 4096

typedef struct {
    const char *indices;
    const char *level;
    const char *output;
    uint32_t threads;
    uint32_t workers;
    const char *params[ARGUMENTS_MOST / 4];
    size_t param_count;
    uint32_t rows;
    uint32_t dimension;
    double seconds;
    double cpu_seconds;
    long memory_kb;
    json_t *status;
} bench_t;

static int parse(bench_t *self, int count, char **arguments)
{
    for (int i = 1; i + 1 < count; i += 2) {
        const char *name = arguments[i], *value = arguments[i + 1];
        if (!strcmp(name, "--indices"))
            self->indices = value;
        else if (!strcmp(name, "--embedding-type"))
            self->level = value;
        else if (!strcmp(name, "--output"))
            self->output = value;
        else if (!strcmp(name, "--threads"))
            self->threads = (uint32_t)strtoul(value, NULL, 10);
        else if (!strcmp(name, "--workers"))
            self->workers = (uint32_t)strtoul(value, NULL, 10);
        else if (!strcmp(name, "--param") && self->param_count < ARGUMENTS_MOST / 4)
            self->params[self->param_count++] = value;
        else
            return 0;
    }
    return count % 2 == 1 && self->indices && self->level && self->threads && self->workers;
}

static int read_size(bench_t *self)
{
    char path[PATH_SIZE];
    flat_index_t *index = NULL;
    error_t error = ERROR_INIT;
    snprintf(path, sizeof path, "%s/%s.index", self->indices, self->level);
    if (flat_index_open(path, CONTRACT_DIMENSION, &index, &error)) {
        fprintf(stderr, "stage4-bench: %s\n", error.message);
        return 0;
    }
    self->rows = flat_index_rows(index);
    self->dimension = flat_index_dimension(index);
    flat_index_close(&index);
    return 1;
}

/* `stage4` stands beside this program. */
static void become_stage4(const bench_t *self, int out)
{
    char program[PATH_SIZE], threads[16], workers[16];
    const char *arguments[ARGUMENTS_MOST] = {
        program,      "run",       "--indices", self->indices, "--embedding-type",
        self->level,  "--json",    "--as-of",   "2026-01-01",  "--output",
        self->output, "--threads", threads,     "--workers",   workers};
    size_t count = 15;
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    program[length > 0 ? length : 0] = 0;
    char *name = strrchr(program, '/');
    snprintf(name ? name + 1 : program, 16, "stage4");
    snprintf(threads, sizeof threads, "%u", self->threads);
    snprintf(workers, sizeof workers, "%u", self->workers);
    for (size_t i = 0; i < self->param_count; i++) {
        arguments[count++] = "--param";
        arguments[count++] = self->params[i];
    }
    dup2(out, STDOUT_FILENO);
    if (!freopen("/dev/null", "w", stderr))
        _exit(126);
    execv(program, (char **)(uintptr_t)arguments);
    _exit(127);
}

static double of_time(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec * 1e-6;
}

static int run(bench_t *self)
{
    int ends[2], status = 0;
    struct rusage usage;
    struct timespec begin, end;
    if (pipe(ends))
        return 0;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    pid_t child = fork();
    if (child == 0)
        become_stage4(self, ends[1]);
    close(ends[1]);
    FILE *stream = fdopen(ends[0], "r");
    if (child < 0 || !stream)
        return 0;
    self->status = json_loadf(stream, JSON_DISABLE_EOF_CHECK, NULL);
    fclose(stream);
    if (wait4(child, &status, 0, &usage) != child || status)
        return 0;
    clock_gettime(CLOCK_MONOTONIC, &end);
    self->seconds =
        (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) * 1e-9;
    self->cpu_seconds = of_time(usage.ru_utime) + of_time(usage.ru_stime);
    self->memory_kb = usage.ru_maxrss;
    return 1;
}

static void print(const bench_t *self)
{
    uint32_t threads = self->threads * self->workers;
    double float32 = peak_float32(threads), int8 = peak_int8(threads);
    double unit = 2.0 * self->rows * self->rows * self->dimension / float32;
    json_t *times = json_object_get(json_object_get(self->status, "report"), "times");
    json_t *result = json_pack(
        "{s:i, s:i, s:i, s:i, s:f, s:f, s:i, s:f, s:f, s:f, s:f, s:f, s:f, s:O?}", "rows",
        (int)self->rows, "dimension", (int)self->dimension, "workers", (int)self->workers,
        "threads", (int)self->threads, "seconds", self->seconds, "cpu_seconds", self->cpu_seconds,
        "memory_kb", (int)self->memory_kb, "float32_gflops", float32 * 1e-9, "int8_gmacs",
        int8 * 1e-9, "int8_kernel_share", peak_kernel(threads) / int8, "sgemm_seconds",
        peak_sgemm_seconds(self->rows, self->dimension) / threads, "ratio", self->seconds / unit,
        "ratio_cpu", self->cpu_seconds / threads / unit, "phases", times);
    json_dumpf(result, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(4));
    printf("\n");
    json_decref(result);
}

int main(int count, char **arguments)
{
    bench_t bench = {.threads = 2, .workers = 1, .output = "stage4-bench.jsonl"};
    if (!parse(&bench, count, arguments)) {
        fprintf(stderr,
                "usage: stage4-bench --indices FOLDER --embedding-type LEVEL [--threads T] "
                "[--workers W] [--param NAME=VALUE]... [--output FILE (stage4-bench.jsonl)]\n");
        return 2;
    }
    if (!read_size(&bench))
        return 1;
    if (!run(&bench)) {
        fprintf(stderr, "stage4-bench: the run failed; try it with stage4 run\n");
        return 1;
    }
    print(&bench);
    json_decref(bench.status);
    return 0;
}
