/* dist2_simd.h - the vector back ends of dist2.h, each compiled for its own instruction set.
 * Call one only on a processor that has it: dist2_backends() is what decides. */
#ifndef STAGE4_COMMON_DIST2_SIMD_H
#define STAGE4_COMMON_DIST2_SIMD_H

#include <stddef.h>

float dist2_avx2(const float *a, const float *b, size_t dimension);
void dist2_avx2_many(const float *a, const float *b, size_t stride, size_t count, size_t dimension,
                     float *out);

void dist2_avx2_pairs(const float *const *a, const float *const *b, size_t count, size_t dimension,
                      float *out);

float dist2_avx512(const float *a, const float *b, size_t dimension);
void dist2_avx512_many(const float *a, const float *b, size_t stride, size_t count,
                       size_t dimension, float *out);
void dist2_avx512_pairs(const float *const *a, const float *const *b, size_t count,
                        size_t dimension, float *out);

#endif
