/* dist2.h - the canonical distance: the only distance that ever decides anything.
 *
 * dist2(a, b) = sum over i of (a_i - b_i)^2, in float32, in one fixed order: 16 lanes, lane l adds
 * the dimensions l, l+16, l+32, ... by fused multiply-add starting from 0; then the lanes are added
 * as a binary tree: t[l] = lane[l] + lane[l+8] (l < 8), then +4, +2, +1. Every back end follows
 * that order, so every back end returns the same bits (docs/algorithms.md, 1). A dimension that is
 * no multiple of 16 leaves the last lanes one term short.
 *
 * Cosine distance of unit vectors is dist2 / 2; Euclidean distance is sqrt(dist2). */
#ifndef STAGE4_COMMON_DIST2_H
#define STAGE4_COMMON_DIST2_H

#include <stddef.h>

typedef float (*dist2_fn)(const float *a, const float *b, size_t dimension);

/* Distances of one vector to `count` vectors that lie `stride` floats apart. Same bits. */
typedef void (*dist2_many_fn)(const float *a, const float *b, size_t stride, size_t count,
                              size_t dimension, float *out);

/* Distances of `count` pairs (a[i], b[i]), several at once: one alone waits for its own additions
 * and for memory. Same bits. */
typedef void (*dist2_pairs_fn)(const float *const *a, const float *const *b, size_t count,
                               size_t dimension, float *out);

typedef struct {
    const char *name; /* "scalar", "avx2", "avx512" */
    dist2_fn one;
    dist2_many_fn many;
    dist2_pairs_fn pairs;
} dist2_backend_t;

/* The back ends this processor can run, slowest first; [0] is always scalar. */
size_t dist2_backends(const dist2_backend_t **out);

/* The fastest the processor can run, or the one STAGE4_SIMD (scalar|avx2|avx512) asks for when the
 * processor can run it. */
const dist2_backend_t *dist2_best(void);

#endif
