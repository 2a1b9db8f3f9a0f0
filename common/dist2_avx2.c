#include "common/dist2_simd.h"

#if defined(__AVX2__) && defined(__FMA__)

#include <immintrin.h>
#include <string.h>

#define LANES 16

/* Lanes 0-7 and 8-15 of one running distance. */
typedef struct {
    __m256 low;
    __m256 high;
} lanes_t;

static inline __attribute__((always_inline)) lanes_t add(lanes_t sum, const float *a,
                                                         const float *b)
{
    __m256 low = _mm256_sub_ps(_mm256_loadu_ps(a), _mm256_loadu_ps(b));
    __m256 high = _mm256_sub_ps(_mm256_loadu_ps(a + 8), _mm256_loadu_ps(b + 8));
    sum.low = _mm256_fmadd_ps(low, low, sum.low);
    sum.high = _mm256_fmadd_ps(high, high, sum.high);
    return sum;
}

/* The last dimensions, filled up with zeros: adding (0 - 0)^2 leaves a lane as it is. */
static lanes_t add_rest(lanes_t sum, const float *a, const float *b, size_t rest)
{
    float a_rest[LANES] = {0};
    float b_rest[LANES] = {0};
    memcpy(a_rest, a, rest * sizeof *a);
    memcpy(b_rest, b, rest * sizeof *b);
    return add(sum, a_rest, b_rest);
}

static inline __attribute__((always_inline)) float tree(lanes_t sum)
{
    __m256 eight = _mm256_add_ps(sum.low, sum.high);
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
}

float dist2_avx2(const float *a, const float *b, size_t dimension)
{
    lanes_t sum = {_mm256_setzero_ps(), _mm256_setzero_ps()};
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
    lanes_t zero = {_mm256_setzero_ps(), _mm256_setzero_ps()};
    lanes_t s0 = zero, s1 = zero, s2 = zero, s3 = zero;
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

void dist2_avx2_many(const float *a, const float *b, size_t stride, size_t count, size_t dimension,
                     float *out)
{
    size_t i = 0;
    for (; i + 4 <= count; i += 4)
        measure_four(a, b + i * stride, stride, dimension, out + i);
    for (; i < count; i++)
        out[i] = dist2_avx2(a, b + i * stride, dimension);
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
    lanes_t s0 = {_mm256_setzero_ps(), _mm256_setzero_ps()}, s1 = s0, s2 = s0, s3 = s0;
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

void dist2_avx2_pairs(const float *const *a, const float *const *b, size_t count, size_t dimension,
                      float *out)
{
    size_t i = 0;
    for (; i + 4 <= count; i += 4) {
        size_t next = i + 8 <= count ? i + 4 : i;
        measure_four_pairs(a + i, b + i, a + next, b + next, dimension, out + i);
    }
    for (; i < count; i++)
        out[i] = dist2_avx2(a[i], b[i], dimension);
}

#endif
