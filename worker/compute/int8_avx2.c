/* int8_avx2.c - int8 products with 256-bit registers, by way of int16: vpmaddwd cannot saturate. */
#include "worker/compute/int8.h"

#if defined(__AVX2__)

#include <immintrin.h>
#include <string.h>

#define LANES 8 /* columns of a register */
#define ROWS 4
#define REGISTERS (INT8_COLUMNS / LANES)

/* For every two dimensions 64 columns of two int16 each. */
static void pack(const int8_rows_t *columns, void *panel)
{
    int16_t *out = panel;
    memset(out, 0, columns->width * INT8_COLUMNS * sizeof *out);
    for (size_t c = 0; c < columns->count; c++) {
        const int8_t *codes = columns->codes + c * columns->stride;
        for (size_t i = 0; i < columns->width; i++)
            out[(i / 2) * INT8_COLUMNS * 2 + c * 2 + i % 2] = (int16_t)(0 + codes[i]);
    }
}

/* Two neighbouring codes of a row as int16, in every lane. */
static inline __attribute__((always_inline)) __m256i pair_of(const int8_t *codes)
{
    uint32_t low = (uint16_t)codes[0];
    uint32_t high = (uint16_t)codes[1];
    return _mm256_set1_epi32((int32_t)(low | high << 16));
}

/* Four rows against 16 columns: 8 sums stay in registers. */
static inline __attribute__((always_inline)) void
block(const int8_t *const rows[ROWS], const int16_t *panel, size_t width, __m256i sum[ROWS][2])
{
    for (size_t r = 0; r < ROWS; r++)
        sum[r][0] = sum[r][1] = _mm256_setzero_si256();
    for (size_t i = 0; i < width; i += 2) {
        __m256i first = _mm256_load_si256((const __m256i *)panel);
        __m256i second = _mm256_load_si256((const __m256i *)(panel + 2 * LANES));
        panel += 2 * INT8_COLUMNS;
#pragma GCC unroll 4
        for (size_t r = 0; r < ROWS; r++) {
            __m256i row = pair_of(rows[r] + i);
            sum[r][0] = _mm256_add_epi32(sum[r][0], _mm256_madd_epi16(row, first));
            sum[r][1] = _mm256_add_epi32(sum[r][1], _mm256_madd_epi16(row, second));
        }
    }
}

/* Rows that are missing repeat the last one; nobody looks at theirs. */
static void row_pointers(const int8_rows_t *rows, size_t first, const int8_t *out[ROWS])
{
    for (size_t r = 0; r < ROWS; r++) {
        size_t at = first + r < rows->count ? first + r : rows->count - 1;
        out[r] = rows->codes + at * rows->stride;
    }
}

static void scores(const int8_rows_t *rows, const void *panel, int32_t *out)
{
    __m256i sum[ROWS][2];
    const int8_t *pointers[ROWS];
    for (size_t r = 0; r < rows->count; r += ROWS) {
        row_pointers(rows, r, pointers);
        for (size_t c = 0; c < INT8_COLUMNS; c += 2 * LANES) {
            block(pointers, (const int16_t *)panel + 2 * c, rows->width, sum);
            for (size_t i = 0; i < ROWS && r + i < rows->count; i++) {
                int32_t *to = out + (r + i) * INT8_COLUMNS + c;
                _mm256_storeu_si256((__m256i *)to, sum[i][0]);
                _mm256_storeu_si256((__m256i *)(to + LANES), sum[i][1]);
            }
        }
    }
}

static __m256i eight(const int32_t *values) { return _mm256_loadu_si256((const __m256i *)values); }

/* Eight columns from `c` on, a bit set where not both limits are above. */
static uint64_t wanted(__m256i sum, const int8_bounds_t *bounds, size_t r, size_t c)
{
    __m256i of_row = _mm256_add_epi32(sum, eight(bounds->column_start + c));
    __m256i below = _mm256_cmpgt_epi32(_mm256_set1_epi32(bounds->row_limit[r]), of_row);
    if (bounds->column_limit) {
        __m256i of_column = _mm256_add_epi32(sum, _mm256_set1_epi32(bounds->row_start[r]));
        below =
            _mm256_and_si256(below, _mm256_cmpgt_epi32(eight(bounds->column_limit + c), of_column));
    }
    return 0xffu & ~(uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(below));
}

static void screen(const int8_rows_t *rows, const void *panel, const int8_bounds_t *bounds,
                   uint64_t *mask)
{
    __m256i sum[ROWS][2];
    const int8_t *pointers[ROWS];
    for (size_t r = 0; r < rows->count; r += ROWS) {
        row_pointers(rows, r, pointers);
        for (size_t i = 0; i < ROWS && r + i < rows->count; i++)
            mask[r + i] = 0;
        for (size_t c = 0; c < INT8_COLUMNS; c += 2 * LANES) {
            block(pointers, (const int16_t *)panel + 2 * c, rows->width, sum);
            for (size_t i = 0; i < ROWS && r + i < rows->count; i++) {
                uint64_t bits = wanted(sum[i][0], bounds, r + i, c);
                bits |= wanted(sum[i][1], bounds, r + i, c + LANES) << LANES;
                mask[r + i] |= bits << c;
            }
        }
    }
}

static int32_t dot(const int8_t *a, const int8_t *b, size_t width)
{
    __m256i sum = _mm256_setzero_si256();
    for (size_t i = 0; i < width; i += 16) {
        __m256i left = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(a + i)));
        __m256i right = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(b + i)));
        sum = _mm256_add_epi32(sum, _mm256_madd_epi16(left, right));
    }
    __m128i four = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
    __m128i two = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 0xb1)));
}

const int8_kernel_t int8_avx2 = {"avx2", pack, screen, scores, dot};

#endif
