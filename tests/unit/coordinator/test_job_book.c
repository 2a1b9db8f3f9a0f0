/* Job ids and records. */
#include "coordinator/job_book.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void ids_are_ulids_that_grow_even_when_the_clock_does_not(void **state)
{
    (void)state;
    job_book_t book = {.items = NULL};
    char before[JOB_ID_SIZE] = "";
    for (int i = 0; i < 1000; i++) {
        char id[JOB_ID_SIZE];
        int64_t now_ms = 1750000000000 - 10 * (i % 3); /* stands still, and goes back */
        assert_int_equal(job_book_new_id(&book, now_ms, id, NULL), OK);
        assert_int_equal(strlen(id), 30);
        assert_int_equal(strspn(id + 4, "0123456789ABCDEFGHJKMNPQRSTVWXYZ"), 26);
        assert_true(strcmp(before, id) < 0);
        strcpy(before, id);
    }
    job_book_clear(&book);
}

/* The ULID specification's own example: 1469922850259 ms is written 01ARZ3NDEK. */
static void the_time_is_written_as_a_ulid_writes_it(void **state)
{
    (void)state;
    job_book_t book = {.items = NULL};
    char id[JOB_ID_SIZE];
    assert_int_equal(job_book_new_id(&book, 1469922850259, id, NULL), OK);
    assert_memory_equal(id, "job_01ARZ3NDEK", 14);
    job_book_clear(&book);
}

static void ids_follow_the_newest_job_of_the_ledger(void **state)
{
    (void)state;
    job_book_t book = {.items = NULL};
    char id[JOB_ID_SIZE];
    job_book_add(&book, "job_01ARZ3NDEK0000000000000000")->submitted_ms = 1469922850259;
    assert_int_equal(job_book_new_id(&book, 1000, id, NULL), OK);
    assert_true(strcmp(id, "job_01ARZ3NDEK0000000000000000") > 0);
    job_book_clear(&book);
}

/* ... also when that one has ended, and is in no book. */
static void ids_follow_the_newest_time_that_the_book_is_told(void **state)
{
    (void)state;
    job_book_t book = {.last_id_ms = 1469922850259};
    char id[JOB_ID_SIZE];
    assert_int_equal(job_book_new_id(&book, 1000, id, NULL), OK);
    assert_true(strcmp(id, "job_01ARZ3NDEK") > 0);
    job_book_clear(&book);
}

static void records_are_kept_in_order_and_found(void **state)
{
    (void)state;
    job_book_t book = {.items = NULL};
    char id[JOB_ID_SIZE];
    for (int i = 0; i < 200; i++) {
        snprintf(id, sizeof id, "job_%03d", (i * 37) % 200);
        assert_non_null(job_book_add(&book, id));
    }
    for (int i = 0; i < 200; i++) {
        snprintf(id, sizeof id, "job_%03d", i);
        assert_string_equal(book.items[i]->job_id, id);
        assert_ptr_equal(job_book_find(&book, id), book.items[i]);
    }
    assert_null(job_book_add(&book, "job_007"));
    job_book_remove(&book, job_book_find(&book, "job_007"));
    assert_null(job_book_find(&book, "job_007"));
    assert_int_equal(book.count, 199);
    job_book_clear(&book);
}

static void a_key_is_found_for_as_long_as_its_job_is_there(void **state)
{
    (void)state;
    job_book_t book = {.items = NULL};
    job_record_t *record = job_book_add(&book, "job_1");
    strcpy(record->idempotency_key, "monday");
    job_book_add(&book, "job_2");
    assert_ptr_equal(job_book_find_key(&book, "monday"), record);
    assert_null(job_book_find_key(&book, "tuesday"));
    assert_null(job_book_find_key(&book, "")); /* job_2 has none */
    job_book_remove(&book, record);
    assert_null(job_book_find_key(&book, "monday"));
    job_book_clear(&book);
}

static void phases_are_timed_and_added_up_by_name(void **state)
{
    (void)state;
    job_book_t book = {.items = NULL};
    job_record_t *record = job_book_add(&book, "job_1");
    job_record_phase(record, "planning", 1000);
    job_record_phase(record, "merging", 1500);
    job_record_phase(record, NULL, 1600); /* paused: nobody's time */
    job_record_phase(record, "merging", 5000);
    job_record_phase(record, NULL, 5050);
    job_record_phase(record, NULL, 9000);
    assert_int_equal(record->time_count, 2);
    assert_string_equal(record->times[0].name, "planning");
    assert_int_equal(record->times[0].ms, 500);
    assert_string_equal(record->times[1].name, "merging");
    assert_int_equal(record->times[1].ms, 150);
    assert_string_equal(record->phase, "");
    job_book_clear(&book);
}

static void a_worker_is_listed_once(void **state)
{
    (void)state;
    job_book_t book = {.items = NULL};
    job_record_t *record = job_book_add(&book, "job_1");
    job_record_add_worker(record, "a");
    job_record_add_worker(record, "b");
    job_record_add_worker(record, "a");
    assert_int_equal(record->worker_count, 2);
    job_book_clear(&book);
}

static void a_stage_is_taken_over_with_its_work(void **state)
{
    (void)state;
    job_book_t book = {.items = NULL};
    job_record_t *record = job_book_add(&book, "job_1");
    stage_t stage = {.kind = TASK_KNN, .task_count = 2};
    stage.work = calloc(2, sizeof *stage.work);
    stage.work[0] = 30;
    stage.work[1] = 12;
    assert_int_equal(job_record_set_stage(record, &stage, 4, 77, NULL), OK);
    assert_null(stage.work);
    assert_int_equal(record->work_total, 42);
    assert_int_equal(record->stage_number, 4);
    assert_int_equal(record->progress[1], 0);
    assert_int_equal(job_record_set_stage(record, NULL, 5, 78, NULL), OK);
    assert_int_equal(record->stage.task_count, 0);
    assert_int_equal(record->work_total, 0);
    job_book_clear(&book);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_are_ulids_that_grow_even_when_the_clock_does_not),
        cmocka_unit_test(the_time_is_written_as_a_ulid_writes_it),
        cmocka_unit_test(ids_follow_the_newest_job_of_the_ledger),
        cmocka_unit_test(ids_follow_the_newest_time_that_the_book_is_told),
        cmocka_unit_test(records_are_kept_in_order_and_found),
        cmocka_unit_test(a_key_is_found_for_as_long_as_its_job_is_there),
        cmocka_unit_test(phases_are_timed_and_added_up_by_name),
        cmocka_unit_test(a_worker_is_listed_once),
        cmocka_unit_test(a_stage_is_taken_over_with_its_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
