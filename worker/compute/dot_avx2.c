/* dot_avx2.c - the product with 256-bit registers: 3 rows by 4 columns stay in 12 of them. */
#include "worker/compute/product.h"

#if defined(__AVX2__) && defined(__FMA__)

#include <immintrin.h>

#define LANES 8
#define ROWS 3
#define COLUMNS 4
#define PANEL 60 /* columns that stay in the second-level cache while the rows pass by */

static inline __attribute__((always_inline)) float sum_of(__m256 eight)
{
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
}

/* rows x columns dot products at once; both counts are constants after inlining. */
static inline __attribute__((always_inline)) void block(const float *a, const float *b,
                                                        size_t dimension, float *out, size_t stride,
                                                        const size_t rows, const size_t columns)
{
    __m256 sum[ROWS][COLUMNS];
    __m256 row[ROWS];
#pragma GCC unroll 3
    for (size_t r = 0; r < rows; r++) {
#pragma GCC unroll 4
        for (size_t c = 0; c < columns; c++)
            sum[r][c] = _mm256_setzero_ps();
    }
    size_t i = 0;
    for (; i + LANES <= dimension; i += LANES) {
#pragma GCC unroll 3
        for (size_t r = 0; r < rows; r++)
            row[r] = _mm256_loadu_ps(a + r * dimension + i);
#pragma GCC unroll 4
        for (size_t c = 0; c < columns; c++) {
            __m256 column = _mm256_loadu_ps(b + c * dimension + i);
#pragma GCC unroll 3
            for (size_t r = 0; r < rows; r++)
                sum[r][c] = _mm256_fmadd_ps(row[r], column, sum[r][c]);
        }
    }
#pragma GCC unroll 3
    for (size_t r = 0; r < rows; r++) {
#pragma GCC unroll 4
        for (size_t c = 0; c < columns; c++) {
            float total = sum_of(sum[r][c]);
            for (size_t rest = i; rest < dimension; rest++)
                total += a[r * dimension + rest] * b[c * dimension + rest];
            out[r * stride + c] = total;
        }
    }
}

/* Three rows (or one) against the columns of a panel. */
static inline __attribute__((always_inline)) void strip(const float *a, const float *b,
                                                        size_t columns, size_t dimension,
                                                        float *out, size_t stride,
                                                        const size_t rows)
{
    size_t c = 0;
    for (; c + COLUMNS <= columns; c += COLUMNS)
        block(a, b + c * dimension, dimension, out + c, stride, rows, COLUMNS);
    for (; c < columns; c++)
        block(a, b + c * dimension, dimension, out + c, stride, rows, 1);
}

void product_avx2(const float *a, size_t rows, const float *b, size_t columns, size_t dimension,
                  float *out, size_t stride)
{
    for (size_t c = 0; c < columns; c += PANEL) {
        size_t width = columns - c < PANEL ? columns - c : PANEL;
        const float *panel = b + c * dimension;
        size_t r = 0;
        for (; r + ROWS <= rows; r += ROWS)
            strip(a + r * dimension, panel, width, dimension, out + r * stride + c, stride, ROWS);
        for (; r < rows; r++)
            strip(a + r * dimension, panel, width, dimension, out + r * stride + c, stride, 1);
    }
}

size_t survivors_avx2(const float *product, const float *column_bound, float row_bound,
                      size_t count, uint32_t *out)
{
    __m256 row = _mm256_set1_ps(row_bound);
    size_t found = 0;
    size_t j = 0;
    for (; j + LANES <= count; j += LANES) {
        __m256 bound = _mm256_add_ps(_mm256_loadu_ps(column_bound + j), row);
        __m256 kept = _mm256_cmp_ps(_mm256_loadu_ps(product + j), bound, _CMP_NLT_UQ);
        for (unsigned mask = (unsigned)_mm256_movemask_ps(kept); mask; mask &= mask - 1)
            out[found++] = (uint32_t)(j + (size_t)__builtin_ctz(mask));
    }
    for (; j < count; j++) {
        if (!(product[j] < column_bound[j] + row_bound))
            out[found++] = (uint32_t)j;
    }
    return found;
}

#endif
