/* int8_ymm.h - the int8 kernel by vpdpbusd in 256-bit registers: 3 rows by 32 columns at a time.
 *
 * One processor has the instruction with a VEX prefix (AVX-VNNI), another with an EVEX prefix
 * (AVX-512 VNNI and VL). The file that includes this says which: YMM_PREFIX is the assembler's word
 * for it, YMM_DPBUSD the intrinsic. What they do is the same, register for register, so a test of
 * one tests the loop of the other.
 *
 * As in int8_vnni.c columns are packed with 128 added, and 128 times the row's sum is taken off the
 * product. Sixteen registers: 12 sums, the codes of 3 rows, and 8 columns. In assembly, because
 * gcc 12 spills the sums of the same loop in intrinsics. */
#ifndef STAGE4_WORKER_COMPUTE_INT8_YMM_H
#define STAGE4_WORKER_COMPUTE_INT8_YMM_H

#include "worker/compute/int8.h"

#include <immintrin.h>
#include <string.h>

#define ROWS 3
#define LANES 8 /* columns of a register */
#define HALF (INT8_COLUMNS / 2)
#define OFFSET 128
#define STEP_BYTES (4 * INT8_COLUMNS) /* four dimensions of 64 columns */

static void pack(const int8_rows_t *columns, void *panel)
{
    uint32_t *out = panel;
    for (size_t i = 0; i < columns->width; i += 4, out += INT8_COLUMNS) {
        for (size_t c = 0; c < INT8_COLUMNS; c++) {
            uint32_t four = 0;
            if (c < columns->count)
                memcpy(&four, columns->codes + c * columns->stride + i, sizeof four);
            out[c] = four ^ 0x80808080u;
        }
    }
}

#define MULTIPLY(columns, a, b, c)                                                                 \
    "vmovdqa " columns "(%[panel]), %%ymm15\n\t" YMM_PREFIX " vpdpbusd %%ymm12, %%ymm15, %%ymm" #a \
    "\n\t" YMM_PREFIX " vpdpbusd %%ymm13, %%ymm15, %%ymm" #b "\n\t" YMM_PREFIX                     \
    " vpdpbusd %%ymm14, %%ymm15, %%ymm" #c "\n\t"

#define CLEAR(sum) "vpxor %%ymm" #sum ", %%ymm" #sum ", %%ymm" #sum "\n\t"
#define STORE(sum, at) "vmovdqu %%ymm" #sum ", " #at "(%[sums])\n\t"

/* sums[r][c] of three rows and half a panel. */
static void multiply(const int8_t *const rows[ROWS], const uint8_t *panel, size_t width,
                     int32_t sums[ROWS][HALF])
{
    size_t at = 0, steps = width / 4;
    __asm__ volatile(
        CLEAR(0) CLEAR(1) CLEAR(2) CLEAR(3) CLEAR(4) CLEAR(5) CLEAR(6) CLEAR(7) CLEAR(8) CLEAR(9)
            CLEAR(10)
                CLEAR(11) ".p2align 5\n"
                          "1:\n\t"
                          "vpbroadcastd (%[first],%[at]), %%ymm12\n\t"
                          "vpbroadcastd (%[second],%[at]), %%ymm13\n\t"
                          "vpbroadcastd (%[third],%[at]), %%ymm14\n\t" MULTIPLY("", 0, 4, 8)
                              MULTIPLY("32", 1, 5, 9) MULTIPLY("64", 2, 6, 10) MULTIPLY(
                                  "96", 3, 7, 11) "add $4, %[at]\n\t"
                                                  "add $256, %[panel]\n\t"
                                                  "dec %[steps]\n\t"
                                                  "jnz 1b\n\t" STORE(0, 0) STORE(1, 32) STORE(2, 64)
                                                      STORE(3, 96) STORE(4, 128) STORE(5, 160)
                                                          STORE(6, 192) STORE(7, 224) STORE(8, 256)
                                                              STORE(9, 288) STORE(10, 320)
                                                                  STORE(11, 352) "vzeroupper"
        : [at] "+r"(at), [panel] "+r"(panel), [steps] "+r"(steps)
        : [first] "r"(rows[0]), [second] "r"(rows[1]), [third] "r"(rows[2]), [sums] "r"(sums)
        : "memory", "cc", "ymm0", "ymm1", "ymm2", "ymm3", "ymm4", "ymm5", "ymm6", "ymm7", "ymm8",
          "ymm9", "ymm10", "ymm11", "ymm12", "ymm13", "ymm14", "ymm15");
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
    const int8_t *pointers[ROWS];
    int32_t sums[ROWS][HALF];
    for (size_t first = 0; first < rows->count; first += ROWS) {
        row_pointers(rows, first, pointers);
        for (size_t c = 0; c < INT8_COLUMNS; c += HALF) {
            multiply(pointers, (const uint8_t *)panel + 4 * c, rows->width, sums);
            for (size_t r = 0; r < ROWS && first + r < rows->count; r++)
                for (size_t i = 0; i < HALF; i++)
                    out[(first + r) * INT8_COLUMNS + c + i] =
                        sums[r][i] - OFFSET * rows->sum[first + r];
        }
    }
}

