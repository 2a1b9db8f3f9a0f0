/* stage4-bench - a whole `stage4 run`, measured against what the processor can do.
 *
 *   stage4-bench --vectors FILE.index [--n ROWS] | --indices FOLDER --embedding-type LEVEL
 *                [--algorithm hdbscan|kmeans|knn|two-stage|approximate] [--threads T] [--workers W]
 *                [--param NAME=VALUE]... [--output FILE]
 *
 * --vectors takes the first ROWS of one file, with metadata that says nothing. `knn` is the part of
 * an hdbscan run up to the tree: `neighbour_seconds` of every report; `approximate` is hdbscan with
 * mode=approximate.
 *
 * Prints JSON: seconds and CPU seconds of the run and of its phases, the float32 and int8 peaks of
 * T x W threads, the int8 kernel's share of its peak, the time of one N x N x d product by OpenBLAS
 * on as many threads (from one tile of one thread), and `ratio` = seconds / (2 N^2 d / float32
 * peak). `ratio_cpu` has CPU seconds over all threads' instead: a busy machine does not spoil it. */
#include "cut_set.h"
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
    const char *vectors; /* NULL: indices and level are given */
    uint32_t wanted;     /* rows of them */
    char folder[PATH_SIZE];
    const char *algorithm;
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

static void take_algorithm(bench_t *self, const char *name)
{
    int approximate = !strcmp(name, "approximate");
    self->algorithm = approximate || !strcmp(name, "knn") ? "hdbscan" : name;
    if (approximate && self->param_count < ARGUMENTS_MOST / 4)
        self->params[self->param_count++] = "mode=approximate";
}

static int parse(bench_t *self, int count, char **arguments)
{
    for (int i = 1; i + 1 < count; i += 2) {
        const char *name = arguments[i], *value = arguments[i + 1];
        if (!strcmp(name, "--indices"))
            self->indices = value;
        else if (!strcmp(name, "--vectors"))
            self->vectors = value;
        else if (!strcmp(name, "--n"))
            self->wanted = (uint32_t)strtoul(value, NULL, 10);
        else if (!strcmp(name, "--algorithm"))
            take_algorithm(self, value);
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
    int given = self->vectors ? !self->indices && !self->level
                              : self->indices && self->level && !self->wanted;
    return count % 2 == 1 && given && self->threads && self->workers;
}

/* The set that `stage4 run` is given. */
static int make_set(bench_t *self)
{
    error_t error = ERROR_INIT;
    if (!self->vectors)
        return 1;
    if (cut_set_make(self->vectors, self->wanted, self->folder, sizeof self->folder, &error)) {
        fprintf(stderr, "stage4-bench: %s\n", error.message);
        return 0;
    }
    self->indices = self->folder;
    self->level = CUT_SET_LEVEL;
    return 1;
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
static void become_stage4(const bench_t *self, int out, FILE *said)
{
    char program[PATH_SIZE], threads[16], workers[16];
    const char *arguments[ARGUMENTS_MOST] = {
        program,  "run",       "--indices",  self->indices, "--embedding-type", self->level,
        "--json", "--as-of",   "2026-01-01", "--output",    self->output,       "--threads",
        threads,  "--workers", workers,      "--algorithm", self->algorithm};
    size_t count = 17;
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
    dup2(fileno(said), STDERR_FILENO);
    execv(program, (char **)(uintptr_t)arguments);
    _exit(127);
}

/* The end of what the run said, which is why it failed. */
static void show(FILE *said)
{
    char text[2049] = "";
    long length = fseek(said, 0, SEEK_END) == 0 ? ftell(said) : 0;
    if (length > 2048)
        length = 2048;
    if (fseek(said, -length, SEEK_END) == 0 && fread(text, 1, sizeof text - 1, said) > 0)
        fprintf(stderr, "%s\n", text);
}

static double of_time(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec * 1e-6;
}

static int run(bench_t *self, FILE *said)
{
    int ends[2], status = 0;
    struct rusage usage;
    struct timespec begin, end;
    if (pipe(ends))
        return 0;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    pid_t child = fork();
    if (child == 0)
        become_stage4(self, ends[1], said);
    close(ends[1]);
    FILE *stream = fdopen(ends[0], "r");
    if (child < 0 || !stream)
        return 0;
    self->status = json_loadf(stream, JSON_DISABLE_EOF_CHECK, NULL);
    fclose(stream);
    if (wait4(child, &status, 0, &usage) != child || status) {
        show(said);
        return 0;
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    self->seconds =
        (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) * 1e-9;
    self->cpu_seconds = of_time(usage.ru_utime) + of_time(usage.ru_stime);
    self->memory_kb = usage.ru_maxrss;
    return 1;
}

static double neighbour_seconds(const json_t *times)
{
    static const char *const PHASES[] = {"rotation", "codes", "bounds", "neighbours"};
    double sum = 0;
    size_t i;
    json_t *phase;
    json_array_foreach(times, i, phase)
    {
        const char *name = json_string_value(json_object_get(phase, "phase"));
        for (size_t p = 0; p < sizeof PHASES / sizeof *PHASES && name; p++)
            if (!strcmp(name, PHASES[p]))
                sum += json_number_value(json_object_get(phase, "seconds"));
    }
    return sum;
}

static void print(const bench_t *self)
{
    uint32_t threads = self->threads * self->workers;
    double float32 = peak_float32(threads), int8 = peak_int8(threads);
    double unit = 2.0 * self->rows * self->rows * self->dimension / float32;
    json_t *times = json_object_get(json_object_get(self->status, "report"), "times");
    json_t *result = json_pack(
        "{s:i, s:i, s:i, s:i, s:f, s:f, s:i, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:O?}", "rows",
        (int)self->rows, "dimension", (int)self->dimension, "workers", (int)self->workers,
        "threads", (int)self->threads, "seconds", self->seconds, "cpu_seconds", self->cpu_seconds,
        "memory_kb", (int)self->memory_kb, "float32_gflops", float32 * 1e-9, "int8_gmacs",
        int8 * 1e-9, "int8_kernel_share", peak_kernel(threads) / int8, "sgemm_seconds",
        peak_sgemm_seconds(self->rows, self->dimension) / threads, "ratio", self->seconds / unit,
        "ratio_cpu", self->cpu_seconds / threads / unit, "neighbour_seconds",
        neighbour_seconds(times), "phases", times);
    json_dumpf(result, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(4));
    printf("\n");
    json_decref(result);
}

static int measure(bench_t *self)
{
    FILE *said = tmpfile();
    int done = said && read_size(self) && run(self, said);
    if (!done)
        fprintf(stderr, "stage4-bench: the run failed\n");
    if (said)
        fclose(said);
    return done;
}

int main(int count, char **arguments)
{
    bench_t bench = {
        .threads = 2, .workers = 1, .algorithm = "hdbscan", .output = "stage4-bench.jsonl"};
    if (!parse(&bench, count, arguments)) {
        fprintf(stderr, "usage: stage4-bench --vectors FILE.index [--n ROWS] | "
                        "--indices FOLDER --embedding-type LEVEL\n"
                        "       [--algorithm hdbscan|kmeans|knn] [--threads T] [--workers W] "
                        "[--param NAME=VALUE]... [--output FILE (stage4-bench.jsonl)]\n");
        return 2;
    }
    if (!make_set(&bench))
        return 1;
    int done = measure(&bench);
    if (done)
        print(&bench);
    if (bench.folder[0])
        cut_set_remove(bench.folder);
    json_decref(bench.status);
    return done ? 0 : 1;
}
