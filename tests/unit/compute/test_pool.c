#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "worker/compute/pool.h"

#include <stdatomic.h>
#include <string.h>

typedef struct {
    atomic_int seen[1000];
    atomic_int threads[8];
    atomic_int waiting;
} count_t;

static void count_item(void *context, size_t item, uint32_t thread)
{
    count_t *count = context;
    atomic_fetch_add(&count->seen[item], 1);
    atomic_fetch_add(&count->threads[thread], 1);
}

static void every_item_runs_once(void **state)
{
    (void)state;
    for (uint32_t threads = 1; threads <= 8; threads++) {
        pool_t *pool;
        assert_int_equal(pool_new(threads, &pool, NULL), OK);
        assert_int_equal(pool_threads(pool), threads);
        for (size_t items = 0; items < 1000; items = items * 3 + 1) {
            count_t count = {0};
            pool_run(pool, items, count_item, &count);
            for (size_t i = 0; i < 1000; i++)
                assert_int_equal(atomic_load(&count.seen[i]), i < items);
        }
        pool_destroy(&pool);
        assert_null(pool);
    }
}

/* Each item waits for the other: one thread alone would never return. */
static void meet(void *context, size_t item, uint32_t thread)
{
    count_t *count = context;
    (void)item;
    (void)thread;
    atomic_fetch_add(&count->waiting, 1);
    while (atomic_load(&count->waiting) < 2)
        ;
}

static void threads_work_at_the_same_time(void **state)
{
    (void)state;
    pool_t *pool;
    count_t count = {0};
    assert_int_equal(pool_new(2, &pool, NULL), OK);
    pool_run(pool, 2, meet, &count);
    assert_int_equal(atomic_load(&count.waiting), 2);
    pool_destroy(&pool);
}

static void an_impossible_number_of_threads_is_refused(void **state)
{
    (void)state;
    pool_t *pool;
    error_t error = ERROR_INIT;
    assert_int_equal(pool_new(0, &pool, &error), ERR_USAGE);
    assert_string_equal(error.field, "threads");
    assert_int_equal(pool_new(POOL_THREAD_LIMIT + 1, &pool, &error), ERR_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_item_runs_once),
        cmocka_unit_test(threads_work_at_the_same_time),
        cmocka_unit_test(an_impossible_number_of_threads_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