/* Eight columns of row r from `c` on, a bit set where not both limits are above. */
static uint64_t wanted(const int32_t *sums, int32_t offset, const int8_bounds_t *bounds, size_t r,
                       size_t c)
{
    __m256i sum = _mm256_loadu_si256((const __m256i *)sums);
    __m256i start = _mm256_loadu_si256((const __m256i *)(bounds->column_start + c));
    __m256i below = _mm256_cmpgt_epi32(_mm256_set1_epi32(bounds->row_limit[r] + offset),
                                       _mm256_add_epi32(sum, start));
    if (bounds->column_limit) {
        __m256i limit = _mm256_loadu_si256((const __m256i *)(bounds->column_limit + c));
        __m256i own = _mm256_set1_epi32(bounds->row_start[r] - offset);
        below = _mm256_and_si256(below, _mm256_cmpgt_epi32(limit, _mm256_add_epi32(sum, own)));
    }
    return 0xffu & ~(uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(below));
}

static void screen(const int8_rows_t *rows, const void *panel, const int8_bounds_t *bounds,
                   uint64_t *mask)
{
    const int8_t *pointers[ROWS];
    int32_t sums[ROWS][HALF];
    for (size_t first = 0; first < rows->count; first += ROWS) {
        size_t count = rows->count - first < ROWS ? rows->count - first : ROWS;
        row_pointers(rows, first, pointers);
        memset(mask + first, 0, count * sizeof *mask);
        for (size_t c = 0; c < INT8_COLUMNS; c += HALF) {
            multiply(pointers, (const uint8_t *)panel + 4 * c, rows->width, sums);
            for (size_t r = 0; r < count; r++)
                for (size_t i = 0; i < HALF; i += LANES)
                    mask[first + r] |=
                        wanted(sums[r] + i, OFFSET * rows->sum[first + r], bounds, first + r, c + i)
                        << (c + i);
        }
    }
}

/* Sum of a (b + 128), less 128 times the sum of a. */
static int32_t dot(const int8_t *a, const int8_t *b, size_t width)
{
    const __m256i offset = _mm256_set1_epi8((char)OFFSET), ones = _mm256_set1_epi8(1);
    __m256i products = _mm256_setzero_si256(), sum = products;
    for (size_t i = 0; i < width; i += 32) {
        __m256i left = _mm256_loadu_si256((const __m256i *)(a + i));
        __m256i right = _mm256_loadu_si256((const __m256i *)(b + i));
        products = YMM_DPBUSD(products, _mm256_xor_si256(right, offset), left);
        sum = YMM_DPBUSD(sum, ones, left);
    }
    __m256i eight = _mm256_sub_epi32(products, _mm256_slli_epi32(sum, 7));
    __m128i four = _mm_add_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
    __m128i two = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 0xb1)));
}

#endif
