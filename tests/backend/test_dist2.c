/* Every back end returns the bits of the naive model, which shares no line with any of them. */
#include "naive.h"

#define ROOM 2100

typedef float (*value_fn)(uint64_t *random);

static float plain(uint64_t *random) { return fixture_unit(random); }
static float any_size(uint64_t *random)
{
    float value = fixture_unit(random);
    return ldexpf(value, (int)(fixture_random(random) % 120) - 60);
}
static float large(uint64_t *random) { return ldexpf(fixture_unit(random), 60); }
static float denormal(uint64_t *random) { return ldexpf(fixture_unit(random), -130); }
static float square_denormal(uint64_t *random) { return ldexpf(fixture_unit(random), -70); }
static float with_zeros(uint64_t *random)
{
    float value = fixture_unit(random);
    return fixture_random(random) % 3 ? value : -0.0f;
}

static const value_fn VALUES[] = {plain, any_size, large, denormal, square_denormal, with_zeros};

static void same_bits(float left, float right, const char *name, size_t dimension)
{
    if (memcmp(&left, &right, sizeof left))
        fail_msg("%s, %zu dimensions: %a is not %a", name, dimension, (double)left, (double)right);
}

/* Both forms of one back end for one dimension: vectors at odd addresses, 0 to 9 of them. */
static void check_dimension(const dist2_backend_t *backend, size_t dimension, value_fn value,
                            uint64_t *random)
{
    static const size_t extra = 3; /* floats between two vectors */
    size_t count = fixture_random(random) % 10;
    size_t stride = dimension + extra;
    float *a = malloc((dimension + 1) * sizeof *a);
    float *b = malloc((count * stride + 1) * sizeof *b);
    float out[10];
    for (size_t i = 0; i <= dimension; i++)
        a[i] = value(random);
    for (size_t i = 0; i <= count * stride; i++)
        b[i] = value(random);
    backend->many(a + 1, b + 1, stride, count, dimension, out);
    const float *lefts[10], *rights[10];
    float paired[10];
    for (size_t i = 0; i < count; i++) { /* neighbours, the first with a itself */
        lefts[i] = i ? b + 1 + (i - 1) * stride : a + 1;
        rights[i] = b + 1 + i * stride;
    }
    backend->pairs(lefts, rights, count, dimension, paired);
    for (size_t i = 0; i < count; i++) {
        float expected = naive_dist2(a + 1, b + 1 + i * stride, dimension);
        same_bits(paired[i], naive_dist2(lefts[i], rights[i], dimension), backend->name, dimension);
        same_bits(backend->one(a + 1, b + 1 + i * stride, dimension), expected, backend->name,
                  dimension);
        same_bits(out[i], expected, backend->name, dimension);
    }
    free(a);
    free(b);
}

static void all_back_ends_return_the_same_bits(void **state)
{
    (void)state;
    static const size_t more[] = {100, 767, 768, 769, 800, 2047, 2048};
    const dist2_backend_t *backends;
    size_t count = dist2_backends(&backends);
    uint64_t random = 5;
    for (size_t b = 0; b < count; b++) {
        for (size_t v = 0; v < sizeof VALUES / sizeof *VALUES; v++) {
            for (int round = 0; round < 5; round++) {
                for (size_t dimension = 1; dimension <= 67; dimension++)
                    check_dimension(&backends[b], dimension, VALUES[v], &random);
                for (size_t i = 0; i < sizeof more / sizeof *more; i++)
                    check_dimension(&backends[b], more[i], VALUES[v], &random);
            }
        }
    }
}

static void duplicates_are_exactly_zero_apart(void **state)
{
    (void)state;
    const dist2_backend_t *backends;
    size_t count = dist2_backends(&backends);
    uint64_t random = 6;
    float a[800], b[800];
    for (size_t v = 0; v < sizeof VALUES / sizeof *VALUES; v++) {
        for (size_t i = 0; i < 800; i++)
            a[i] = b[i] = VALUES[v](&random);
        for (size_t k = 0; k < count; k++)
            same_bits(backends[k].one(a, b, 800), 0, backends[k].name, 800);
    }
}

static void the_distance_is_the_same_both_ways(void **state)
{
    (void)state;
    const dist2_backend_t *backends;
    size_t count = dist2_backends(&backends);
    uint64_t random = 7;
    float a[768], b[768];
    for (int round = 0; round < 200; round++) {
        for (size_t i = 0; i < 768; i++) {
            a[i] = any_size(&random);
            b[i] = any_size(&random);
        }
        for (size_t k = 0; k < count; k++)
            same_bits(backends[k].one(a, b, 768), backends[k].one(b, a, 768), backends[k].name,
                      768);
    }
}

static void real_vectors_have_the_same_distances(void **state)
{
    (void)state;
    fixture_t fixture;
    fixture_init_file(&fixture, TEST_DATA "/wiki2015/documents.index");
    const dist2_backend_t *backends;
    size_t count = dist2_backends(&backends);
    float *out = malloc(fixture.slots * sizeof *out);
    for (size_t k = 0; k < count; k++) {
        for (uint32_t slot = 0; slot < fixture.slots; slot += 50) {
            backends[k].many(fixture.values + (size_t)slot * 768, fixture.values, 768,
                             fixture.slots, 768, out);
            for (uint32_t other = 0; other < fixture.slots; other++)
                same_bits(out[other], naive_between(&fixture, slot, other), backends[k].name, 768);
        }
    }
    free(out);
    fixture_clear(&fixture);
}

static void the_first_back_end_is_always_the_scalar_one(void **state)
{
    (void)state;
    const dist2_backend_t *backends;
    assert_true(dist2_backends(&backends) >= 1);
    assert_string_equal(backends[0].name, "scalar");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_back_ends_return_the_same_bits),
        cmocka_unit_test(duplicates_are_exactly_zero_apart),
        cmocka_unit_test(the_distance_is_the_same_both_ways),
        cmocka_unit_test(real_vectors_have_the_same_distances),
        cmocka_unit_test(the_first_back_end_is_always_the_scalar_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
