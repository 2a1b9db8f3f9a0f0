/* int8_avx2.c - int8 products with 256-bit registers, by way of int16: vpmaddwd cannot saturate. */
#include "worker/compute/int8.h"

#if defined(__AVX2__)

#include <immintrin.h>
#include <string.h>

#define LANES 8 /* columns of a register */
#define ROWS 4

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

/* Four rows as int16, so that two of their codes are one broadcast. Those that are missing are zeros. */
static void widen(const int8_rows_t *rows, size_t first, int16_t *out)
{
    for (size_t r = 0; r < ROWS; r++, out += rows->width) {
        const int8_t *codes = rows->codes + (first + r) * rows->stride;
        if (first + r >= rows->count)
            memset(out, 0, rows->width * sizeof *out);
        for (size_t i = 0; i < rows->width && first + r < rows->count; i += 2 * LANES)
            _mm256_storeu_si256((__m256i *)(out + i), _mm256_cvtepi8_epi16(_mm_loadu_si128(
                                                          (const __m128i *)(codes + i))));
    }
}

#define MULTIPLY(address, first, second)                                                           \
    "vpbroadcastd " address ", %%ymm10\n\t"                                                        \
    "vpmaddwd %%ymm8, %%ymm10, %%ymm11\n\t"                                                        \
    "vpmaddwd %%ymm9, %%ymm10, %%ymm12\n\t"                                                        \
    "vpaddd %%ymm11, %%ymm" #first ", %%ymm" #first "\n\t"                                         \
    "vpaddd %%ymm12, %%ymm" #second ", %%ymm" #second "\n\t"
#define CLEAR(sum) "vpxor %%ymm" #sum ", %%ymm" #sum ", %%ymm" #sum "\n\t"
#define STORE(sum, at) "vmovdqu %%ymm" #sum ", " #at "(%[sums])\n\t"

/* Four rows against 16 columns. In assembly: gcc 12 spills the sums of this loop. */
static void block(const int16_t *rows, const int16_t *panel, size_t width, int32_t sums[ROWS][16])
{
    const int16_t *high = rows + 2 * width;
    size_t stride = width * sizeof *rows, steps = width / 2;
    __asm__ volatile(
        CLEAR(0) CLEAR(1) CLEAR(2) CLEAR(3) CLEAR(4) CLEAR(5) CLEAR(6)
            CLEAR(7) ".p2align 5\n"
                     "1:\n\t"
                     "vmovdqa (%[panel]), %%ymm8\n\t"
                     "vmovdqa 32(%[panel]), %%ymm9\n\t"
                     "add $256, %[panel]\n\t" MULTIPLY("(%[low])", 0, 1)
                         MULTIPLY("(%[low],%[stride])", 2, 3) MULTIPLY("(%[high])", 4, 5)
                             MULTIPLY("(%[high],%[stride])", 6,
                                      7) "add $4, %[low]\n\t"
                                         "add $4, %[high]\n\t"
                                         "dec %[steps]\n\t"
                                         "jnz 1b\n\t" STORE(0, 0) STORE(1, 32) STORE(2, 64)
                                             STORE(3, 96) STORE(4, 128) STORE(5, 160) STORE(6, 192)
                                                 STORE(7, 224) "vzeroupper"
        : [low] "+r"(rows), [high] "+r"(high), [panel] "+r"(panel), [steps] "+r"(steps)
        : [stride] "r"(stride), [sums] "r"(sums)
        : "memory", "cc", "ymm0", "ymm1", "ymm2", "ymm3", "ymm4", "ymm5", "ymm6", "ymm7", "ymm8",
          "ymm9", "ymm10", "ymm11", "ymm12", "ymm13", "ymm14", "ymm15");
}

static void scores(const int8_rows_t *rows, const void *panel, int32_t *out)
{
    int16_t wide[ROWS * INT8_WIDTH_LIMIT];
    int32_t sums[ROWS][2 * LANES];
    for (size_t r = 0; r < rows->count; r += ROWS) {
        widen(rows, r, wide);
        for (size_t c = 0; c < INT8_COLUMNS; c += 2 * LANES) {
            block(wide, (const int16_t *)panel + 2 * c, rows->width, sums);
            for (size_t i = 0; i < ROWS && r + i < rows->count; i++)
                memcpy(out + (r + i) * INT8_COLUMNS + c, sums[i], sizeof sums[i]);
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
    int16_t wide[ROWS * INT8_WIDTH_LIMIT];
    int32_t sums[ROWS][2 * LANES];
    for (size_t r = 0; r < rows->count; r += ROWS) {
        widen(rows, r, wide);
        for (size_t i = 0; i < ROWS && r + i < rows->count; i++)
            mask[r + i] = 0;
        for (size_t c = 0; c < INT8_COLUMNS; c += 2 * LANES) {
            block(wide, (const int16_t *)panel + 2 * c, rows->width, sums);
            for (size_t i = 0; i < ROWS && r + i < rows->count; i++) {
                uint64_t bits = wanted(eight(sums[i]), bounds, r + i, c);
                bits |= wanted(eight(sums[i] + LANES), bounds, r + i, c + LANES) << LANES;
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
