/* dot_avx512.c - the product with 512-bit registers: 4 rows by 6 columns stay in 24 of them. */
#include "worker/compute/product.h"

#if defined(__AVX512F__)

#include <immintrin.h>

#define LANES 16
#define ROWS 4
#define COLUMNS 6
#define PANEL 60 /* columns that stay in the second-level cache while the rows pass by */

/* rows x columns dot products at once; both counts are constants after inlining. */
static inline __attribute__((always_inline)) void block(const float *a, const float *b,
                                                        size_t dimension, float *out, size_t stride,
                                                        const size_t rows, const size_t columns)
{
    __m512 sum[ROWS][COLUMNS];
    __m512 row[ROWS];
#pragma GCC unroll 4
    for (size_t r = 0; r < rows; r++) {
#pragma GCC unroll 6
        for (size_t c = 0; c < columns; c++)
            sum[r][c] = _mm512_setzero_ps();
    }
    for (size_t i = 0; i < dimension; i += LANES) {
        size_t rest = dimension - i;
        __mmask16 mask = rest < LANES ? (__mmask16)((1u << rest) - 1) : (__mmask16)0xffff;
#pragma GCC unroll 4
        for (size_t r = 0; r < rows; r++)
            row[r] = _mm512_maskz_loadu_ps(mask, a + r * dimension + i);
#pragma GCC unroll 6
        for (size_t c = 0; c < columns; c++) {
            __m512 column = _mm512_maskz_loadu_ps(mask, b + c * dimension + i);
#pragma GCC unroll 4
            for (size_t r = 0; r < rows; r++)
                sum[r][c] = _mm512_fmadd_ps(row[r], column, sum[r][c]);
        }
    }
#pragma GCC unroll 4
    for (size_t r = 0; r < rows; r++) {
#pragma GCC unroll 6
        for (size_t c = 0; c < columns; c++)
            out[r * stride + c] = _mm512_reduce_add_ps(sum[r][c]);
    }
}

/* Four rows (or one) against the columns of a panel. */
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

void product_avx512(const float *a, size_t rows, const float *b, size_t columns, size_t dimension,
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

size_t survivors_avx512(const float *product, const float *column_bound, float row_bound,
                        size_t count, uint32_t *out)
{
    __m512 row = _mm512_set1_ps(row_bound);
    size_t found = 0;
    for (size_t j = 0; j < count; j += LANES) {
        size_t rest = count - j;
        __mmask16 lanes = rest < LANES ? (__mmask16)((1u << rest) - 1) : (__mmask16)0xffff;
        __m512 bound = _mm512_add_ps(_mm512_maskz_loadu_ps(lanes, column_bound + j), row);
        unsigned mask = _mm512_mask_cmp_ps_mask(lanes, _mm512_maskz_loadu_ps(lanes, product + j),
                                                bound, _CMP_NLT_UQ);
        for (; mask; mask &= mask - 1)
            out[found++] = (uint32_t)(j + (size_t)__builtin_ctz(mask));
    }
    return found;
}

#endif
