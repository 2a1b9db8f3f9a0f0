/* dot.c - the product in plain C, and which kernel goes with which back end. */
#include "worker/compute/product.h"

#include <string.h>

#define LANES 8

static float dot(const float *a, const float *b, size_t dimension)
{
    float lane[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= dimension; i += LANES) {
        for (size_t l = 0; l < LANES; l++)
            lane[l] += a[i + l] * b[i + l];
    }
    float sum = 0;
    for (; i < dimension; i++)
        sum += a[i] * b[i];
    for (size_t l = 0; l < LANES; l++)
        sum += lane[l];
    return sum;
}

void product_scalar(const float *a, size_t rows, const float *b, size_t columns, size_t dimension,
                    float *out, size_t stride)
{
    for (size_t i = 0; i < rows; i++) {
        for (size_t j = 0; j < columns; j++)
            out[i * stride + j] = dot(a + i * dimension, b + j * dimension, dimension);
    }
}

size_t survivors_scalar(const float *product, const float *column_bound, float row_bound,
                        size_t count, uint32_t *out)
{
    size_t found = 0;
    for (size_t j = 0; j < count; j++) {
        if (!(product[j] < column_bound[j] + row_bound))
            out[found++] = (uint32_t)j;
    }
    return found;
}

static const kernel_t KERNELS[] = {
    {"scalar", product_scalar, survivors_scalar},
#if defined(__x86_64__)
    {"avx2", product_avx2, survivors_avx2},
    {"avx512", product_avx512, survivors_avx512},
#endif
};

const kernel_t *kernel_for(const char *name)
{
    for (size_t i = 0; i < sizeof KERNELS / sizeof *KERNELS; i++) {
        if (!strcmp(KERNELS[i].name, name))
            return &KERNELS[i];
    }
    return &KERNELS[0];
}
