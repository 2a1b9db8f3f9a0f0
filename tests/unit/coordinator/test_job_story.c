#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "coordinator/job_story.h"

#include <stdio.h>
#include <string.h>

#define NOON 1442059200000 /* 2015-09-12T12:00:00Z */

static void refuse(job_story_t *story, int64_t now_ms)
{
    error_t error = ERROR_INIT;
    error_set(&error, ERR_IO, "the disk is full");
    job_story_refused(story, now_ms, STORE_LEDGER, &error);
}

static const char *member(const json_t *list, size_t at, const char *key)
{
    return json_string_value(json_object_get(json_array_get(list, at), key));
}

static void what_befell_a_job_is_told_in_order(void **state)
{
    (void)state;
    job_story_t story = {0};
    job_story_add(&story, NOON, "worker_lost", "worker %s went silent", "w1");
    job_story_add(&story, NOON + 1000, "coordinator_restarted", "again");
    json_t *list = job_story_list(&story);
    assert_int_equal(json_array_size(list), 2);
    assert_string_equal(member(list, 0, "at"), "2015-09-12T12:00:00Z");
    assert_string_equal(member(list, 0, "what"), "worker_lost");
    assert_string_equal(member(list, 0, "words"), "worker w1 went silent");
    assert_null(json_object_get(json_array_get(list, 0), "times"));
    assert_string_equal(member(list, 1, "what"), "coordinator_restarted");
    assert_true(story.dirty);
    json_decref(list);
    job_story_clear(&story);
}

static void the_same_again_is_counted_and_the_oldest_gives_way(void **state)
{
    (void)state;
    job_story_t story = {0};
    job_story_add(&story, NOON, "task_failed", "first");
    job_story_add(&story, NOON + 5, "task_failed", "first");
    for (int i = 0; i < STORY_LIMIT; i++)
        job_story_add(&story, NOON + 10 + i, "task_failed", "task %d", i);
    json_t *list = job_story_list(&story);
    assert_int_equal(json_array_size(list), STORY_LIMIT);
    assert_int_equal(story.left_out, 1);
    assert_string_equal(member(list, 0, "words"), "task 0");
    json_decref(list);
    job_story_clear(&story);

    job_story_add(&story, NOON, "task_failed", "first");
    job_story_add(&story, NOON + 1000, "task_failed", "first");
    list = job_story_list(&story);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(list, 0), "times")), 2);
    assert_string_equal(member(list, 0, "last_at"), "2015-09-12T12:00:01Z");
    json_decref(list);
    job_story_clear(&story);
}

static void a_store_that_fails_is_waited_for_and_told_once_it_answers(void **state)
{
    (void)state;
    job_story_t story = {0};
    char words[400];
    assert_false(job_story_waits(&story, NOON, words, sizeof words));
    refuse(&story, NOON);
    refuse(&story, NOON + 5000);
    assert_true(job_story_waits(&story, NOON + 12000, words, sizeof words));
    assert_string_equal(words, "the ledger has not answered for 12 s: the disk is full");
    assert_int_equal(story.count, 0);
    job_story_taken(&story, NOON + 13000, STORE_LEDGER);
    assert_false(job_story_waits(&story, NOON + 13000, words, sizeof words));
    assert_int_equal(story.count, 1);
    assert_string_equal(story.faults[0].words,
                        "the ledger did not answer for 13 s: the disk is full");
    assert_int_equal(story.faults[0].at_ms, NOON);
    job_story_taken(&story, NOON + 14000, STORE_LEDGER);
    assert_int_equal(story.count, 1);
    job_story_clear(&story);
}

static void a_hiccup_of_a_store_is_not_worth_a_line(void **state)
{
    (void)state;
    job_story_t story = {0};
    refuse(&story, NOON);
    job_story_taken(&story, NOON + 600, STORE_LEDGER);
    assert_int_equal(story.count, 0);
    job_story_clear(&story);
}

static void a_story_is_read_back_as_it_was(void **state)
{
    (void)state;
    job_story_t story = {0};
    job_story_t again = {0};
    job_story_add(&story, NOON, "worker_lost", "w1");
    job_story_add(&story, NOON + 1000, "worker_lost", "w1");
    job_story_add(&story, NOON + 2000, "worker_lost", "w2");
    json_t *report =
        json_pack("{s:o, s:i, s:i, s:i, s:i}", "faults", job_story_list(&story), "faults_left_out",
                  7, "retries", 3, "workers_lost", 2, "late_results", 1);
    job_story_read(&again, report);
    assert_int_equal(again.count, 2);
    assert_int_equal(again.faults[0].times, 2);
    assert_int_equal(again.faults[0].at_ms, NOON);
    assert_int_equal(again.faults[0].last_ms, NOON + 1000);
    assert_string_equal(again.faults[1].words, "w2");
    assert_int_equal(again.left_out, 7);
    assert_int_equal(again.retries, 3);
    assert_int_equal(again.workers_lost, 2);
    assert_int_equal(again.late_results, 1);
    assert_false(again.dirty);
    json_decref(report);
    job_story_clear(&story);
    job_story_clear(&again);
}

static void a_damaged_report_gives_what_can_be_read(void **state)
{
    (void)state;
    job_story_t story = {0};
    json_t *report = json_loads("{\"faults\": [1, {}, {\"what\": \"x\"}, {\"what\": \"x\","
                                " \"words\": \"y\", \"at\": \"soon\", \"times\": -3}],"
                                " \"retries\": \"many\", \"workers_lost\": -1}",
                                0, NULL);
    job_story_read(&story, report);
    assert_int_equal(story.count, 1);
    assert_int_equal(story.faults[0].times, 1);
    assert_int_equal(story.retries, 0);
    assert_int_equal(story.workers_lost, 0);
    job_story_read(&story, NULL);
    json_decref(report);
    job_story_clear(&story);
}

static void long_words_are_cut_between_characters(void **state)
{
    (void)state;
    job_story_t story = {0};
    char words[600];
    for (size_t i = 0; i + 2 < sizeof words; i += 2)
        memcpy(words + i, "\xc3\xa9", 3);
    job_story_add(&story, NOON, "task_failed", "x%s", words);
    json_t *list = job_story_list(&story);
    assert_non_null(member(list, 0, "words")); /* jansson takes UTF-8 only */
    json_decref(list);
    job_story_clear(&story);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_befell_a_job_is_told_in_order),
        cmocka_unit_test(the_same_again_is_counted_and_the_oldest_gives_way),
        cmocka_unit_test(a_store_that_fails_is_waited_for_and_told_once_it_answers),
        cmocka_unit_test(a_hiccup_of_a_store_is_not_worth_a_line),
        cmocka_unit_test(a_story_is_read_back_as_it_was),
        cmocka_unit_test(a_damaged_report_gives_what_can_be_read),
        cmocka_unit_test(long_words_are_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
