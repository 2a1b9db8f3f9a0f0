/* screen.h - the margin: when a float32 product may rule a pair out (docs/algorithms.md, 2).
 *
 * For every pair with canonical d2 <= threshold,
 *     product >= screen_column_bound(column) + screen_row_bound(row, threshold)
 * holds as float32 comparison, whatever the product's order of summation. So a pair for which it
 * fails is farther than the threshold; nothing is known of the others. Not-finite or huge vectors
 * (norm over 1e15) give NaN bounds, which rule nothing out. */
#ifndef STAGE4_WORKER_COMPUTE_SCREEN_H
#define STAGE4_WORKER_COMPUTE_SCREEN_H

#include <stddef.h>

typedef struct {
    double keep;    /* what the product's and the norms' errors leave of a squared norm */
    double stretch; /* how far the exact distance may exceed a canonical one, relatively */
    double spread;  /* the product's error, over the norms, in the other direction */
    double tiny;    /* what underflow may cost */
} screen_t;

void screen_init(screen_t *self, size_t dimension);

/* |v|^2 in float64, relative error below 2^-40 for up to 2,048 dimensions. */
double screen_norm2(const float *vector, size_t dimension);

float screen_column_bound(const screen_t *self, double norm2);
float screen_row_bound(const screen_t *self, double norm2, float threshold);

/* The other direction: a column of at most `bound_max` column bound and
 * fl(column bound - product) <= `key` has a canonical d2 of at most this. */
float screen_upper(const screen_t *self, double norm2, float bound_max, float key);

/* How far a product may be from a . b: gamma_d * |a| |b|, plus underflow. */
double screen_product_error(size_t dimension, double norm2_a, double norm2_b);

#endif
