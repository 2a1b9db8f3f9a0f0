#include "coordinator/plan/task_cutter.h"
#include "tests/lib/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

static stage_t finish(task_cutter_t *cutter, uint64_t *work)
{
    uint8_t *bytes = NULL;
    size_t length;
    uint32_t tasks;
    stage_t stage;
    assert_int_equal(task_cutter_finish(cutter, &bytes, &length, &tasks, work, NULL), OK);
    assert_int_equal(stage_decode(bytes, length, &stage, NULL), OK);
    assert_int_equal(stage.task_count, tasks);
    free(bytes);
    return stage;
}

static void every_unit_is_in_one_segment_and_in_order(void **state)
{
    (void)state;
    random_t random = {6};
    for (int round = 0; round < 200; round++) {
        task_cutter_t cutter;
        uint32_t sizes[20], partitions = 1 + random_below(&random, 20), begin = 0, next = 0;
        uint64_t work;
        task_cutter_init(&cutter, TASK_KNN, 5000, 1 + random_below(&random, 40));
        for (uint32_t p = 0; p < partitions; p++) {
            sizes[p] =
                random_below(&random, 4) ? random_below(&random, 30) : random_below(&random, 700);
            task_cutter_add(&cutter, p, begin, begin + sizes[p], (uint64_t)sizes[p] * sizes[p]);
            begin += sizes[p];
        }
        if (begin == 0) {
            task_cutter_clear(&cutter);
            continue;
        }
        stage_t stage = finish(&cutter, &work);
        for (uint32_t s = 0; s < stage.segment_begin[stage.task_count]; s++) {
            assert_int_equal(stage.segments[s].begin, next);
            assert_true(stage.segments[s].end > next);
            next = stage.segments[s].end;
        }
        assert_int_equal(next, begin);
        stage_clear(&stage);
    }
}

static void large_partitions_are_cut_and_small_ones_share(void **state)
{
    (void)state;
    task_cutter_t cutter;
    uint64_t work;
    task_cutter_init(&cutter, TASK_KNN, 1000000, 16);
    task_cutter_add(&cutter, 0, 0, 10000, 100000000); /* a hundred times the quantum */
    for (uint32_t p = 1; p <= 50; p++)
        task_cutter_add(&cutter, p, 10000 + p * 100, 10000 + p * 100 + 100, 10000);
    stage_t stage = finish(&cutter, &work);
    assert_in_range(stage.task_count, 100, 103);
    for (uint32_t t = 0; t < stage.task_count; t++)
        assert_true(stage.work[t] <= 1000000);
    assert_true(work > 99000000 && work <= 100500000);
    stage_clear(&stage);
}

static void a_segment_is_not_cut_below_its_least(void **state)
{
    (void)state;
    task_cutter_t cutter;
    uint64_t work;
    task_cutter_init(&cutter, TASK_KNN, 10, 256);
    task_cutter_add(&cutter, 0, 0, 1000, UINT64_MAX / 4);
    stage_t stage = finish(&cutter, &work);
    assert_int_equal(stage.task_count, 3);
    stage_clear(&stage);
}

static void a_stage_without_tasks_is_an_error(void **state)
{
    (void)state;
    task_cutter_t cutter;
    uint8_t *bytes = NULL;
    size_t length;
    uint32_t tasks;
    uint64_t work;
    task_cutter_init(&cutter, TASK_KNN, 10, 256);
    task_cutter_add(&cutter, 0, 5, 5, 100);
    assert_int_equal(task_cutter_finish(&cutter, &bytes, &length, &tasks, &work, NULL),
                     ERR_INTERNAL);
    assert_null(bytes);
}

static void even_tasks_come_in_twelves_unless_they_would_be_small(void **state)
{
    (void)state;
    random_t random = {9};
    for (int round = 0; round < 500; round++) {
        uint32_t units = 1 + random_below(&random, round % 2 ? 5000 : 2000000);
        uint32_t least = 1 + random_below(&random, 3000),
                 most = 2 * least + random_below(&random, 9000);
        task_cutter_t cutter;
        uint64_t work;
        task_cutter_init(&cutter, TASK_ENCODE, task_cutter_even(units, most, least), 1);
        task_cutter_add(&cutter, 0, 0, units, units);
        stage_t stage = finish(&cutter, &work);
        uint32_t tasks = stage.task_count;
        for (uint32_t t = 0; t < tasks; t++)
            assert_true(stage.work[t] <= most && (tasks == 1 || stage.work[t] >= least));
        assert_true(tasks % 12 == 0 || units / (tasks + 1) < least);
        stage_clear(&stage);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(even_tasks_come_in_twelves_unless_they_would_be_small),
        cmocka_unit_test(every_unit_is_in_one_segment_and_in_order),
        cmocka_unit_test(large_partitions_are_cut_and_small_ones_share),
        cmocka_unit_test(a_segment_is_not_cut_below_its_least),
        cmocka_unit_test(a_stage_without_tasks_is_an_error),
    };
    return cmocka_run_group_tests_name("task_cutter", tests, NULL, NULL);
}
