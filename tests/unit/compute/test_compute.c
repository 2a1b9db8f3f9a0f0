#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "worker/compute/compute.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *describe(const dist2_backend_t *dist2, int screen, char out[64])
{
    const compute_options_t options = {.threads = 1, .dist2 = dist2, .screen = screen};
    compute_t *compute;
    error_t error = ERROR_INIT;
    if (compute_new(&options, &compute, &error))
        fail_msg("%s", error.message);
    strncpy(out, compute_describe(compute), 63);
    compute_destroy(&compute);
    return out;
}

static void what_was_chosen_is_said(void **state)
{
    (void)state;
    char text[64] = "";
    const dist2_backend_t *backends;
    size_t count = dist2_backends(&backends);
    assert_string_equal(describe(&backends[0], SCREEN_NONE, text), "scalar");
    assert_string_equal(describe(&backends[0], SCREEN_OWN, text), "scalar+own");
    assert_string_equal(describe(&backends[0], SCREEN_OPENBLAS, text), "scalar+openblas");
    describe(NULL, SCREEN_AUTO, text);
    assert_int_equal(strncmp(text, backends[count - 1].name, strlen(backends[count - 1].name)), 0);
    assert_non_null(strchr(text, '+'));
}

static void the_environment_picks_a_back_end(void **state)
{
    (void)state;
    const dist2_backend_t *backends;
    size_t count = dist2_backends(&backends);
    for (size_t i = 0; i < count; i++) {
        setenv("STAGE4_SIMD", backends[i].name, 1);
        assert_string_equal(dist2_best()->name, backends[i].name);
    }
    setenv("STAGE4_SIMD", "mmx", 1);
    assert_string_equal(dist2_best()->name, backends[count - 1].name);
    unsetenv("STAGE4_SIMD");
    assert_string_equal(dist2_best()->name, backends[count - 1].name);
}

static void unusable_options_are_refused(void **state)
{
    (void)state;
    compute_t *compute;
    error_t error = ERROR_INIT;
    assert_int_equal(compute_new(&(compute_options_t){.threads = 0}, &compute, &error), ERR_USAGE);
    assert_null(compute);
    assert_int_equal(compute_new(&(compute_options_t){.threads = 1, .screen = 9}, &compute, &error),
                     ERR_USAGE);
    assert_null(compute);
}

/* Products that are wrong in one small way each: what the self-check is there for. */
static void forgets_the_last_dimension(const float *a, size_t rows, const float *b, size_t columns,
                                       size_t dimension, float *out, size_t stride)
{
    product_scalar(a, rows, b, columns, dimension, out, stride);
    for (size_t i = 0; i < rows * columns; i++) {
        size_t r = i / columns, c = i % columns;
        out[r * stride + c] -= a[(r + 1) * dimension - 1] * b[(c + 1) * dimension - 1];
    }
}

static void one_entry_in_a_corner(const float *a, size_t rows, const float *b, size_t columns,
                                  size_t dimension, float *out, size_t stride)
{
    product_scalar(a, rows, b, columns, dimension, out, stride);
    if (rows > 32)
        out[32 * stride + 46] *= 1.01f;
}

static void writes_beside_the_tile(const float *a, size_t rows, const float *b, size_t columns,
                                   size_t dimension, float *out, size_t stride)
{
    product_scalar(a, rows, b, columns, dimension, out, stride);
    out[columns] = 0;
}

static void not_a_number(const float *a, size_t rows, const float *b, size_t columns,
                         size_t dimension, float *out, size_t stride)
{
    product_scalar(a, rows, b, columns, dimension, out, stride);
    out[0] = NAN;
}

static void the_self_check_finds_a_wrong_product(void **state)
{
    (void)state;
    assert_true(product_check(product_scalar));
    assert_false(product_check(forgets_the_last_dimension));
    assert_false(product_check(one_entry_in_a_corner));
    assert_false(product_check(writes_beside_the_tile));
    assert_false(product_check(not_a_number));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_chosen_is_said),
        cmocka_unit_test(the_environment_picks_a_back_end),
        cmocka_unit_test(unusable_options_are_refused),
        cmocka_unit_test(the_self_check_finds_a_wrong_product),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
