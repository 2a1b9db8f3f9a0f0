#include "coordinator/merge/centres.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* Two partitions of 3 and 2 slots, two dimensions: k = 3 gives three centres and two. */
static centres_t five_centres(void)
{
    uint32_t begin[] = {0, 3, 5};
    plan_t plan = {.count = 5, .partition_count = 2, .partition_begin = begin, .dimension = 2};
    centres_t centres;
    assert_int_equal(centres_init(&centres, &plan, 3, NULL), OK);
    for (uint32_t i = 0; i < 10; i++)
        centres.centre[i] = i % 2 == 0; /* all at (1, 0) */
    return centres;
}

static void open_result(payload_t *out, const uint32_t *touched, const uint32_t *count,
                        const double *sum, size_t centres)
{
    columns_writer_t *writer = columns_writer_new("assign");
    size_t length;
    columns_put(writer, "touched", COLUMN_U32, touched, centres);
    columns_put(writer, "count", COLUMN_U32, count, centres);
    columns_put(writer, "sum", COLUMN_F64, sum, centres * 2);
    assert_int_equal(columns_writer_finish(&writer, &out->bytes, &length, NULL), OK);
    assert_int_equal(columns_open(out->bytes, length, "assign", &out->columns, NULL), OK);
}

static int add(centres_t *centres, uint32_t first, uint32_t second, const double *sum)
{
    payload_t result = {0};
    const uint32_t touched[] = {first, second}, count[] = {2, 1};
    open_result(&result, touched, count, sum, 2);
    int code = centres_add(centres, &result, NULL);
    payload_close(&result);
    return code;
}

static void k_is_clamped_to_a_partitions_size(void **state)
{
    (void)state;
    centres_t centres = five_centres();
    assert_int_equal(centres.begin[1], 3);
    assert_int_equal(centres.begin[2], 5);
    assert_int_equal(centres.total, 5);
    centres_clear(&centres);
}

static void members_move_a_centre_and_none_leaves_it(void **state)
{
    (void)state;
    for (int metric = 0; metric < 2; metric++) {
        centres_t centres = five_centres();
        assert_int_equal(add(&centres, 1, 3, (const double[]){1, 1, 0, 1}), OK);
        assert_int_equal(add(&centres, 1, 4, (const double[]){0, 0.5, 0, 0}), OK);
        assert_int_equal(centres.count[1], 4);
        centres_move(&centres, (metric_t)metric, 0);
        assert_true(centres.centre[0] == 1 && centres.centre[1] == 0); /* nobody */
        if (metric == METRIC_COSINE) { /* (1, 1.5) scaled to unit length */
            assert_true(fabsf(centres.centre[2] - 0.5547002f) < 1e-6f);
            assert_true(fabsf(centres.centre[3] - 0.8320503f) < 1e-6f);
            assert_true(centres.centre[8] == 1); /* a sum of zero has no direction */
        } else {
            assert_true(centres.centre[2] == 0.25f && centres.centre[3] == 0.375f);
            assert_true(centres.centre[8] == 0 && centres.centre[9] == 0);
        }
        centres_clear(&centres);
    }
}

static void a_small_move_settles_only_within_the_tolerance(void **state)
{
    (void)state;
    const double nearly[] = {2 * 0.999, 2 * 0.0447, 1, 0};
    centres_t centres = five_centres();
    assert_int_equal(add(&centres, 0, 3, nearly), OK);
    assert_int_equal(centres_move(&centres, METRIC_EUCLIDEAN, 1e-9), 0);
    assert_int_equal(centres_move(&centres, METRIC_EUCLIDEAN, 1e-9), 1); /* no move at all now */
    centres_clear(&centres);
    centres = five_centres();
    assert_int_equal(add(&centres, 0, 3, nearly), OK);
    assert_int_equal(centres_move(&centres, METRIC_EUCLIDEAN, 1e6), 1);
    centres_clear(&centres);
}

static void sums_for_unknown_centres_are_refused(void **state)
{
    (void)state;
    centres_t centres = five_centres();
    const double sum[4] = {0};
    assert_int_equal(add(&centres, 0, 5, sum), ERR_SHAPE);
    assert_int_equal(add(&centres, 2, 1, sum), ERR_SHAPE);
    assert_int_equal(add(&centres, 2, 2, sum), ERR_SHAPE);
    for (uint32_t c = 0; c < 5; c++)
        assert_int_equal(centres.count[c], 0);
    centres_clear(&centres);
}

/* 0.0 and -0.0 are no distance apart. */
static void of_equal_centres_the_first_is_kept(void **state)
{
    (void)state;
    uint32_t begin[] = {0, 4, 8};
    plan_t plan = {.count = 8, .partition_count = 2, .partition_begin = begin, .dimension = 2};
    const float given[] = {1, 0, 0, 1, 1, -0.0f, 0, 1, 0, 1, 1, 0, 0, 1, 2, 0};
    const float kept[] = {1, 0, 0, 1, 0, 1, 1, 0, 2, 0};
    centres_t centres;
    assert_int_equal(centres_init(&centres, &plan, 4, NULL), OK);
    memcpy(centres.centre, given, sizeof given);
    assert_int_equal(centres_distinct(&centres, NULL), OK);
    assert_int_equal(centres.begin[1], 2);
    assert_int_equal(centres.begin[2], 5);
    assert_int_equal(centres.total, 5);
    assert_memory_equal(centres.centre, kept, sizeof kept);
    centres_clear(&centres);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(k_is_clamped_to_a_partitions_size),
        cmocka_unit_test(members_move_a_centre_and_none_leaves_it),
        cmocka_unit_test(a_small_move_settles_only_within_the_tolerance),
        cmocka_unit_test(sums_for_unknown_centres_are_refused),
        cmocka_unit_test(of_equal_centres_the_first_is_kept),
    };
    return cmocka_run_group_tests_name("centres", tests, NULL, NULL);
}
