#include "core_fixture.h"

#include "coordinator/core/task_table.h"

static void the_lowest_free_task_comes_first(void **state)
{
    (void)state;
    task_table_t table;
    task_table_init(&table, 200);
    for (uint32_t expected = 0; expected < 200; expected++) {
        assert_int_equal(task_table_first_free(&table), expected);
        task_table_set(&table, expected, TASK_HELD);
    }
    assert_int_equal(task_table_first_free(&table), TASK_NONE);
    task_table_set(&table, 130, TASK_FREE);
    task_table_set(&table, 7, TASK_FREE);
    assert_int_equal(task_table_first_free(&table), 7);
    task_table_clear(&table);
}

static void counts_follow_every_change(void **state)
{
    (void)state;
    task_table_t table;
    uint32_t seed = 1;
    task_table_init(&table, 100);
    for (int step = 0; step < 5000; step++) {
        seed = seed * 1664525u + 1013904223u;
        task_table_set(&table, (seed >> 8) % 100, (task_status_t)((seed >> 20) % 4));
        uint32_t counts[4] = {0};
        for (uint32_t task = 0; task < 100; task++)
            counts[table.entries[task].status]++;
        assert_int_equal(table.free, counts[TASK_FREE]);
        assert_int_equal(table.done, counts[TASK_DONE]);
        assert_int_equal(task_table_in_flight(&table), counts[TASK_HELD] + counts[TASK_SAVING]);
        uint32_t first = task_table_first_free(&table);
        for (uint32_t task = 0; task < 100 && task < first; task++)
            assert_int_not_equal(table.entries[task].status, TASK_FREE);
        assert_true(first == TASK_NONE || table.entries[first].status == TASK_FREE);
    }
    task_table_clear(&table);
}

static void the_mean_is_unknown_before_the_first_result(void **state)
{
    (void)state;
    task_table_t table;
    task_table_init(&table, 4);
    assert_int_equal(task_table_mean_ms(&table), -1);
    task_table_add_time(&table, 100);
    task_table_add_time(&table, 300);
    assert_int_equal(task_table_mean_ms(&table), 200);
    task_table_clear(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_lowest_free_task_comes_first),
        cmocka_unit_test(counts_follow_every_change),
        cmocka_unit_test(the_mean_is_unknown_before_the_first_result),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
