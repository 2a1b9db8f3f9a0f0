#include "coordinator/plan/memory_need.h"

#include "coordinator/plan/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MIB ((uint64_t)1 << 20)
#define IDLE_BYTES (36 * MIB) /* libraries, their buffers, two event loops */
#define OPEN_RESULTS (256 * MIB)
#define KEPT_FREE (96 * MIB)
#define THREAD_BYTES (6 * MIB)
#define ENCODE_BYTES (30 * MIB)
#define CODE_WIDTH_LIMIT 512u
#define SAMPLE_LEAST 65536u
#define SAMPLE_PER_CENTRE 50u
#define SAMPLE_BYTES (256 * MIB)
#define PHASE_LIMIT 5

/* What the parts take in one phase. */
typedef struct {
    uint64_t coordinator;
    uint64_t worker;
} phase_t;

static uint64_t larger(uint64_t a, uint64_t b) { return a > b ? a : b; }
static uint64_t smaller(uint64_t a, uint64_t b) { return a < b ? a : b; }

/* How neighbours are looked for. */
typedef struct {
    uint64_t pairs; /* a task */
    uint64_t rows_min;
    uint64_t block_rows;
} search_t;

static const search_t DIRECT = {50000000, 256, 2048};
static const search_t BY_CODES = {340000000, 4096, 12288};

static const search_t *search_of(const memory_shape_t *shape)
{
    return shape->code_width ? &BY_CODES : &DIRECT;
}

static uint64_t rows_of_task(const memory_shape_t *shape)
{
    const search_t *search = search_of(shape);
    uint64_t n = shape->rows, pairs = shape->pairs ? shape->pairs : n * n;
    uint64_t rows = (uint64_t)((double)search->pairs / (double)(pairs + 1) * (double)n);
    return smaller(n, larger(rows, search->rows_min));
}

uint32_t memory_code_width(uint32_t dimension)
{
    return (uint32_t)smaller(dimension / 2, CODE_WIDTH_LIMIT);
}

/* Everybody's codes are made and gathered. */
static phase_t coding_of(const memory_shape_t *shape)
{
    uint64_t n = shape->rows, w = shape->code_width;
    return w == 0
               ? (phase_t){0, 0}
               : (phase_t){n * (w + 60) + smaller(n * (w + 8), OPEN_RESULTS), 4 * n + ENCODE_BYTES};
}

static size_t phases_of_hdbscan(const job_spec_t *spec, const memory_shape_t *shape, phase_t *out)
{
    uint64_t n = shape->rows, d = shape->dimension, m = shape->metadata_bytes;
    uint64_t k = plan_list_length(spec, UINT32_MAX), r = rows_of_task(shape);
    uint64_t w = shape->code_width, b = smaller(r, search_of(shape)->block_rows);
    out[0] = (phase_t){m, 0};
    out[1] = coding_of(shape);
    out[2] = (phase_t){8 * r * k, n * (w + 28) + b * (4 * d + w + 64) + 16 * r * k};
    out[3] = (phase_t){n * (8 * k + 240), n * (w + 108)};
    out[4] = (phase_t){60 * n + m / 2, n * (w + 108)};
    return 5;
}

static size_t phases_of_kmeans(const job_spec_t *spec, const memory_shape_t *shape, phase_t *out)
{
    uint64_t n = shape->rows, d = shape->dimension, w = shape->code_width;
    uint64_t centres = smaller(n, (uint64_t)spec->k * larger(shape->partitions, 1));
    uint64_t c = 8 * d * centres;
    uint64_t sample = smaller(n, larger(SAMPLE_LEAST, SAMPLE_PER_CENTRE * centres));
    out[0] = (phase_t){shape->metadata_bytes, 0};
    out[1] = coding_of(shape);
    out[2] = (phase_t){12 * n, n * (w + 28) + smaller(4 * d * sample, SAMPLE_BYTES)};
    out[3] = (phase_t){24 * n + 3 * c, n * (w + 28) + c};
    return 4;
}

static size_t phases_of_linkage(const memory_shape_t *shape, phase_t *out)
{
    uint64_t n = shape->rows, l = shape->largest ? shape->largest : n;
    out[0] = (phase_t){shape->metadata_bytes, 0};
    out[1] = (phase_t){48 * n, 4 * l * l + l * (4 * (uint64_t)shape->dimension + 96)};
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
    uint64_t rows = rows_of_task(shape);
    return smaller(place->workers, rows ? (shape->rows + rows - 1) / rows : 1);
}

uint64_t memory_need(const job_spec_t *spec, const memory_shape_t *shape,
                     const memory_place_t *place)
{
    phase_t phases[PHASE_LIMIT];
    size_t count = phases_of(spec, shape, phases);
    uint64_t busy = busy_workers(shape, place), most = 0;
    for (size_t i = 0; i < count; i++)
        most = larger(most, phases[i].coordinator +
                                busy * (phases[i].worker + place->threads * THREAD_BYTES));
    return overhead(shape) + most;
}

uint64_t memory_need_worker(const job_spec_t *spec, const memory_shape_t *shape, uint32_t threads)
{
    phase_t phases[PHASE_LIMIT];
    size_t count = phases_of(spec, shape, phases);
    uint64_t most = 0;
    for (size_t i = 0; i < count; i++)
        most = larger(most, phases[i].worker);
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
        "%u items would fit (a filter, dates or another machine help)",
        shape->rows, (unsigned long long)(need / MIB), (unsigned long long)(place->limit / MIB),
        rows_that_fit(spec, shape, place));
}

/* 0 when the file is not there or says "max". */
static uint64_t number_in(const char *path)
{
    unsigned long long value = 0;
    FILE *file = fopen(path, "re");
    if (!file)
        return 0;
    if (fscanf(file, "%llu", &value) != 1)
        value = 0;
    fclose(file);
    return value;
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
