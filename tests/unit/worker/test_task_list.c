/* What a worker holds, offers and says of it. */
#include "worker/task_list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static task_ref_t ref_of(uint32_t number)
{
    task_ref_t ref = {"job_1", 1, 2, number, 1};
    return ref;
}

static held_task_t *hold(task_list_t *list, uint32_t number)
{
    task_t task = {.ref = ref_of(number), .work = 100};
    return task_list_add(list, &task, NULL);
}

static void offer(task_list_t *list, uint32_t number)
{
    compute_job_t job = {.task = {.ref = ref_of(number), .work = 100}, .length = 5};
    job.payload = malloc(5);
    task_list_offer(list, &job, 1000);
    assert_null(job.payload);
}

static void tasks_are_found_until_they_are_forgotten(void **state)
{
    (void)state;
    task_list_t list = {.held_count = 0};
    input_cache_t *cache = input_cache_new(100);
    task_ref_t second = ref_of(2);
    hold(&list, 1);
    hold(&list, 2)->running = 1;
    assert_ptr_equal(task_list_find(&list, &second), &list.held[1]);
    assert_ptr_equal(task_list_running(&list), &list.held[1]);
    second.attempt = 9;
    assert_null(task_list_find(&list, &second));
    second.attempt = 1;
    list.held[1].forgotten = 1;
    assert_null(task_list_find(&list, &second));
    assert_int_equal(task_list_counted(&list), 1);
    assert_non_null(task_list_running(&list)); /* it still runs */
    task_list_clear(&list, cache);
    input_cache_destroy(&cache);
}

static void the_list_has_an_end(void **state)
{
    (void)state;
    task_list_t list = {.held_count = 0};
    input_cache_t *cache = input_cache_new(100);
    error_t error = ERROR_INIT;
    task_t one_more = {.ref = ref_of(99)};
    for (uint32_t i = 0; i < HELD_LIMIT; i++)
        assert_non_null(hold(&list, i));
    assert_null(task_list_add(&list, &one_more, &error));
    assert_int_equal(error.code, ERR_BUSY);
    task_list_remove(&list, &list.held[0], cache);
    assert_int_equal(list.held[0].job->task.ref.task, 1); /* order is kept */
    task_list_clear(&list, cache);
    input_cache_destroy(&cache);
}

static void removing_a_task_unpins_its_inputs(void **state)
{
    (void)state;
    task_list_t list = {.held_count = 0};
    input_cache_t *cache = input_cache_new(0); /* keeps nothing that is not pinned */
    sha256_t name = sha256_of("x", 1);
    held_task_t *held = hold(&list, 1);
    assert_true(input_cache_add(cache, &name, calloc(1, 10), 10));
    held->job->inputs[0].sha256 = name;
    held->pinned = 1;
    assert_int_equal(input_cache_bytes(cache), 10);
    task_list_remove(&list, held, cache);
    assert_int_equal(input_cache_bytes(cache), 0);
    input_cache_destroy(&cache);
}

static void an_offer_stays_until_it_is_withdrawn(void **state)
{
    (void)state;
    task_list_t list = {.held_count = 0};
    task_ref_t first = ref_of(1);
    offer(&list, 1);
    offer(&list, 2);
    assert_int_equal(list.offers[0].due_ms, 1000);
    task_list_withdraw(&list, &first);
    task_list_withdraw(&list, &first);
    assert_int_equal(list.offer_count, 1);
    assert_int_equal(list.offers[0].ref.task, 2);
    task_list_clear(&list, NULL);
}

static void the_oldest_offer_gives_way_to_the_newest(void **state)
{
    (void)state;
    task_list_t list = {.held_count = 0};
    for (uint32_t i = 0; i <= OFFER_LIMIT; i++)
        offer(&list, i);
    assert_int_equal(list.offer_count, OFFER_LIMIT);
    assert_int_equal(list.offers[0].ref.task, 1);
    assert_int_equal(list.offers[OFFER_LIMIT - 1].ref.task, OFFER_LIMIT);
    task_list_clear(&list, NULL);
}

static void a_heartbeat_names_what_is_held_and_offered(void **state)
{
    (void)state;
    task_list_t list = {.held_count = 0};
    input_cache_t *cache = input_cache_new(100);
    worker_message_t beat = {.kind = MSG_HEARTBEAT};
    atomic_store(&hold(&list, 1)->job->work_done, 40);
    hold(&list, 2)->forgotten = 1;
    offer(&list, 3);
    task_list_progress(&list, &beat);
    assert_int_equal(beat.progress_count, 2);
    assert_int_equal(beat.progress[0].ref.task, 1);
    assert_int_equal(beat.progress[0].work_done, 40);
    assert_int_equal(beat.progress[1].ref.task, 3);
    assert_int_equal(beat.progress[1].work_done, 100);
    task_list_clear(&list, cache);
    input_cache_destroy(&cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tasks_are_found_until_they_are_forgotten),
        cmocka_unit_test(the_list_has_an_end),
        cmocka_unit_test(removing_a_task_unpins_its_inputs),
        cmocka_unit_test(an_offer_stays_until_it_is_withdrawn),
        cmocka_unit_test(the_oldest_offer_gives_way_to_the_newest),
        cmocka_unit_test(a_heartbeat_names_what_is_held_and_offered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
