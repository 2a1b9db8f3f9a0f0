/* Every product lies within the proven bound, and every kernel finds the same survivors. */
#include "naive.h"

#include "worker/compute/screen.h"

#define STRIDE 80

static void check_shape(product_fn product, size_t rows, size_t columns, size_t dimension,
                        uint64_t *random)
{
    float *a = malloc(rows * dimension * sizeof *a);
    float *b = malloc(columns * dimension * sizeof *b);
    float *out = malloc(rows * STRIDE * sizeof *out);
    for (size_t i = 0; i < rows * dimension; i++)
        a[i] = ldexpf(fixture_unit(random), (int)(fixture_random(random) % 8));
    for (size_t i = 0; i < columns * dimension; i++)
        b[i] = fixture_unit(random);
    for (size_t i = 0; i < rows * STRIDE; i++)
        out[i] = 77;
    product(a, rows, b, columns, dimension, out, STRIDE);
    for (size_t r = 0; r < rows; r++) {
        for (size_t c = 0; c < STRIDE; c++) {
            double dot = 0;
            for (size_t d = 0; d < dimension && c < columns; d++)
                dot += (double)a[r * dimension + d] * (double)b[c * dimension + d];
            double bound =
                c < columns
                    ? screen_product_error(dimension, screen_norm2(a + r * dimension, dimension),
                                           screen_norm2(b + c * dimension, dimension))
                    : 0;
            assert_true(fabs((double)out[r * STRIDE + c] - (c < columns ? dot : 77)) <= bound);
        }
    }
    free(a);
    free(b);
    free(out);
}

static void check_product(product_fn product)
{
    uint64_t random = 3;
    assert_true(product_check(product));
    assert_true(isfinite(product_seconds(product)));
    for (size_t rows = 1; rows <= 9; rows++) {
        for (size_t columns = 1; columns <= 75; columns += 1 + columns / 9)
            check_shape(product, rows, columns, 1 + fixture_random(&random) % 70, &random);
    }
    check_shape(product, 21, 67, 768, &random);
}

static void products_lie_within_the_bound(void **state)
{
    (void)state;
    const dist2_backend_t *backends;
    size_t count = dist2_backends(&backends);
    for (size_t b = 0; b < count; b++) {
        const kernel_t *kernel = kernel_for(backends[b].name);
        assert_string_equal(kernel->name, backends[b].name);
        check_product(kernel->product);
    }
    product_openblas_setup();
    check_product(product_openblas);
}

static void survivors_are_those_not_below_the_bound(void **state)
{
    (void)state;
    const dist2_backend_t *backends;
    size_t count = dist2_backends(&backends);
    uint64_t random = 4;
    float product[100], column[100];
    uint32_t expected[100], found[100];
    for (int round = 0; round < 5000; round++) {
        size_t size = fixture_random(&random) % 101;
        float row = fixture_random(&random) % 20 ? fixture_unit(&random) : -INFINITY;
        for (size_t i = 0; i < size; i++) {
            product[i] = fixture_random(&random) % 20 ? fixture_unit(&random) : NAN;
            column[i] = fixture_random(&random) % 20 ? fixture_unit(&random) : NAN;
            if (fixture_random(&random) % 4 == 0)
                product[i] = column[i] + row; /* just not below */
        }
        size_t survivors = 0;
        for (size_t i = 0; i < size; i++) {
            if (isnan(product[i]) || isnan(column[i]) || product[i] >= column[i] + row)
                expected[survivors++] = (uint32_t)i;
        }
        for (size_t b = 0; b < count; b++) {
            size_t got = kernel_for(backends[b].name)->survivors(product, column, row, size, found);
            assert_int_equal(got, survivors);
            assert_memory_equal(found, expected, survivors * sizeof *found);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_lie_within_the_bound),
        cmocka_unit_test(survivors_are_those_not_below_the_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
