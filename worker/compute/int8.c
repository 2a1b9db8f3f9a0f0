/* int8.c - the int8 kernel in plain C, and which one goes with which back end. */
#include "worker/compute/int8.h"

#include <string.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#define LANES 16

static void pack_scalar(const int8_rows_t *columns, void *panel)
{
    int8_t *out = panel;
    for (size_t c = 0; c < columns->count; c++)
        memcpy(out + c * columns->width, columns->codes + c * columns->stride, columns->width);
    memset(out + columns->count * columns->width, 0,
           (INT8_COLUMNS - columns->count) * columns->width);
}

static int32_t dot_scalar(const int8_t *a, const int8_t *b, size_t width)
{
    int32_t sum = 0;
    for (size_t i = 0; i < width; i++)
        sum += (int32_t)a[i] * b[i];
    return sum;
}

static void scores_scalar(const int8_rows_t *rows, const void *panel, int32_t *scores)
{
    const int8_t *columns = panel;
    for (size_t r = 0; r < rows->count; r++) {
        for (size_t c = 0; c < INT8_COLUMNS; c++)
            scores[r * INT8_COLUMNS + c] =
                dot_scalar(rows->codes + r * rows->stride, columns + c * rows->width, rows->width);
    }
}

static void screen_scalar(const int8_rows_t *rows, const void *panel, const int8_bounds_t *bounds,
                          uint64_t *mask)
{
    int32_t scores[INT8_COLUMNS];
    for (size_t r = 0; r < rows->count; r++) {
        const int8_rows_t row = {rows->codes + r * rows->stride, rows->stride, 1, rows->width,
                                 NULL};
        scores_scalar(&row, panel, scores);
        mask[r] = 0;
        for (size_t c = 0; c < INT8_COLUMNS; c++)
            mask[r] |= (uint64_t)(scores[c] + bounds->column_start[c] >= bounds->row_limit[r] ||
                                  (bounds->column_limit &&
                                   scores[c] + bounds->row_start[r] >= bounds->column_limit[c]))
                       << c;
    }
}

const int8_kernel_t int8_scalar = {"scalar", pack_scalar, screen_scalar, scores_scalar, dot_scalar};

/* In int16 lanes, which INT8_WIDTH_LIMIT / LANES codes cannot overflow. */
static int32_t sum_of(const int8_t *codes, size_t width)
{
    int16_t lane[LANES] = {0};
    int32_t sum = 0;
    for (size_t i = 0; i < width; i += LANES)
        for (size_t l = 0; l < LANES; l++)
            lane[l] = (int16_t)(lane[l] + codes[i + l]);
    for (size_t l = 0; l < LANES; l++)
        sum += lane[l];
    return sum;
}

void int8_sums(const int8_rows_t *rows, int32_t *sum)
{
    for (size_t r = 0; r < rows->count; r++)
        sum[r] = sum_of(rows->codes + r * rows->stride, rows->width);
}

#if defined(__x86_64__)

/* Leaf 7, subleaf 1, EAX bit 4; gcc 12 has the name and always answers no. */
static int has_avxvnni(void)
{
    unsigned a = 0, b, c, d;
    return __builtin_cpu_supports("avx2") && __get_cpuid_count(7, 1, &a, &b, &c, &d) && a >> 4 & 1;
}

static int has_vnni(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("avx512f") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512vnni");
}

size_t int8_kernels(const int8_kernel_t *out[INT8_KERNELS_MOST])
{
    size_t count = 0;
    __builtin_cpu_init();
    out[count++] = &int8_scalar;
    if (__builtin_cpu_supports("avx2"))
        out[count++] = &int8_avx2;
    if (has_avxvnni())
        out[count++] = &int8_avxvnni;
    if (has_vnni()) {
        out[count++] = &int8_vnni256;
        out[count++] = &int8_vnni;
    }
    return count;
}

#else

size_t int8_kernels(const int8_kernel_t *out[INT8_KERNELS_MOST])
{
    out[0] = &int8_scalar;
    return 1;
}

#endif

static int goes_with(const int8_kernel_t *kernel, const char *dist2_name)
{
    if (!strcmp(dist2_name, "scalar"))
        return !strcmp(kernel->name, "scalar");
    return !strcmp(dist2_name, "avx512") || strncmp(kernel->name, "vnni", 4) != 0;
}

const int8_kernel_t *int8_kernel_for(const char *dist2_name)
{
    const int8_kernel_t *kernels[INT8_KERNELS_MOST];
    size_t count = int8_kernels(kernels);
    while (count > 1 && !goes_with(kernels[count - 1], dist2_name))
        count--;
    return kernels[count - 1];
}
