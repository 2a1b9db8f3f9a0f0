/* The margin must hold at the worst: thresholds that are exactly the canonical distance, and
 * products that are as wrong as the bound allows. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "common/dist2.h"
#include "worker/compute/product.h"
#include "worker/compute/screen.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DIMENSION_MAX 2048

static uint32_t next(uint64_t *random)
{
    *random = *random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*random >> 33);
}

static float unit(uint64_t *random)
{
    return (float)((int32_t)next(random) - (1 << 30)) * 0x1p-30f;
}

typedef struct {
    float a[DIMENSION_MAX];
    float b[DIMENSION_MAX];
    size_t dimension;
} pair_t;

/* Vectors of many lengths, from equal over nearly equal to unrelated and opposite. */
static void make_pair(pair_t *pair, uint64_t *random)
{
    static const size_t dimensions[] = {1, 2, 5, 16, 31, 67, 768, 2048};
    pair->dimension = dimensions[next(random) % 8];
    int exponent = (int)(next(random) % 40) - 20;
    if (next(random) % 4 == 0)
        exponent = -60 - (int)(next(random) % 20); /* squares near the smallest numbers there are */
    float mixed = next(random) % 4 ? ldexpf(1, -(int)(next(random) % 26)) : 0;
    float sign = next(random) % 8 ? 1 : -1;
    for (size_t i = 0; i < pair->dimension; i++) {
        pair->a[i] = ldexpf(unit(random), exponent);
        pair->b[i] = sign * pair->a[i] + mixed * ldexpf(unit(random), exponent);
    }
}

static double exact_dot(const pair_t *pair)
{
    long double sum = 0;
    for (size_t i = 0; i < pair->dimension; i++)
        sum += (long double)pair->a[i] * (long double)pair->b[i];
    return (double)sum;
}

/* As the theorem allows it: gamma(d) |a| |b|, and two operations a dimension that are flushed to
 * zero. Not by screen.h, which is what is tested. */
static double allowed_error(const pair_t *pair, double a2, double b2)
{
    double n = (double)pair->dimension * 0x1p-24;
    return n / (1 - n) * sqrt(a2 * b2) + (double)pair->dimension * 0x1p-125;
}

/* The smallest canonical distance that the pair might have: its exact one, less gamma(m). */
static float least_dist2(const pair_t *pair)
{
    long double exact = 0;
    for (size_t i = 0; i < pair->dimension; i++) {
        long double difference = (long double)pair->a[i] - (long double)pair->b[i];
        exact += difference * difference;
    }
    double n = (double)((pair->dimension + 15) / 16 + 6) * 0x1p-24;
    return nextafterf((float)((double)exact * (1 - n / (1 - n))), INFINITY);
}

static float dist2_of(const pair_t *pair)
{
    const dist2_backend_t *backends;
    dist2_backends(&backends);
    return backends[0].one(pair->a, pair->b, pair->dimension);
}

static void a_pair_within_the_threshold_is_never_ruled_out(void **state)
{
    (void)state;
    pair_t *pair = malloc(sizeof *pair);
    uint64_t random = 1;
    for (int round = 0; round < 20000; round++) {
        make_pair(pair, &random);
        screen_t screen;
        screen_init(&screen, pair->dimension);
        double a2 = screen_norm2(pair->a, pair->dimension);
        double b2 = screen_norm2(pair->b, pair->dimension);
        double bound = allowed_error(pair, a2, b2);
        /* the smallest product that a back end may give */
        float worst = nextafterf((float)(exact_dot(pair) - bound), INFINITY);
        float threshold = dist2_of(pair);
        float sum = screen_column_bound(&screen, b2) + screen_row_bound(&screen, a2, threshold);
        assert_false(worst < sum);
        sum = screen_column_bound(&screen, b2) + screen_row_bound(&screen, a2, least_dist2(pair));
        assert_false(worst < sum);
        sum = screen_column_bound(&screen, a2) + screen_row_bound(&screen, b2, threshold);
        assert_false(worst < sum);
    }
    free(pair);
}

static void the_upper_bound_is_never_below_the_distance(void **state)
{
    (void)state;
    pair_t *pair = malloc(sizeof *pair);
    uint64_t random = 2;
    for (int round = 0; round < 20000; round++) {
        make_pair(pair, &random);
        screen_t screen;
        screen_init(&screen, pair->dimension);
        double a2 = screen_norm2(pair->a, pair->dimension);
        double b2 = screen_norm2(pair->b, pair->dimension);
        double bound = allowed_error(pair, a2, b2);
        float worst = nextafterf((float)(exact_dot(pair) + bound), -INFINITY);
        float column = screen_column_bound(&screen, b2);
        assert_true(screen_upper(&screen, a2, column, column - worst) >= dist2_of(pair));
    }
    free(pair);
}

/* Not only safe: of unit vectors a tenth of a thousandth nearer than the threshold is enough. */
static void the_margin_is_narrow(void **state)
{
    (void)state;
    screen_t screen;
    screen_init(&screen, 768);
    float needed = screen_column_bound(&screen, 1) + screen_row_bound(&screen, 1, 0.5f);
    assert_true(needed > 1 - 0.5f / 2 - 1e-4f);
    assert_true(needed < 1 - 0.5f / 2);
}

static void vectors_past_all_bounds_rule_nothing_out(void **state)
{
    (void)state;
    screen_t screen;
    screen_init(&screen, 768);
    const double norms[] = {1e31, INFINITY, NAN};
    for (size_t i = 0; i < 3; i++) {
        assert_true(isnan(screen_column_bound(&screen, norms[i])));
        assert_true(isnan(screen_row_bound(&screen, norms[i], 1)));
        assert_true(isinf(screen_upper(&screen, norms[i], 1, 1)));
    }
    assert_true(isinf(screen_row_bound(&screen, 1, INFINITY)));
    assert_true(isinf(screen_upper(&screen, 1, NAN, 1)));
    assert_true(isinf(screen_upper(&screen, 1, 1, INFINITY)));
}

static void norms_are_exact_to_the_last_digits(void **state)
{
    (void)state;
    pair_t *pair = malloc(sizeof *pair);
    uint64_t random = 3;
    for (int round = 0; round < 2000; round++) {
        make_pair(pair, &random);
        memcpy(pair->b, pair->a, sizeof pair->b);
        double exact = exact_dot(pair);
        assert_true(fabs(screen_norm2(pair->a, pair->dimension) - exact) <= exact * 0x1p-40);
    }
    free(pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pair_within_the_threshold_is_never_ruled_out),
        cmocka_unit_test(the_upper_bound_is_never_below_the_distance),
        cmocka_unit_test(the_margin_is_narrow),
        cmocka_unit_test(vectors_past_all_bounds_rule_nothing_out),
        cmocka_unit_test(norms_are_exact_to_the_last_digits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
