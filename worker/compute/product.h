/* product.h - float32 products of vectors: what the screen looks at. They decide nothing.
 *
 * out[i * stride + j] = a_i . b_j, in any order of summation: the margin of screen.h holds for all
 * of them. The own kernels need no packing and no scratch memory; OpenBLAS is used where its
 * start-up self-check passes and it is the faster one. */
#ifndef STAGE4_WORKER_COMPUTE_PRODUCT_H
#define STAGE4_WORKER_COMPUTE_PRODUCT_H

#include <stddef.h>
#include <stdint.h>

/* a: rows x dimension, b: columns x dimension, both dense; stride >= columns. */
typedef void (*product_fn)(const float *a, size_t rows, const float *b, size_t columns,
                           size_t dimension, float *out, size_t stride);

/* Writes to `out` the positions j, rising, where product[j] is not less than
 * column_bound[j] + row_bound (a NaN anywhere survives); returns how many. `out` holds count. */
typedef size_t (*survivors_fn)(const float *product, const float *column_bound, float row_bound,
                               size_t count, uint32_t *out);

typedef struct {
    const char *name; /* that of the dist2 back end it goes with */
    product_fn product;
    survivors_fn survivors;
} kernel_t;

/* Our own kernel for a dist2 back end; the plain C one for an unknown name. */
const kernel_t *kernel_for(const char *name);

void product_scalar(const float *a, size_t rows, const float *b, size_t columns, size_t dimension,
                    float *out, size_t stride);
void product_avx2(const float *a, size_t rows, const float *b, size_t columns, size_t dimension,
                  float *out, size_t stride);
void product_avx512(const float *a, size_t rows, const float *b, size_t columns, size_t dimension,
                    float *out, size_t stride);
/* On the calling thread alone, once product_openblas_setup has run. */
void product_openblas(const float *a, size_t rows, const float *b, size_t columns, size_t dimension,
                      float *out, size_t stride);
void product_openblas_setup(void);

size_t survivors_scalar(const float *product, const float *column_bound, float row_bound,
                        size_t count, uint32_t *out);
size_t survivors_avx2(const float *product, const float *column_bound, float row_bound,
                      size_t count, uint32_t *out);
size_t survivors_avx512(const float *product, const float *column_bound, float row_bound,
                        size_t count, uint32_t *out);

/* 1 when every checked entry of seeded tiles of awkward shapes lies within the proven bound of its
 * float64 value and nothing beside the tile was written. A few milliseconds. 0 also without memory.
 */
int product_check(product_fn product);

/* Seconds for a tile of the shape tasks use, the best of a few; INFINITY without memory. */
double product_seconds(product_fn product);

#endif
