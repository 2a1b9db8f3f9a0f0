#include "naive.h"

#include "worker/tasks/vectors.h"

static void the_largest_bound_is_that_of_the_longest_vector(void **state)
{
    (void)state;
    vectors_t vectors;
    screen_t screen;
    screen_init(&screen, 3);
    assert_int_equal(vectors_init(&vectors, 5, 3, NULL), OK);
    vectors.count = 5;
    for (size_t i = 0; i < 15; i++)
        vectors.values[i] = (float)(i / 3 == 2 ? 4 : i / 3);
    vectors_measure(&vectors, &screen);
    for (size_t i = 0; i < 5; i++)
        assert_true(vectors.bound[i] == screen_column_bound(&screen, vectors.norm2[i]));
    assert_true(vectors.bound_max == vectors.bound[2] || vectors.bound_max == vectors.bound[4]);
    vectors.values[7] = NAN;
    vectors_measure(&vectors, &screen);
    assert_true(isnan(vectors.bound_max));
    vectors_clear(&vectors);
}

static void a_band_of_slots_is_a_range_of_positions(void **state)
{
    (void)state;
    vectors_t vectors;
    assert_int_equal(vectors_init(&vectors, 4, 1, NULL), OK);
    vectors.count = 4;
    memcpy(vectors.slots, (uint32_t[]){3, 5, 6, 9}, 4 * sizeof(uint32_t));
    for (uint32_t begin = 0; begin < 12; begin++) {
        for (uint32_t end = begin; end < 12; end++) {
            range_t range = vectors_range(&vectors, (band_t){begin, end});
            for (size_t i = 0; i < 4; i++) {
                int inside = vectors.slots[i] >= begin && vectors.slots[i] < end;
                assert_int_equal(i >= range.begin && i < range.end, inside);
            }
        }
    }
    vectors_clear(&vectors);
}

static void impossible_dimensions_are_refused(void **state)
{
    (void)state;
    vectors_t vectors;
    assert_int_equal(vectors_init(&vectors, 4, 0, NULL), ERR_SHAPE);
    assert_int_equal(vectors_init(&vectors, 4, DIMENSION_LIMIT + 1, NULL), ERR_SHAPE);
    assert_int_equal(vectors_init(&vectors, SIZE_MAX / 8, 768, NULL), ERR_SHAPE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_largest_bound_is_that_of_the_longest_vector),
        cmocka_unit_test(a_band_of_slots_is_a_range_of_positions),
        cmocka_unit_test(impossible_dimensions_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
