/* From options to a job, and from a gateway's problems to errors. */
#include "cli/job_options.h"
#include "cli/problem.h"

#include "common/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

/* Options are separated by '|', as values may have spaces. */
static int read_options(const char *line, job_spec_t *spec, error_t *error)
{
    char copy[1024];
    char *argv[32];
    int argc = 0;
    config_t *config = NULL;
    snprintf(copy, sizeof copy, "%s", line);
    for (char *word = strtok(copy, "|"); word && argc < 32; word = strtok(NULL, "|"))
        argv[argc++] = word;
    *error = (error_t)ERROR_INIT;
    assert_int_equal(config_load(CONFIG_SUBMIT, argc, argv, &config, error), OK);
    int code = job_options_read(config, spec, error);
    config_destroy(&config);
    return code;
}

static void every_option_reaches_its_field(void **state)
{
    (void)state;
    job_spec_t spec;
    error_t error;
    assert_int_equal(
        read_options("--embedding-type|event|--algorithm|hdbscan|--metric|euclidean|"
                     "--partition-by|domain,event_type|--window-days|7|--date-from|2015-09-01|"
                     "--date-to|2015-09-30|--as-of|2015-10-01|--include-metadata|--dimension|64|"
                     "--max-bad-fraction|0.25|--param|min_cluster_size=3|--param|min_samples=2|"
                     "--param|cluster_selection_method=leaf",
                     &spec, &error),
        OK);
    assert_int_equal(spec.level, LEVEL_EVENTS);
    assert_int_equal(spec.metric, METRIC_EUCLIDEAN);
    assert_int_equal(spec.partition_by, PARTITION_DOMAIN | PARTITION_EVENT_TYPE);
    assert_int_equal(spec.window_days, 7);
    assert_true(spec.date_from_ms == INT64_C(1441065600000));
    assert_true(spec.date_to_ms > spec.date_from_ms);
    assert_true(spec.as_of_ms == INT64_C(1443657600000));
    assert_true(spec.include_metadata);
    assert_int_equal(spec.dimension, 64);
    assert_true(spec.max_bad_fraction == 0.25);
    assert_int_equal(spec.min_cluster_size, 3);
    assert_int_equal(spec.min_samples, 2);
    assert_int_equal(spec.selection, SELECTION_LEAF);
    job_spec_clear(&spec);
}

static void what_is_not_given_keeps_the_jobs_own_defaults(void **state)
{
    (void)state;
    job_spec_t spec, plain;
    error_t error;
    char *given = NULL, *wanted = NULL;
    assert_int_equal(read_options("--embedding-type|documents", &spec, &error), OK);
    job_spec_init(&plain);
    assert_int_equal(job_spec_to_json(&spec, &given, &error), OK);
    assert_int_equal(job_spec_to_json(&plain, &wanted, &error), OK);
    assert_string_equal(given, wanted);
    free(given);
    free(wanted);
    job_spec_clear(&plain);
    job_spec_clear(&spec);
}

static void a_filter_value_is_a_scalar_when_it_reads_as_one_else_a_text(void **state)
{
    (void)state;
    job_spec_t spec;
    error_t error;
    assert_int_equal(read_options("--embedding-type|events|--filter|domain=general_news|--filter|"
                                  "argument_count=4|--filter|a=\"17\"|--filter|b=x=y|--filter|c=",
                                  &spec, &error),
                     OK);
    static const char *const WANTED[][2] = {{"a", "\"17\""},
                                            {"argument_count", "4"},
                                            {"b", "\"x=y\""},
                                            {"c", "\"\""},
                                            {"domain", "\"general_news\""}};
    assert_int_equal(spec.filter_count, 5);
    for (size_t i = 0; i < 5; i++) {
        size_t found = 0;
        for (size_t j = 0; j < 5; j++)
            found += !strcmp(spec.filter[j].key, WANTED[i][0]) &&
                     !strcmp(spec.filter[j].value, WANTED[i][1]);
        assert_int_equal(found, 1);
    }
    job_spec_clear(&spec);
}

