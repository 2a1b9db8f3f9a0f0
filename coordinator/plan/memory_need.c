#include "coordinator/plan/memory_need.h"

#include "coordinator/plan/plan.h"
#include "coordinator/plan/task_cutter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MIB ((uint64_t)1 << 20)
#define IDLE_BYTES (36 * MIB) /* libraries, their buffers, two event loops */
#define OPEN_RESULTS (256 * MIB)
#define KEPT_FREE (96 * MIB)
#define THREAD_BYTES (6 * MIB)
#define ENCODE_BYTES (16 * MIB)
#define CODE_WIDTH_LIMIT 512u
#define SAMPLE_LEAST 65536u
#define SAMPLE_PER_CENTRE 50u
#define SAMPLE_BYTES (256 * MIB)
#define DIRECT_PAIRS 5e7
#define DIRECT_ROWS_MIN 256u
#define DIRECT_BLOCK_ROWS 2048u
#define VERIFY_BLOCK_ROWS 8192u
#define PHASE_LIMIT 6

/* What the parts take in one phase. */
typedef struct {
    uint64_t coordinator;
    uint64_t worker; /* of each */
    uint64_t shared; /* by all workers of a process */
} phase_t;

static uint64_t larger(uint64_t a, uint64_t b) { return a > b ? a : b; }
static uint64_t smaller(uint64_t a, uint64_t b) { return a < b ? a : b; }

/* What a task that looks for neighbours takes at once. */
typedef struct {
    uint64_t rows;  /* that are held with all there is of them */
    uint64_t lists; /* of rows and columns */
} search_t;

static search_t search_directly(uint64_t n, uint64_t pairs)
{
    uint64_t rows = (uint64_t)(DIRECT_PAIRS / (double)(pairs + 1) * (double)n);
    rows = smaller(n, larger(rows, DIRECT_ROWS_MIN));
    return (search_t){smaller(rows, DIRECT_BLOCK_ROWS), rows};
}

static search_t search_of(const memory_shape_t *shape)
{
    uint64_t n = shape->rows, pairs = shape->pairs ? shape->pairs : n * n;
    if (!shape->code_width)
        return search_directly(n, pairs);
    uint64_t quantum = task_cutter_quantum((double)pairs / 2), rows = task_cutter_rows(quantum);
    return (search_t){smaller(n, rows), smaller(n, rows + quantum / rows)};
}

/* Vectors that workers keep when codes are compared (worker/compute_thread.c). */
static uint64_t kept_of(const memory_shape_t *shape)
{
    uint64_t bytes = 4 * (uint64_t)shape->dimension * shape->rows;
    return shape->code_width ? smaller(bytes, shape->vectors) : 0;
}

uint32_t memory_code_width(uint32_t dimension)
{
    return (uint32_t)smaller(dimension / 2, CODE_WIDTH_LIMIT);
}

/* Everybody's codes are made and gathered. */
static phase_t coding_of(const memory_shape_t *shape)
{
    uint64_t n = shape->rows, w = shape->code_width;
    return w == 0 ? (phase_t){0, 0, 0}
                  : (phase_t){n * (w + 60) + smaller(n * (w + 8), OPEN_RESULTS),
                              4 * n + ENCODE_BYTES, kept_of(shape)};
}

static size_t phases_of_hdbscan(const job_spec_t *spec, const memory_shape_t *shape, phase_t *out)
{
    uint64_t n = shape->rows, d = shape->dimension, m = shape->metadata_bytes;
    uint64_t k = plan_list_length(spec, UINT32_MAX), w = shape->code_width, v = kept_of(shape);
    search_t task = search_of(shape);
    uint64_t a_row = (v == 4 * d * n ? 0 : 4 * d) + w + 64;
    out[0] = (phase_t){m, 0, 0};
    out[1] = coding_of(shape);
    out[2] =
        (phase_t){8 * task.lists * k, n * (w + 28) + task.rows * a_row + 16 * task.lists * k, v};
    out[3] = (phase_t){n * (8 * k + 240), n * (w + 108), v};
    out[4] = (phase_t){60 * n + m / 2, n * (w + 108), v};
    out[5] = (phase_t){0, 0, 0};
    if (w > 0) /* the tree is verified */
        out[5] = (phase_t){120 * n, n * (w + 160) + smaller(n, VERIFY_BLOCK_ROWS) * a_row, v};
    return 6;
}

static size_t phases_of_kmeans(const job_spec_t *spec, const memory_shape_t *shape, phase_t *out)
{
    uint64_t n = shape->rows, d = shape->dimension, w = shape->code_width;
    uint64_t centres = smaller(n, (uint64_t)spec->k * larger(shape->partitions, 1));
    uint64_t c = 8 * d * centres;
    uint64_t sample = smaller(n, larger(SAMPLE_LEAST, SAMPLE_PER_CENTRE * centres));
    out[0] = (phase_t){shape->metadata_bytes, 0, 0};
    out[1] = coding_of(shape);
    uint64_t v = kept_of(shape);
    out[2] = (phase_t){12 * n, n * (w + 28) + smaller(4 * d * sample, SAMPLE_BYTES), v};
    out[3] = (phase_t){24 * n + 3 * c, n * (w + 28) + c, v};
    return 4;
}

