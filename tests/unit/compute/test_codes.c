/* The bounds of codes.h, and that a basis is what it says. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "worker/compute/basis.h"
#include "worker/compute/codes.h"
#include "worker/compute/int8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VECTORS 60

static uint32_t random_of(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}

static float unit_of(uint64_t *state)
{
    return (float)((int32_t)random_of(state) - (1 << 30)) * 0x1p-30f;
}

typedef struct {
    codes_t codes;
    float *basis;
    float *offset;
    float *vectors;
    int8_t *code;
    residual_t *residual;
} set_t;

/* Any basis will do: this one is anything but orthogonal, and its scale fits nothing. */
static void fill_wild(set_t *set, uint64_t seed)
{
    size_t dimension = set->codes.dimension;
    for (size_t k = 0; k < set->codes.width; k++) {
        set->offset[k] = unit_of(&seed);
        for (size_t i = 0; i < dimension; i++)
            set->basis[k * dimension + i] = 0.2f * unit_of(&seed);
    }
    for (size_t v = 0; v < VECTORS; v++)
        for (size_t i = 0; i < dimension; i++)
            set->vectors[v * dimension + i] =
                v % 4 == 1 ? set->vectors[(v - 1) * dimension + i] + 1e-6f * unit_of(&seed)
                           : unit_of(&seed) * (v % 5 ? 0.1f : 2.0f);
}

/* Points on a line, on either side of where codes are rounded up: here the bounds are equalities
 * but for a hundredth of a step. */
static void fill_tight(set_t *set)
{
    size_t dimension = set->codes.dimension;
    for (size_t k = 0; k < set->codes.width && k < dimension; k++)
        set->basis[k * dimension + k] = 1;
    for (size_t v = 0; v < VECTORS; v++)
        set->vectors[v * dimension] =
            (float)(((double)(v / 2) + 0.5 + (v % 2 ? 0.005 : -0.005)) * set->codes.scale);
}

static set_t set_new(compute_t *compute, const size_t *widths, double scale, int tight,
                     uint64_t seed)
{
    size_t dimension = widths[0], head = widths[1], width = widths[2];
    set_t set = {.codes = {.dimension = dimension, .head = head, .width = width, .scale = scale}};
    screen_init(&set.codes.screen, dimension);
    set.basis = calloc(width * dimension, sizeof *set.basis);
    set.offset = calloc(width, sizeof *set.offset);
    set.vectors = calloc(VECTORS * dimension, sizeof *set.vectors);
    set.code = calloc(VECTORS * width, 1);
    set.residual = calloc(VECTORS, sizeof *set.residual);
    if (tight)
        fill_tight(&set);
    else
        fill_wild(&set, seed);
    set.codes.stretch = basis_stretch(compute, set.basis, dimension, width);
    return set;
}

static void set_encode(set_t *set)
{
    size_t d = set->codes.dimension, width = set->codes.width;
    float *image = malloc(width * sizeof *image);
    for (size_t v = 0; v < VECTORS; v++) {
        product_scalar(set->vectors + v * d, 1, set->basis, width, d, image, width);
        set->residual[v] = codes_make(&set->codes, image, set->offset,
                                      screen_norm2(set->vectors + v * d, d), set->code + v * width);
    }
    free(image);
}

static void set_clear(set_t *set)
{
    free(set->basis);
    free(set->offset);
    free(set->vectors);
    free(set->code);
    free(set->residual);
}

static int32_t dot_of(const int8_t *a, const int8_t *b, size_t width)
{
    return int8_scalar.dot(a, b, width);
}

/* The pair's own canonical distance as the threshold: the tightest that must let it through. */
static void check_pair(const set_t *set, size_t a, size_t b, float usual, size_t *ruled_out)
{
    const codes_t *codes = &set->codes;
    const int8_t *x = set->code + a * codes->width, *y = set->code + b * codes->width;
    const dist2_backend_t *backends;
    dist2_backends(&backends);
    float d2 = backends[0].one(set->vectors + a * codes->dimension,
                               set->vectors + b * codes->dimension, codes->dimension);
    int32_t xx = dot_of(x, x, codes->head), yy = dot_of(y, y, codes->head);
    int32_t xy = dot_of(x, y, codes->head);
    int32_t squares =
        dot_of(x, x, codes->width) + dot_of(y, y, codes->width) - 2 * dot_of(x, y, codes->width);
    for (int half = 0; half < 2; half++) { /* at the threshold; and at a quarter of it */
        double reach = codes_reach(codes, half ? d2 / 4 : d2);
        double farthest = reach + (double)set->residual[a].head;
        int32_t limit = codes_limit(codes, xx, reach, set->residual[a].head, usual);
        int32_t start = codes_start(codes, yy, set->residual[b].head, usual, farthest);
        int head_apart = xy + start < limit;
        int apart =
            codes_apart(codes, squares, reach, set->residual[a].whole, set->residual[b].whole);
        if (half)
            *ruled_out += (size_t)(head_apart || apart);
        else
            assert_false(head_apart || apart);
    }
}

static void check_set(set_t *set, size_t *ruled_out)
{
    static const float USUAL[] = {0, 0.01f, 0.3f, 100};
    set_encode(set);
    for (size_t a = 0; a < VECTORS; a++)
        for (size_t b = 0; b < VECTORS; b++)
            check_pair(set, a, b, USUAL[(a + b) % 4], ruled_out);
}