static void what_is_wrong_is_refused_with_its_field(void **state)
{
    static const char *const ROWS[][2] = {
        {"--metric|cosine", "embedding_type"},
        {"--embedding-type|sentences", "embedding_type"},
        {"--embedding-type|events|--algorithm|dbscan", "algorithm"},
        {"--embedding-type|events|--param|min_cluster_sise=3", "params.min_cluster_sise"},
        {"--embedding-type|events|--param|min_cluster_size=1", "params.min_cluster_size"},
        {"--embedding-type|events|--param|min_cluster_size", "param"},
        {"--embedding-type|events|--param|=3", "param"},
        {"--embedding-type|events|--param|min_samples=3|--param|min_samples=4", "param"},
        {"--embedding-type|events|--param|k=3", "params.k"},
        {"--embedding-type|events|--algorithm|kmeans", "params.k"},
        {"--embedding-type|events|--filter|domain", "filter"},
        {"--embedding-type|events|--filter|a=1|--filter|a=2", "filter"},
        {"--embedding-type|entities|--partition-by|domain", "partition_by"},
        {"--embedding-type|events|--date-from|yesterday", "date_from"},
        {"--embedding-type|events|--max-bad-fraction|2", "max_bad_fraction"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        job_spec_t spec;
        error_t error;
        if (read_options(ROWS[i][0], &spec, &error) != ERR_USAGE)
            fail_msg("taken: %s", ROWS[i][0]);
        assert_string_equal(error.field, ROWS[i][1]);
        assert_true(error.message[0]);
        job_spec_clear(&spec);
    }
}

static void a_problem_becomes_the_error_that_it_was(void **state)
{
    static const struct {
        long status;
        const char *body;
        int code;
        const char *field, *message;
    } ROWS[] = {
        {400, "{\"title\":\"invalid request\",\"detail\":\"k is 0\",\"field\":\"params.k\"}",
         ERR_USAGE, "params.k", "k is 0"},
        {404, "{\"title\":\"not found\",\"detail\":\"no such job\"}", ERR_NOT_FOUND, "",
         "no such job"},
        {409, "{\"title\":\"conflict\",\"detail\":\"it is done\"}", ERR_CONFLICT, "", "it is done"},
        {409, "{\"title\":\"cancelled\"}", ERR_CANCELLED, "", "cancelled"},
        {429, "{\"title\":\"too many requests\",\"detail\":\"later\"}", ERR_BUSY, "", "later"},
        {503, "{\"title\":\"unavailable\",\"detail\":\"down\"}", ERR_UNAVAILABLE, "", "down"},
        {405, "{\"title\":\"method not allowed\",\"detail\":\"GET only\"}", ERR_USAGE, "",
         "GET only"},
        {599, "{\"title\":\"strange\"}", ERR_INTERNAL, "", "strange"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        error_t error = ERROR_INIT;
        assert_int_equal(
            problem_read(ROWS[i].status, ROWS[i].body, strlen(ROWS[i].body), "http://x", &error),
            ROWS[i].code);
        assert_string_equal(error.field, ROWS[i].field);
        assert_string_equal(error.message, ROWS[i].message);
    }
}

static void an_answer_that_explains_nothing_is_no_gateways(void **state)
{
    static const char *const BODIES[] = {"", "<html>", "[1]", "{\"error\":\"x\"}", "{\"title\":7}"};
    (void)state;
    for (size_t i = 0; i < sizeof BODIES / sizeof *BODIES; i++) {
        error_t error = ERROR_INIT;
        assert_int_equal(problem_read(502, BODIES[i], strlen(BODIES[i]), "http://x", &error),
                         ERR_PROTOCOL);
        assert_non_null(strstr(error.message, "502"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_option_reaches_its_field),
        cmocka_unit_test(what_is_not_given_keeps_the_jobs_own_defaults),
        cmocka_unit_test(a_filter_value_is_a_scalar_when_it_reads_as_one_else_a_text),
        cmocka_unit_test(what_is_wrong_is_refused_with_its_field),
        cmocka_unit_test(a_problem_becomes_the_error_that_it_was),
        cmocka_unit_test(an_answer_that_explains_nothing_is_no_gateways),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
