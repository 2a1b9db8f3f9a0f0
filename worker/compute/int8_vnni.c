/* int8_vnni.c - int8 products by vpdpbusd: 6 rows by 64 columns stay in 24 registers.
 *
 * The instruction multiplies unsigned by signed bytes: columns are packed with 128 added, which
 * adds 128 times the row's sum to every product; the row's limit is raised by that. The loop is
 * written in assembly because gcc 12 spills the accumulators of the same loop in intrinsics.
 *
 * Sums begin at column_start. That I + row_start >= column_limit is then: the sum is not less than
 * (column_limit + column_start) - (row_start - 128 row sum), so both tests are one comparison with
 * the smaller of two numbers. With INT8_ROOM = 2^29 and products under 2^26 nothing overflows. */
#include "worker/compute/int8.h"

#if defined(__AVX512VNNI__) && defined(__AVX512BW__)

#include <immintrin.h>
#include <string.h>

#define ROWS 6
#define OFFSET 128
#define STEP_BYTES (4 * INT8_COLUMNS) /* four dimensions of 64 columns */

static void pack(const int8_rows_t *columns, void *panel)
{
    const __m512i lanes =
        _mm512_mullo_epi32(_mm512_set1_epi32((int)columns->stride),
                           _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0));
    const __m512i offset = _mm512_set1_epi8((char)OFFSET);
    for (size_t c = 0; c < INT8_COLUMNS; c += 16) {
        size_t left = columns->count > c ? columns->count - c : 0;
        __mmask16 there = left >= 16 ? (__mmask16)0xffff : (__mmask16)((1u << left) - 1);
        const int8_t *codes = columns->codes + c * columns->stride;
        uint8_t *out = (uint8_t *)panel + 4 * c;
        for (size_t i = 0; i < columns->width; i += 4) {
            __m512i four =
                _mm512_mask_i32gather_epi32(_mm512_setzero_si512(), there, lanes, codes + i, 1);
            _mm512_store_si512(out + i / 4 * STEP_BYTES, _mm512_xor_si512(four, offset));
        }
    }
}

/* zmm0-23: sums, four a row; zmm24-27: columns; zmm28: four codes of a row in every lane. */
#define ROW(a, b, c, d, address)                                                                   \
    "vpbroadcastd " address ", %%zmm28\n\t"                                                        \
    "vpdpbusd %%zmm28, %%zmm24, %%zmm" #a "\n\t"                                                   \
    "vpdpbusd %%zmm28, %%zmm25, %%zmm" #b "\n\t"                                                   \
    "vpdpbusd %%zmm28, %%zmm26, %%zmm" #c "\n\t"                                                   \
    "vpdpbusd %%zmm28, %%zmm27, %%zmm" #d "\n\t"

#define PRODUCTS                                                                                   \
    ".p2align 5\n"                                                                                 \
    "1:\n\t"                                                                                       \
    "vmovdqa64 (%[panel]), %%zmm24\n\t"                                                            \
    "vmovdqa64 64(%[panel]), %%zmm25\n\t"                                                          \
    "vmovdqa64 128(%[panel]), %%zmm26\n\t"                                                         \
    "vmovdqa64 192(%[panel]), %%zmm27\n\t"                                                         \
    "add $256, %[panel]\n\t" ROW(0, 1, 2, 3, "(%[low])") ROW(4, 5, 6, 7, "(%[low],%[stride])")     \
        ROW(8, 9, 10, 11, "(%[low],%[stride],2)") ROW(12, 13, 14, 15, "(%[high])")                 \
            ROW(16, 17, 18, 19, "(%[high],%[stride])")                                             \
                ROW(20, 21, 22, 23, "(%[high],%[stride],2)") "add $4, %[low]\n\t"                  \
                                                             "add $4, %[high]\n\t"                 \
                                                             "dec %[steps]\n\t"                    \
                                                             "jnz 1b\n\t"

#define CLEAR(a, b, c, d)                                                                          \
    "vmovdqa64 %%zmm24, %%zmm" #a "\n\t"                                                           \
    "vmovdqa64 %%zmm25, %%zmm" #b "\n\t"                                                           \
    "vmovdqa64 %%zmm26, %%zmm" #c "\n\t"                                                           \
    "vmovdqa64 %%zmm27, %%zmm" #d "\n\t"

