/* blas.c - the only file that knows OpenBLAS. */
#include "worker/compute/product.h"

#include <cblas.h>
#include <pthread.h>

/* Exported by the build with threads only, and in no header. Joins its threads; a product that wants
 * some starts them again. */
extern int blas_thread_shutdown_(void) __attribute__((weak));

/* Our pool runs the threads: OpenBLAS must not start a team of its own in each of them. The team that it
 * starts when it is loaded looks for work for 0.1 s before it sleeps, each thread on a whole core. */
static void setup_once(void)
{
    openblas_set_num_threads(1);
    if (blas_thread_shutdown_)
        blas_thread_shutdown_();
}

/* Any number of times, from any thread: the flag stands beside what is global in OpenBLAS. */
void product_openblas_setup(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, setup_once);
}

void product_openblas(const float *a, size_t rows, const float *b, size_t columns, size_t dimension,
                      float *out, size_t stride)
{
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)rows, (blasint)columns,
                (blasint)dimension, 1.0f, a, (blasint)dimension, b, (blasint)dimension, 0.0f, out,
                (blasint)stride);
}