static size_t phases_of_linkage(const memory_shape_t *shape, phase_t *out)
{
    uint64_t n = shape->rows, l = shape->largest ? shape->largest : n;
    out[0] = (phase_t){shape->metadata_bytes, 0, 0};
    out[1] = (phase_t){48 * n, 4 * l * l + l * (4 * (uint64_t)shape->dimension + 96), 0};
    return 2;
}

static size_t phases_of(const job_spec_t *spec, const memory_shape_t *shape, phase_t *out)
{
    if (spec->algorithm == ALGORITHM_KMEANS)
        return phases_of_kmeans(spec, shape, out);
    if (spec->algorithm == ALGORITHM_AGGLOMERATIVE && spec->linkage != LINKAGE_SINGLE)
        return phases_of_linkage(shape, out);
    return phases_of_hdbscan(spec, shape, out);
}

/* What every process has besides. */
static uint64_t overhead(const memory_shape_t *shape)
{
    return IDLE_BYTES + smaller(300 * (uint64_t)shape->rows, KEPT_FREE);
}

/* Workers without a task hold nothing of the job. */
static uint64_t busy_workers(const memory_shape_t *shape, const memory_place_t *place)
{
    uint64_t rows = search_of(shape).rows;
    return smaller(place->workers, rows ? (shape->rows + rows - 1) / rows : 1);
}

uint64_t memory_need(const job_spec_t *spec, const memory_shape_t *shape,
                     const memory_place_t *place)
{
    phase_t phases[PHASE_LIMIT];
    size_t count = phases_of(spec, shape, phases);
    uint64_t busy = busy_workers(shape, place), most = 0;
    for (size_t i = 0; i < count; i++)
        most = larger(most, phases[i].coordinator + (busy ? phases[i].shared : 0) +
                                busy * (phases[i].worker + place->threads * THREAD_BYTES));
    return overhead(shape) + most;
}

uint64_t memory_need_worker(const job_spec_t *spec, const memory_shape_t *shape, uint32_t threads)
{
    phase_t phases[PHASE_LIMIT];
    size_t count = phases_of(spec, shape, phases);
    uint64_t most = 0;
    for (size_t i = 0; i < count; i++)
        most = larger(most, phases[i].worker + phases[i].shared);
    return overhead(shape) + threads * THREAD_BYTES + most;
}

/* With n rows instead, all else in proportion. */
static memory_shape_t scaled(const memory_shape_t *shape, uint32_t n)
{
    double share = (double)n / (double)(shape->rows ? shape->rows : 1);
    memory_shape_t out = *shape;
    out.rows = n;
    out.largest = (uint32_t)((double)shape->largest * share);
    out.pairs = (uint64_t)((double)shape->pairs * share * share);
    out.metadata_bytes = (uint64_t)((double)shape->metadata_bytes * share);
    return out;
}

static uint32_t rows_that_fit(const job_spec_t *spec, const memory_shape_t *shape,
                              const memory_place_t *place)
{
    uint32_t low = 0, high = shape->rows;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        memory_shape_t some = scaled(shape, middle);
        if (memory_need(spec, &some, place) <= place->limit)
            low = middle;
        else
            high = middle;
    }
    return low;
}

int memory_check(const job_spec_t *spec, const memory_shape_t *shape, const memory_place_t *place,
                 error_t *error)
{
    uint64_t need = memory_need(spec, shape, place);
    if (place->limit == 0 || need <= place->limit)
        return OK;
    return error_field(
        error, ERR_TOO_LARGE, "memory_limit_mib",
        "%u items need about %llu MiB of memory, and memory_limit_mib is %llu; about "
        "%u items would fit (a filter, dates, a smaller vectors_mib or another machine help)",
        shape->rows, (unsigned long long)(need / MIB), (unsigned long long)(place->limit / MIB),
        rows_that_fit(spec, shape, place));
}

/* 0 when the file is not there or says "max". */
static uint64_t number_in(const char *path)
{
    char text[32] = "";
    FILE *file = fopen(path, "re");
    if (!file)
        return 0;
    size_t length = fread(text, 1, sizeof text - 1, file);
    text[length] = 0;
    fclose(file);
    return strtoull(text, NULL, 10);
}

/* A container sees its own group at the root of the hierarchy. */
uint64_t memory_of_machine(void)
{
    static const char *const LIMITS[] = {"/sys/fs/cgroup/memory.max",
                                         "/sys/fs/cgroup/memory/memory.limit_in_bytes"};
    uint64_t bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    for (size_t i = 0; i < sizeof LIMITS / sizeof *LIMITS; i++) {
        uint64_t limit = number_in(LIMITS[i]);
        if (limit > 0)
            bytes = smaller(bytes, limit);
    }
    return bytes;
}
