/* blas.c - the only file that knows OpenBLAS. */
#include "worker/compute/product.h"

#include <cblas.h>

/* Our pool runs the threads: OpenBLAS must not start a team of its own in each of them. */
void product_openblas_setup(void) { openblas_set_num_threads(1); }

void product_openblas(const float *a, size_t rows, const float *b, size_t columns, size_t dimension,
                      float *out, size_t stride)
{
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)rows, (blasint)columns,
                (blasint)dimension, 1.0f, a, (blasint)dimension, b, (blasint)dimension, 0.0f, out,
                (blasint)stride);
}
