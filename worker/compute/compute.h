/* compute.h - a worker's arithmetic: threads, the distance back end and the screening product.
 *
 * One per worker; used by one task at a time. Nothing in here decides by an approximate number: the
 * screen (a float32 product, by OpenBLAS when its start-up self-check passes, else by our own
 * kernel) may only rule pairs out, with a margin proven in docs/algorithms.md. */
#ifndef STAGE4_WORKER_COMPUTE_COMPUTE_H
#define STAGE4_WORKER_COMPUTE_COMPUTE_H

#include "common/dist2.h"
#include "common/error.h"
#include "worker/compute/int8.h"
#include "worker/compute/pool.h"
#include "worker/compute/product.h"

#include <stddef.h>
#include <stdint.h>

typedef struct compute compute_t;

typedef struct {
    uint32_t threads;             /* >= 1 */
    const dist2_backend_t *dist2; /* NULL: dist2_best() */
    int screen;                   /* SCREEN_AUTO by default */
} compute_options_t;

/* AUTO takes the fastest product that passes its self-check, and none when none does. A product
 * that is asked for by name and fails it is ERR_UNAVAILABLE. No answer depends on the choice. */
enum { SCREEN_AUTO, SCREEN_OPENBLAS, SCREEN_OWN, SCREEN_NONE };

int compute_new(const compute_options_t *options, compute_t **out, error_t *error);
void compute_destroy(compute_t **self);
const char *compute_describe(const compute_t *self); /* "avx512+openblas", "avx2+own", "scalar" */
uint32_t compute_threads(const compute_t *self);

pool_t *compute_pool(compute_t *self);
const dist2_backend_t *compute_dist2(const compute_t *self);
product_fn compute_product(const compute_t *self); /* NULL: nothing is screened */
survivors_fn compute_survivors(const compute_t *self);
const int8_kernel_t *compute_int8(const compute_t *self);

#endif