static void no_pair_within_the_threshold_is_ruled_out(void **state)
{
    static const size_t WIDTHS[][3] = {{64, 64, 64}, {100, 64, 64}, {70, 64, 192}, {768, 128, 256}};
    static const double SCALES[] = {1e-6, 1e-3, 0.01, 0.1, 10};
    size_t ruled_out = 0;
    compute_t *compute = NULL;
    const compute_options_t options = {.threads = 2};
    (void)state;
    assert_int_equal(compute_new(&options, &compute, NULL), OK);
    for (size_t w = 0; w < 4; w++)
        for (size_t s = 0; s < 5; s++) {
            for (int tight = 0; tight < 2; tight++) {
                set_t set = set_new(compute, WIDTHS[w], SCALES[s], tight, w * 5 + s);
                check_set(&set, &ruled_out);
                set_clear(&set);
            }
        }
    assert_true(ruled_out > 1000); /* else the bounds would hold by saying nothing */
    compute_destroy(&compute);
}

static void numbers_that_are_none_rule_nothing_out(void **state)
{
    compute_t *compute = NULL;
    const compute_options_t options = {.threads = 1};
    (void)state;
    assert_int_equal(compute_new(&options, &compute, NULL), OK);
    static const size_t WIDTHS[] = {64, 64, 64};
    set_t set = set_new(compute, WIDTHS, 0.01, 0, 3);
    set.vectors[5] = NAN;
    set.vectors[64 + 5] = INFINITY;
    set_encode(&set);
    for (size_t v = 0; v < 2; v++) {
        assert_true(isinf(set.residual[v].head) && isinf(set.residual[v].whole));
        assert_int_equal(codes_limit(&set.codes, 9, 0.1, set.residual[v].head, 0), -INT8_ROOM);
        assert_int_equal(codes_start(&set.codes, 9, set.residual[v].head, 0, 1), INT8_ROOM);
        assert_false(codes_apart(&set.codes, INT32_MAX, 0.1, set.residual[v].whole, 0));
    }
    assert_int_equal(codes_limit(&set.codes, 9, codes_reach(&set.codes, INFINITY), 0.1f, 0),
                     -INT8_ROOM);
    set_clear(&set);
    compute_destroy(&compute);
}

/* The moment of a few strong directions: they are found, and the basis is orthonormal. */
static void a_basis_holds_the_energy(void **state)
{
    enum { DIMENSION = 150, STRONG = 64, WIDTH = 64 };
    compute_t *compute = NULL;
    const compute_options_t options = {.threads = 2};
    uint64_t seed = 5;
    float *moment = calloc(DIMENSION * DIMENSION, sizeof *moment);
    float *basis = calloc(WIDTH * DIMENSION, sizeof *basis);
    double energy[WIDTH], trace = 0, held = 0;
    (void)state;
    assert_int_equal(compute_new(&options, &compute, NULL), OK);
    for (size_t s = 0; s < STRONG; s++) {
        float direction[DIMENSION];
        for (size_t i = 0; i < DIMENSION; i++)
            direction[i] = unit_of(&seed);
        for (size_t i = 0; i < DIMENSION; i++)
            for (size_t j = 0; j < DIMENSION; j++)
                moment[i * DIMENSION + j] += direction[i] * direction[j];
    }
    for (size_t i = 0; i < DIMENSION; i++)
        trace += (double)moment[i * DIMENSION + i];
    assert_int_equal(basis_find(compute, moment, DIMENSION, WIDTH, basis, energy, NULL), OK);
    for (size_t k = 0; k < WIDTH; k++)
        held += energy[k];
    assert_true(held > 0.999 * trace && held < 1.001 * trace);
    assert_true(basis_stretch(compute, basis, DIMENSION, WIDTH) < 1.001);
    basis_mix(basis, DIMENSION, 0, WIDTH);
    assert_true(basis_stretch(compute, basis, DIMENSION, WIDTH) < 1.01);
    basis[0] += 3; /* what is wrong shows in the stretch */
    assert_true(basis_stretch(compute, basis, DIMENSION, WIDTH) > 8);
    free(moment);
    free(basis);
    compute_destroy(&compute);
}

/* Energies that fall over six decades: the last directions are what float32 leaves of others. */
static void a_wide_basis_of_a_steep_moment_is_orthonormal(void **state)
{
    enum { DIMENSION = 640, WIDTH = 512 };
    compute_t *compute = NULL;
    const compute_options_t options = {.threads = 2};
    float *moment = calloc((size_t)DIMENSION * DIMENSION, sizeof *moment);
    float *basis = calloc((size_t)WIDTH * DIMENSION, sizeof *basis);
    double energy[WIDTH];
    (void)state;
    assert_int_equal(compute_new(&options, &compute, NULL), OK);
    for (size_t i = 0; i < DIMENSION; i++)
        moment[i * DIMENSION + i] = (float)exp(-(double)i / 45);
    assert_int_equal(basis_find(compute, moment, DIMENSION, WIDTH, basis, energy, NULL), OK);
    assert_true(basis_stretch(compute, basis, DIMENSION, WIDTH) < 1.001);
    free(moment);
    free(basis);
    compute_destroy(&compute);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_pair_within_the_threshold_is_ruled_out),
        cmocka_unit_test(numbers_that_are_none_rule_nothing_out),
        cmocka_unit_test(a_basis_holds_the_energy),
        cmocka_unit_test(a_wide_basis_of_a_steep_moment_is_orthonormal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