#define START                                                                                      \
    "vmovdqu64 (%[start]), %%zmm24\n\t"                                                            \
    "vmovdqu64 64(%[start]), %%zmm25\n\t"                                                          \
    "vmovdqu64 128(%[start]), %%zmm26\n\t"                                                         \
    "vmovdqu64 192(%[start]), %%zmm27\n\t" CLEAR(0, 1, 2, 3) CLEAR(4, 5, 6, 7) CLEAR(8, 9, 10, 11) \
        CLEAR(12, 13, 14, 15) CLEAR(16, 17, 18, 19) CLEAR(20, 21, 22, 23)

/* The columns' shares of their limits, in the place of their codes. */
#define SHARES                                                                                     \
    "vmovdqa64 (%[share]), %%zmm24\n\t"                                                            \
    "vmovdqa64 64(%[share]), %%zmm25\n\t"                                                          \
    "vmovdqa64 128(%[share]), %%zmm26\n\t"                                                         \
    "vmovdqa64 192(%[share]), %%zmm27\n\t"

/* Not less than the smaller of the row's limit and the column's, 16 answers. */
#define TEST(sum, share, row, answer)                                                              \
    "vpsubd %%zmm28, %%zmm" #share ", %%zmm30\n\t"                                                 \
    "vpminsd %%zmm29, %%zmm30, %%zmm30\n\t"                                                        \
    "vpcmpd $5, %%zmm30, %%zmm" #sum ", %%k" #answer "\n\t"

#define COMPARE(a, b, c, d, row)                                                                   \
    "vpbroadcastd 4*" #row "(%[own]), %%zmm28\n\t"                                                 \
    "vpbroadcastd 4*" #row "(%[limit]), %%zmm29\n\t" TEST(a, 24, row, 1) TEST(b, 25, row, 2)       \
        TEST(c, 26, row, 3) TEST(d, 27, row, 4) "kunpckwd %%k1, %%k2, %%k1\n\t"                    \
                                                "kunpckwd %%k3, %%k4, %%k3\n\t"                    \
                                                "kunpckdq %%k1, %%k3, %%k1\n\t"                    \
                                                "kmovq %%k1, 8*" #row "(%[mask])\n\t"

#define STORE(a, b, c, d, row)                                                                     \
    "vmovdqu64 %%zmm" #a ", 256*" #row "(%[scores])\n\t"                                           \
    "vmovdqu64 %%zmm" #b ", 256*" #row "+64(%[scores])\n\t"                                        \
    "vmovdqu64 %%zmm" #c ", 256*" #row "+128(%[scores])\n\t"                                       \
    "vmovdqu64 %%zmm" #d ", 256*" #row "+192(%[scores])\n\t"

#define REGISTERS                                                                                  \
    "zmm0", "zmm1", "zmm2", "zmm3", "zmm4", "zmm5", "zmm6", "zmm7", "zmm8", "zmm9", "zmm10",       \
        "zmm11", "zmm12", "zmm13", "zmm14", "zmm15", "zmm16", "zmm17", "zmm18", "zmm19", "zmm20",  \
        "zmm21", "zmm22", "zmm23", "zmm24", "zmm25", "zmm26", "zmm27", "zmm28", "zmm29", "zmm30"

/* What six rows are compared with; `share` is the columns', `own` the rows' part of theirs. */
typedef struct {
    int32_t limit[ROWS];
    int32_t own[ROWS];
    const int32_t *start;
    const int32_t *share;
} six_bounds_t;

static void screen_six(const int8_t *rows, size_t stride, size_t width, const void *panel,
                       const six_bounds_t *bounds, uint64_t *mask)
{
    const int8_t *low = rows;
    const int8_t *high = rows + 3 * stride;
    size_t steps = width / 4;
    __asm__ volatile(START PRODUCTS SHARES COMPARE(0, 1, 2, 3, 0) COMPARE(4, 5, 6, 7, 1)
                         COMPARE(8, 9, 10, 11, 2) COMPARE(12, 13, 14, 15, 3)
                             COMPARE(16, 17, 18, 19, 4) COMPARE(20, 21, 22, 23, 5)
                     : [low] "+r"(low), [high] "+r"(high), [panel] "+r"(panel), [steps] "+r"(steps)
                     : [stride] "r"(stride), [start] "r"(bounds->start), [limit] "r"(bounds->limit),
                       [own] "r"(bounds->own), [share] "r"(bounds->share), [mask] "r"(mask)
                     : "memory", "cc", "k1", "k2", "k3", "k4", REGISTERS);
}

