#include "common/dist2_simd.h"

#if defined(__AVX512F__) && defined(__AVX512DQ__)

#include <immintrin.h>

#define LANES 16

static inline __attribute__((always_inline)) __m512 add(__m512 sum, const float *a, const float *b)
{
    __m512 difference = _mm512_sub_ps(_mm512_loadu_ps(a), _mm512_loadu_ps(b));
    return _mm512_fmadd_ps(difference, difference, sum);
}

/* The last dimensions; masked lanes read as zero, and adding (0 - 0)^2 leaves a lane as it is. */
static inline __attribute__((always_inline)) __m512 add_rest(__m512 sum, const float *a,
                                                             const float *b, size_t rest)
{
    __mmask16 mask = (__mmask16)((1u << rest) - 1);
    __m512 difference =
        _mm512_sub_ps(_mm512_maskz_loadu_ps(mask, a), _mm512_maskz_loadu_ps(mask, b));
    return _mm512_fmadd_ps(difference, difference, sum);
}

static inline __attribute__((always_inline)) float tree(__m512 sum)
{
    __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(sum), _mm512_extractf32x8_ps(sum, 1));
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
}

float dist2_avx512(const float *a, const float *b, size_t dimension)
{
    __m512 sum = _mm512_setzero_ps();
    size_t i = 0;
    for (; i + LANES <= dimension; i += LANES)
        sum = add(sum, a + i, b + i);
    if (i < dimension)
        sum = add_rest(sum, a + i, b + i, dimension - i);
    return tree(sum);
}

/* Four at a time: one distance alone waits for its own additions. */
static void measure_four(const float *a, const float *b, size_t stride, size_t dimension,
                         float *out)
{
    __m512 s0 = _mm512_setzero_ps(), s1 = s0, s2 = s0, s3 = s0;
    const float *b1 = b + stride, *b2 = b1 + stride, *b3 = b2 + stride;
    size_t i = 0;
    for (; i + LANES <= dimension; i += LANES) {
        s0 = add(s0, a + i, b + i);
        s1 = add(s1, a + i, b1 + i);
        s2 = add(s2, a + i, b2 + i);
        s3 = add(s3, a + i, b3 + i);
    }
    if (i < dimension) {
        s0 = add_rest(s0, a + i, b + i, dimension - i);
        s1 = add_rest(s1, a + i, b1 + i, dimension - i);
        s2 = add_rest(s2, a + i, b2 + i, dimension - i);
        s3 = add_rest(s3, a + i, b3 + i, dimension - i);
    }
    out[0] = tree(s0);
    out[1] = tree(s1);
    out[2] = tree(s2);
    out[3] = tree(s3);
}

void dist2_avx512_many(const float *a, const float *b, size_t stride, size_t count,
                       size_t dimension, float *out)
{
    size_t i = 0;
    for (; i + 4 <= count; i += 4)
        measure_four(a, b + i * stride, stride, dimension, out + i);
    for (; i < count; i++)
        out[i] = dist2_avx512(a, b + i * stride, dimension);
}

/* What will be read next is asked for as this is read: pairs lie anywhere in memory. */
static inline __attribute__((always_inline)) void ask_for(const float *const *a,
                                                          const float *const *b, size_t i)
{
    for (size_t p = 0; p < 4; p++) {
        __builtin_prefetch(a[p] + i);
        __builtin_prefetch(b[p] + i);
    }
}

static void measure_four_pairs(const float *const *a, const float *const *b,
                               const float *const *next_a, const float *const *next_b,
                               size_t dimension, float *out)
{
    __m512 s0 = _mm512_setzero_ps(), s1 = s0, s2 = s0, s3 = s0;
    size_t i = 0;
    for (; i + LANES <= dimension; i += LANES) {
        ask_for(next_a, next_b, i);
        s0 = add(s0, a[0] + i, b[0] + i);
        s1 = add(s1, a[1] + i, b[1] + i);
        s2 = add(s2, a[2] + i, b[2] + i);
        s3 = add(s3, a[3] + i, b[3] + i);
    }
    if (i < dimension) {
        s0 = add_rest(s0, a[0] + i, b[0] + i, dimension - i);
        s1 = add_rest(s1, a[1] + i, b[1] + i, dimension - i);
        s2 = add_rest(s2, a[2] + i, b[2] + i, dimension - i);
        s3 = add_rest(s3, a[3] + i, b[3] + i, dimension - i);
    }
    out[0] = tree(s0);
    out[1] = tree(s1);
    out[2] = tree(s2);
    out[3] = tree(s3);
}

void dist2_avx512_pairs(const float *const *a, const float *const *b, size_t count,
                        size_t dimension, float *out)
{
    size_t i = 0;
    for (; i + 4 <= count; i += 4) {
        size_t next = i + 8 <= count ? i + 4 : i;
        measure_four_pairs(a + i, b + i, a + next, b + next, dimension, out + i);
    }
    for (; i < count; i++)
        out[i] = dist2_avx512(a[i], b[i], dimension);
}

#endif
