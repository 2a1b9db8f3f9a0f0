#include "worker/compute/compute.h"

#include <stdio.h>
#include <stdlib.h>

struct compute {
    pool_t *pool;
    const dist2_backend_t *dist2;
    const kernel_t *kernel;
    const int8_kernel_t *int8;
    product_fn product;
    char description[64];
};

static int choose(compute_t *self, product_fn product, const char *name, error_t *error)
{
    if (!product_check(product))
        return error_set(error, ERR_UNAVAILABLE,
                         "the %s product fails its self-check on this processor", name);
    self->product = product;
    return OK;
}

static int choose_fastest(compute_t *self)
{
    int own = product_check(self->kernel->product);
    int blas = product_check(product_openblas);
    if (own && blas)
        own = product_seconds(self->kernel->product) < product_seconds(product_openblas);
    self->product = own ? self->kernel->product : blas ? product_openblas : NULL;
    return OK;
}

static int choose_screen(compute_t *self, int screen, error_t *error)
{
    switch (screen) {
    case SCREEN_AUTO:
        return choose_fastest(self);
    case SCREEN_OPENBLAS:
        return choose(self, product_openblas, "OpenBLAS", error);
    case SCREEN_OWN:
        return choose(self, self->kernel->product, self->kernel->name, error);
    case SCREEN_NONE:
        return OK;
    default:
        return error_set(error, ERR_USAGE, "no screen number %d: there are %d to %d", screen,
                         SCREEN_AUTO, SCREEN_NONE);
    }
}

static void describe(compute_t *self)
{
    const char *screen = !self->product                      ? ""
                         : self->product == product_openblas ? "+openblas"
                                                             : "+own";
    snprintf(self->description, sizeof self->description, "%s%s", self->dist2->name, screen);
}

int compute_new(const compute_options_t *options, compute_t **out, error_t *error)
{
    compute_t *self = calloc(1, sizeof *self);
    *out = NULL;
    if (!self)
        return error_set(error, ERR_MEMORY, "no memory for the compute threads");
    self->dist2 = options->dist2 ? options->dist2 : dist2_best();
    self->kernel = kernel_for(self->dist2->name);
    self->int8 = int8_kernel_for(self->dist2->name);
    product_openblas_setup();
    int code = pool_new(options->threads, &self->pool, error);
    if (!code)
        code = choose_screen(self, options->screen, error);
    if (code) {
        compute_destroy(&self);
        return code;
    }
    describe(self);
    *out = self;
    return OK;
}

void compute_destroy(compute_t **self)
{
    if (!*self)
        return;
    pool_destroy(&(*self)->pool);
    free(*self);
    *self = NULL;
}

const char *compute_describe(const compute_t *self) { return self->description; }
uint32_t compute_threads(const compute_t *self) { return pool_threads(self->pool); }
pool_t *compute_pool(compute_t *self) { return self->pool; }
const dist2_backend_t *compute_dist2(const compute_t *self) { return self->dist2; }
product_fn compute_product(const compute_t *self) { return self->product; }
const int8_kernel_t *compute_int8(const compute_t *self) { return self->int8; }
survivors_fn compute_survivors(const compute_t *self) { return self->kernel->survivors; }
