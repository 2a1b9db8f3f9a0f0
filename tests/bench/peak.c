#include "peak.h"

#include "common/dist2.h"
#include "worker/compute/int8.h"
#include "worker/compute/product.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROUNDS 4000000
#define THREADS_MOST 256
#define KERNEL_ROWS 1020
#define KERNEL_WIDTH 256
#define TILE 1024

typedef double (*rate_fn)(void);

static double cpu_seconds(void)
{
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

#if defined(__x86_64__)

/* Twelve chains: more than latency times throughput of the instruction anywhere. */
#define TWELVE(op, r)                                                                              \
    op " %%" r "12, %%" r "13, %%" r "0\n\t" op " %%" r "12, %%" r "13, %%" r "1\n\t" op " %%" r   \
       "12, %%" r "13, %%" r "2\n\t" op " %%" r "12, %%" r "13, %%" r "3\n\t" op " %%" r           \
       "12, %%" r "13, %%" r "4\n\t" op " %%" r "12, %%" r "13, %%" r "5\n\t" op " %%" r           \
       "12, %%" r "13, %%" r "6\n\t" op " %%" r "12, %%" r "13, %%" r "7\n\t" op " %%" r           \
       "12, %%" r "13, %%" r "8\n\t" op " %%" r "12, %%" r "13, %%" r "9\n\t" op " %%" r           \
       "12, %%" r "13, %%" r "10\n\t" op " %%" r "12, %%" r "13, %%" r "11\n\t"
#define LOOP(op, r)                                                                                \
    __asm__ volatile("vpxor %%xmm12, %%xmm12, %%xmm12\n\t"                                         \
                     "vpxor %%xmm13, %%xmm13, %%xmm13\n\t"                                         \
                     "1:\n\t" TWELVE(op, r) "dec %0\n\tjnz 1b\n\t"                                 \
                     : "+r"(left)                                                                  \
                     :                                                                             \
                     : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",       \
                       "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13")

static double timed(double operations, double start)
{
    return operations * 12 * ROUNDS / (cpu_seconds() - start);
}

static double fma512(void)
{
    long left = ROUNDS;
    double start = cpu_seconds();
    LOOP("vfmadd231ps", "zmm");
    return timed(32, start);
}

static double fma256(void)
{
    long left = ROUNDS;
    double start = cpu_seconds();
    LOOP("vfmadd231ps", "ymm");
    return timed(16, start);
}

static double vnni512(void)
{
    long left = ROUNDS;
    double start = cpu_seconds();
    LOOP("vpdpbusd", "zmm");
    return timed(64, start);
}

static double avxvnni256(void)
{
    long left = ROUNDS;
    double start = cpu_seconds();
    LOOP("%{vex%} vpdpbusd", "ymm");
    return timed(32, start);
}

/* Without vpdpbusd: int16 multiply-adds, the widest that cannot saturate. */
static double madd256(void)
{
    long left = ROUNDS;
    double start = cpu_seconds();
    LOOP("vpmaddwd", "ymm");
    return timed(16, start);
}

static rate_fn float32_rate(void)
{
    const dist2_backend_t *backends;
    size_t count = dist2_backends(&backends);
    return count > 2 ? fma512 : count > 1 ? fma256 : NULL;
}

static rate_fn int8_rate(void)
{
    static const struct {
        const char *kernel;
        rate_fn rate;
    } RATES[] = {{"vnni", vnni512}, {"avxvnni", avxvnni256}, {"avx2", madd256}};
    const char *kernel = int8_kernel_for(dist2_best()->name)->name;
    for (size_t i = 0; i < sizeof RATES / sizeof *RATES; i++)
        if (!strcmp(kernel, RATES[i].kernel))
            return RATES[i].rate;
    return NULL;
}

#else

static rate_fn float32_rate(void) { return NULL; }
static rate_fn int8_rate(void) { return NULL; }

#endif

typedef struct {
    rate_fn rate;
    double best;
    pthread_t handle;
} measurer_t;

static void *measure(void *argument)
{
    measurer_t *self = argument;
    for (int run = 0; run < 3; run++)
        self->best = fmax(self->best, self->rate());
    return NULL;
}

/* All threads at once: processors slow down when all their cores work. 0 when not known. */
static double together(rate_fn rate, uint32_t threads)
{
    static const measurer_t NONE = {0};
    measurer_t measurers[THREADS_MOST];
    double sum = 0;
    uint32_t started = 0;
    if (!rate || threads > THREADS_MOST)
        return 0;
    for (; started < threads; started++) {
        measurers[started] = NONE;
        measurers[started].rate = rate;
        if (pthread_create(&measurers[started].handle, NULL, measure, &measurers[started]))
            break;
    }
    for (uint32_t i = 0; i < started; i++) {
        pthread_join(measurers[i].handle, NULL);
        sum += measurers[i].best;
    }
    return sum;
}

double peak_float32(uint32_t threads) { return together(float32_rate(), threads); }
double peak_int8(uint32_t threads) { return together(int8_rate(), threads); }

static double kernel_rate(void)
{
    const int8_kernel_t *kernel = int8_kernel_for(dist2_best()->name);
    int8_t *codes = malloc(KERNEL_ROWS * KERNEL_WIDTH);
    void *panel = aligned_alloc(64, INT8_PANEL_BYTES(KERNEL_WIDTH));
    int32_t sum[KERNEL_ROWS], limit[KERNEL_ROWS], start[INT8_COLUMNS] = {0};
    int32_t row_start[KERNEL_ROWS] = {0};
    uint64_t mask[KERNEL_ROWS];
    double rate = 0;
    if (codes && panel) {
        memset(codes, 3, KERNEL_ROWS * KERNEL_WIDTH);
        int8_rows_t rows = {codes, KERNEL_WIDTH, INT8_COLUMNS, KERNEL_WIDTH, sum};
        kernel->pack(&rows, panel);
        rows.count = KERNEL_ROWS;
        int8_sums(&rows, sum);
        for (size_t i = 0; i < KERNEL_ROWS; i++)
            limit[i] = INT8_ROOM;
        const int8_bounds_t bounds = {limit, row_start, start, start};
        double begin = cpu_seconds();
        for (int run = 0; run < 100; run++)
            kernel->screen(&rows, panel, &bounds, mask);
        rate = 100.0 * KERNEL_ROWS * INT8_COLUMNS * KERNEL_WIDTH / (cpu_seconds() - begin);
    }
    free(codes);
    free(panel);
    return rate;
}

double peak_kernel(uint32_t threads) { return together(kernel_rate, threads); }

double peak_sgemm_seconds(uint32_t n, uint32_t dimension)
{
    float *values = calloc((size_t)TILE * dimension, sizeof *values);
    float *out = malloc((size_t)TILE * TILE * sizeof *out);
    double best = INFINITY;
    product_openblas_setup();
    for (int run = 0; run < 4 && values && out; run++) {
        double start = cpu_seconds();
        product_openblas(values, TILE, values, TILE, dimension, out, TILE);
        best = fmin(best, cpu_seconds() - start);
    }
    free(values);
    free(out);
    return best * ((double)n / TILE) * ((double)n / TILE);
}
