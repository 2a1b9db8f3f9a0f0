/* codes.h - int8 codes of vectors, and what they prove about distances (docs/algorithms.md, 9).
 *
 * A vector x becomes y = B x - c with a basis B of `width` rows and a constant c, and y becomes
 * codes q and a scale s with |y - s q| <= residual. B stretches no distance by more than
 * sqrt(stretch), so for every pair
 *     s |q_a - q_b| <= sqrt(stretch) |a - b| + residual_a + residual_b.
 * A pair for which that fails at a threshold is farther apart than the threshold. It holds for the
 * first `head` codes alone too, with residuals of their own. */
#ifndef STAGE4_WORKER_COMPUTE_CODES_H
#define STAGE4_WORKER_COMPUTE_CODES_H

#include "worker/compute/screen.h"

#include <stddef.h>
#include <stdint.h>

#define CODE_LARGEST 127

typedef struct {
    size_t dimension;
    size_t head;
    size_t width; /* >= head; both multiples of INT8_STEP */
    double scale;
    double stretch;
    screen_t screen;
} codes_t;

/* A row of codes with its residuals; INFINITY where nothing can be said. `image` is the float32
 * product of the basis and the vector, in any order of summation; `offset` is c; norm2 that of the
 * vector. */
typedef struct {
    float head;
    float whole;
} residual_t;

residual_t codes_make(const codes_t *self, const float *image, const float *offset, double norm2,
                      int8_t *codes);

/* sqrt(stretch) times the largest |a - b| of a pair with canonical d2 <= threshold. */
double codes_reach(const codes_t *self, float threshold);

/* With q2 the squared norms of the head's codes and I their dot product: the pair is ruled out
 * unless I + codes_start(column) >= codes_limit(row). `usual` is any number; a column of a larger
 * residual is given more room, by `farthest`, the largest reach + residual of the rows it will
 * meet. */
int32_t codes_limit(const codes_t *self, int32_t q2, double reach, float residual, float usual);
int32_t codes_start(const codes_t *self, int32_t q2, float residual, float usual, double farthest);

/* More than the float64 roundings of a bound amount to, relatively. */
#define CODES_ROUNDED 1e-9

/* 1 when whole codes at that squared distance (in steps of the scale) rule the pair out. Asked of
 * millions of pairs, hence here. */
static inline int codes_apart(const codes_t *self, int32_t squares, double reach, float residual_a,
                              float residual_b)
{
    const double steps2 = (1 + CODES_ROUNDED) / (self->scale * self->scale);
    double bound = reach + (double)residual_a + (double)residual_b;
    return (double)squares > bound * bound * steps2 + 1;
}

#endif
