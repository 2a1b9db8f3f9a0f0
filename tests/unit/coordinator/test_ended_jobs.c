/* A real coordinator whose jobs have ended: it does not grow with them. */
#include "server_fixture.h"

static void wait_for_metric(server_t *self, const char *line)
{
    int64_t until_ms = clock_monotonic_ms() + PATIENCE_MS;
    for (int found = 0; !found;) {
        json_t *text;
        assert_int_equal(ask(self, VERB_METRICS, "", NULL, "", &text), OK);
        found = strstr(json_string_value(text), line) != NULL;
        json_decref(text);
        assert_true(clock_monotonic_ms() < until_ms);
    }
}

static void expect_listed(server_t *self, const char *query, size_t count, json_int_t total)
{
    json_t *list;
    assert_int_equal(ask(self, VERB_LIST, "", query, "", &list), OK);
    assert_int_equal(json_array_size(json_object_get(list, "jobs")), count);
    assert_int_equal(json_integer_value(json_object_get(list, "total")), total);
    json_decref(list);
}

/* They are in the ledger, and answer from there: by id, by key, in lists, and when they are wanted
 * again. */
static void jobs_that_have_ended_are_not_kept_in_memory(void **state)
{
    server_t *server = *state;
    char first[JOB_ID_SIZE] = "";
    char job_id[JOB_ID_SIZE];
    char key[32];
    json_t *json;
    for (int i = 0; i < 200; i++) {
        snprintf(key, sizeof key, "key-%d", i);
        submit_with_key(server, key, job_id);
        if (!i)
            strcpy(first, job_id);
        assert_int_equal(ask(server, VERB_CANCEL, job_id, NULL, "", &json), OK);
        json_decref(json);
        json_decref(wait_for_state(server, job_id, "cancelled"));
    }
    wait_for_metric(server, "\nclustering_jobs_in_memory 0\n");
    wait_for_metric(server, "\nclustering_jobs{state=\"cancelled\"} 200\n");
    submit_with_key(server, "key-0", job_id);
    assert_string_equal(job_id, first);
    assert_int_equal(
        ask(server, VERB_SUBMIT, "", "{\"embedding_type\":\"storylines\"}", "key-0", &json),
        ERR_CONFLICT);
    expect_listed(server, "{\"state\":\"cancelled\",\"limit\":3}", 3, 200);
    expect_listed(server, "{\"limit\":1000}", 200, 200);
    expect_listed(server, "{\"state\":\"queued\"}", 0, 0);
    assert_int_equal(ask(server, VERB_PAUSE, first, NULL, "", &json), ERR_CONFLICT);
    assert_int_equal(ask(server, VERB_RETRY, first, NULL, "", &json), OK);
    assert_string_equal(json_string_value(json_object_get(json, "job_id")), first);
    json_decref(json);
    json_decref(wait_for_state(server, first, "running"));
    wait_for_metric(server, "\nclustering_jobs_in_memory 1\n");
    wait_for_metric(server, "\nclustering_jobs{state=\"cancelled\"} 199\n");
    expect_listed(server, "{\"limit\":1000}", 200, 200);
    assert_int_equal(ask(server, VERB_RETRY, "job_00000000000000000000000000", NULL, "", &json),
                     ERR_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(jobs_that_have_ended_are_not_kept_in_memory, start, finish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
