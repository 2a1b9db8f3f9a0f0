#include "naive.h"

#include "worker/tasks/select.h"

static int rising(const void *left, const void *right)
{
    float a = *(const float *)left;
    float b = *(const float *)right;
    return (a > b) - (a < b);
}

static void the_value_of_a_rank_is_that_of_the_sorted_array(void **state)
{
    (void)state;
    uint64_t random = 1;
    float values[300], sorted[300];
    for (int round = 0; round < 20000; round++) {
        size_t count = 1 + fixture_random(&random) % 300;
        uint32_t distinct = 1 + fixture_random(&random) % 400;
        for (size_t i = 0; i < count; i++)
            values[i] = sorted[i] = fixture_random(&random) % distinct
                                        ? (float)(fixture_random(&random) % distinct)
                                        : INFINITY;
        qsort(sorted, count, sizeof *sorted, rising);
        size_t rank = fixture_random(&random) % count;
        assert_true(select_rank(values, count, rank) == sorted[rank]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_value_of_a_rank_is_that_of_the_sorted_array),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
