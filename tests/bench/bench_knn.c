/* bench_knn - seconds and GF/s of an exact knn pass over a flat index.
 *
 *   bench_knn INDEX [k [threads [simd [screen]]]]     simd: best | scalar | avx2 | avx512
 *                                                     screen: auto | openblas | own | none
 * The rate counts the products of a full pass (2 n^2 d), whatever else the time went to. */
#include "proto/columns.h"
#include "worker/compute/compute.h"
#include "worker/tasks/task_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct {
    uint8_t *bytes;
    size_t length;
} plan_t;

static double seconds(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static int give_plan(void *context, const sha256_t *sha256, const void **bytes, size_t *length,
                     error_t *error)
{
    plan_t *plan = context;
    (void)sha256;
    (void)error;
    *bytes = plan->bytes;
    *length = plan->length;
    return OK;
}

static int make_plan(uint32_t slots, uint32_t dimension, plan_t *out, error_t *error)
{
    const uint32_t begin[] = {0, slots};
    const int32_t window = -1;
    uint32_t *rows = malloc((slots + 1) * sizeof *rows);
    columns_writer_t *writer = columns_writer_new("plan");
    if (!rows || !writer) {
        free(rows);
        columns_writer_destroy(&writer);
        return error_set(error, ERR_MEMORY, "no memory for a plan of %u slots", slots);
    }
    for (uint32_t i = 0; i < slots; i++)
        rows[i] = i;
    columns_put(writer, "rows", COLUMN_U32, rows, slots);
    columns_put(writer, "partition_begin", COLUMN_U32, begin, 2);
    columns_put(writer, "partition_window", COLUMN_I32, &window, 1);
    columns_put(writer, "dimension", COLUMN_U32, &dimension, 1);
    int code = columns_writer_finish(&writer, &out->bytes, &out->length, error);
    free(rows);
    return code;
}

static int parse_screen(const char *name)
{
    static const char *const names[] = {"auto", "openblas", "own", "none"};
    for (int i = 0; i < 4; i++) {
        if (!strcmp(name, names[i]))
            return i;
    }
    return -1;
}

static int run(flat_index_t *index, compute_t *compute, double k, error_t *error)
{
    plan_t plan = {0};
    uint8_t *payload = NULL;
    size_t length = 0;
    uint32_t slots = flat_index_rows(index);
    uint32_t dimension = flat_index_dimension(index);
    segment_t segment = {0, 0, slots};
    task_t task = {.kind = TASK_KNN,
                   .dimension = dimension,
                   .segments = &segment,
                   .segment_count = 1,
                   .input_count = 1,
                   .inputs = {{.name = "plan"}},
                   .param_count = 1,
                   .params = {{"k", k}}};
    const task_context_t context = {
        .compute = compute, .index = index, .input = give_plan, .input_context = &plan};
    int code = make_plan(slots, dimension, &plan, error);
    double start = seconds();
    if (!code)
        code = task_run(&task, &context, &payload, &length, error);
    double time = seconds() - start;
    if (!code)
        printf("%u x %u, k = %g, %u threads, %s: %.2f s, %.1f GF/s\n", slots, dimension, k,
               compute_threads(compute), compute_describe(compute), time,
               2e-9 * slots * slots * dimension / time);
    free(payload);
    free(plan.bytes);
    return code;
}

int main(int count, char **arguments)
{
    error_t error = ERROR_INIT;
    flat_index_t *index = NULL;
    compute_t *compute = NULL;
    if (count < 2) {
        fprintf(stderr, "usage: bench_knn INDEX [k [threads [simd [screen]]]]\n");
        return 2;
    }
    if (count > 4)
        setenv("STAGE4_SIMD", arguments[4], 1);
    compute_options_t options = {.threads = count > 3 ? (uint32_t)atoi(arguments[3]) : 2,
                                 .screen = count > 5 ? parse_screen(arguments[5]) : SCREEN_AUTO};
    int code = flat_index_open(arguments[1], CONTRACT_DIMENSION, &index, &error);
    if (!code)
        code = compute_new(&options, &compute, &error);
    if (!code)
        code = run(index, compute, count > 2 ? atof(arguments[2]) : 32, &error);
    if (code)
        fprintf(stderr, "bench_knn: %s\n", error.message);
    compute_destroy(&compute);
    flat_index_close(&index);
    return code ? error_exit_code(code) : 0;
}