static void scores_six(const int8_t *rows, size_t stride, size_t width, const void *panel,
                       const int32_t *start, int32_t *scores)
{
    const int8_t *low = rows;
    const int8_t *high = rows + 3 * stride;
    size_t steps = width / 4;
    __asm__ volatile(START PRODUCTS STORE(0, 1, 2, 3, 0) STORE(4, 5, 6, 7, 1) STORE(8, 9, 10, 11, 2)
                         STORE(12, 13, 14, 15, 3) STORE(16, 17, 18, 19, 4) STORE(20, 21, 22, 23, 5)
                     : [low] "+r"(low), [high] "+r"(high), [panel] "+r"(panel), [steps] "+r"(steps)
                     : [stride] "r"(stride), [start] "r"(start), [scores] "r"(scores)
                     : "memory", "cc", REGISTERS);
}

/* The rows from `first` on; fewer than six are copied, the others filled with zeros. */
static const int8_t *six_rows(const int8_rows_t *rows, size_t first, int8_t *copy, size_t *stride)
{
    *stride = rows->stride;
    if (first + ROWS <= rows->count)
        return rows->codes + first * rows->stride;
    *stride = rows->width;
    memset(copy, 0, ROWS * rows->width);
    for (size_t r = first; r < rows->count; r++)
        memcpy(copy + (r - first) * rows->width, rows->codes + r * rows->stride, rows->width);
    return copy;
}

static void screen(const int8_rows_t *rows, const void *panel, const int8_bounds_t *bounds,
                   uint64_t *mask)
{
    int8_t copy[ROWS * INT8_WIDTH_LIMIT];
    _Alignas(64) int32_t share[INT8_COLUMNS];
    six_bounds_t six = {.start = bounds->column_start, .share = share};
    for (size_t c = 0; c < INT8_COLUMNS; c++)
        share[c] =
            bounds->column_start[c] + (bounds->column_limit ? bounds->column_limit[c] : INT8_ROOM);
    for (size_t first = 0; first < rows->count; first += ROWS) {
        size_t stride;
        const int8_t *codes = six_rows(rows, first, copy, &stride);
        size_t count = rows->count - first < ROWS ? rows->count - first : ROWS;
        uint64_t masks[ROWS];
        for (size_t r = 0; r < count; r++) {
            int32_t offset = OFFSET * rows->sum[first + r];
            six.limit[r] = bounds->row_limit[first + r] + offset;
            six.own[r] = (bounds->column_limit ? bounds->row_start[first + r] : 0) - offset;
        }
        screen_six(codes, stride, rows->width, panel, &six, masks);
        memcpy(mask + first, masks, count * sizeof *mask);
    }
}

static void scores(const int8_rows_t *rows, const void *panel, int32_t *out)
{
    static const int32_t zeros[INT8_COLUMNS] = {0};
    int8_t copy[ROWS * INT8_WIDTH_LIMIT];
    int32_t made[ROWS * INT8_COLUMNS] = {0};
    for (size_t first = 0; first < rows->count; first += ROWS) {
        size_t stride;
        const int8_t *codes = six_rows(rows, first, copy, &stride);
        scores_six(codes, stride, rows->width, panel, zeros, made);
        for (size_t r = 0; r < ROWS && first + r < rows->count; r++) {
            int32_t offset = OFFSET * rows->sum[first + r];
            for (size_t c = 0; c < INT8_COLUMNS; c++)
                out[(first + r) * INT8_COLUMNS + c] = made[r * INT8_COLUMNS + c] - offset;
        }
    }
}

/* Sum of a (b + 128), less 128 times the sum of a. */
static int32_t dot(const int8_t *a, const int8_t *b, size_t width)
{
    const __m512i offset = _mm512_set1_epi8((char)OFFSET), ones = _mm512_set1_epi8(1);
    __m512i products = _mm512_setzero_si512(), sum = products;
    for (size_t i = 0; i < width; i += 64) {
        __m512i left = _mm512_loadu_si512(a + i);
        __m512i right = _mm512_xor_si512(_mm512_loadu_si512(b + i), offset);
        products = _mm512_dpbusd_epi32(products, right, left);
        sum = _mm512_dpbusd_epi32(sum, ones, left);
    }
    return _mm512_reduce_add_epi32(_mm512_sub_epi32(products, _mm512_slli_epi32(sum, 7)));
}

const int8_kernel_t int8_vnni = {"vnni", pack, screen, scores, dot};

#endif
