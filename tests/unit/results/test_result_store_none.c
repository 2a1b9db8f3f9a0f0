#include "common/clock.h"
#include "proto/store/result_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static result_store_t *open_none(void)
{
    result_store_options_t options = {.kind = "none"};
    char words[RESULT_STORE_WORDS_SIZE];
    result_store_t *store = NULL;
    assert_int_equal(result_store_open(&options, 0, &store, NULL), OK);
    assert_true(store->verbs->keeps_nothing);
    result_store_describe(&options, words);
    assert_string_equal(words, "none");
    return store;
}

static void what_is_written_is_taken_and_gone(void **state)
{
    (void)state;
    result_store_t *store = open_none();
    cluster_row_t cluster = {.cluster_id = "c", .json = "{}", .json_length = 2, .size = 1};
    member_row_t noise = {.source_id = "s", .vector_id = "v"};
    result_job_row_t job = {.job_id = "job", .epoch = 1};
    assert_int_equal(store->verbs->begin_job(store, "job", 1, NULL), OK);
    assert_int_equal(store->verbs->add_cluster(store, &cluster, NULL), OK);
    assert_int_equal(store->verbs->add_noise(store, &noise, 1, NULL), OK);
    assert_int_equal(store->verbs->commit_job(store, &job, NULL), OK);
    assert_int_equal(store->verbs->remove_job(store, "job", NULL), OK);
    store->verbs->rollback_job(store);
    store->verbs->close(&store);
    assert_null(store);
}

static void nothing_is_found(void **state)
{
    (void)state;
    result_store_t *store = open_none();
    char *json = "";
    cluster_query_t query = {.level = -1, .limit = 10};
    cluster_page_t page;
    result_statistics_t statistics;
    error_t error = ERROR_INIT;
    assert_int_equal(store->verbs->cluster(store, "c", NULL, &json, &error), ERR_NOT_FOUND);
    assert_null(json);
    assert_non_null(strstr(error.message, "no cluster c"));
    assert_int_equal(store->verbs->job(store, "job", &json, &error), ERR_NOT_FOUND);
    assert_int_equal(store->verbs->clusters(store, &query, &page, NULL), OK);
    assert_int_equal(page.count, 0);
    cluster_page_clear(&page);
    query.job_id = "job";
    assert_int_equal(store->verbs->clusters(store, &query, &page, &error), ERR_NOT_FOUND);
    assert_int_equal(store->verbs->statistics(store, &statistics, NULL), OK);
    assert_int_equal(statistics.jobs, 0);
    assert_true(statistics.newest_ms[LEVEL_EVENTS] == TIME_NONE);
    assert_int_equal(store->verbs->ping(store, NULL), OK);
    store->verbs->close(&store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_taken_and_gone),
        cmocka_unit_test(nothing_is_found),
    };
    return cmocka_run_group_tests_name("result_store_none", tests, NULL, NULL);
}
