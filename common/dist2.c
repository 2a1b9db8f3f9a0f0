#include "common/dist2.h"

#include "common/dist2_simd.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LANES 16

/* fmaf rounds once whether or not the processor has the instruction, so these bits are those of the
 * vector back ends on any machine. */
static float dist2_scalar(const float *a, const float *b, size_t dimension)
{
    float lane[LANES] = {0};
    for (size_t i = 0; i < dimension; i++) {
        float difference = a[i] - b[i];
        lane[i % LANES] = fmaf(difference, difference, lane[i % LANES]);
    }
    for (size_t half = LANES / 2; half > 0; half /= 2) {
        for (size_t l = 0; l < half; l++)
            lane[l] += lane[l + half];
    }
    return lane[0];
}

static void dist2_scalar_many(const float *a, const float *b, size_t stride, size_t count,
                              size_t dimension, float *out)
{
    for (size_t i = 0; i < count; i++)
        out[i] = dist2_scalar(a, b + i * stride, dimension);
}

static void dist2_scalar_pairs(const float *const *a, const float *const *b, size_t count,
                               size_t dimension, float *out)
{
    for (size_t i = 0; i < count; i++)
        out[i] = dist2_scalar(a[i], b[i], dimension);
}

static const dist2_backend_t BACKENDS[] = {
    {"scalar", dist2_scalar, dist2_scalar_many, dist2_scalar_pairs},
#if defined(__x86_64__)
    {"avx2", dist2_avx2, dist2_avx2_many, dist2_avx2_pairs},
    {"avx512", dist2_avx512, dist2_avx512_many, dist2_avx512_pairs},
#endif
};

size_t dist2_backends(const dist2_backend_t **out)
{
    size_t count = 1;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        count = 2;
        if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
            __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw"))
            count = 3;
    }
#endif
    *out = BACKENDS;
    return count;
}

const dist2_backend_t *dist2_best(void)
{
    const dist2_backend_t *backends;
    size_t count = dist2_backends(&backends);
    const char *wanted = getenv("STAGE4_SIMD");
    for (size_t i = 0; wanted && i < count; i++) {
        if (!strcmp(backends[i].name, wanted))
            return &backends[i];
    }
    return &backends[count - 1];
}
