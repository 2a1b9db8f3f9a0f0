/* What comes in a request, taken apart: queries, filters, projections, request ids, problems. */
#include "gateway/http/query.h"
#include "gateway/http/request_id.h"
#include "gateway/routes/cluster_filter.h"
#include "gateway/routes/problem.h"
#include "gateway/routes/project.h"

#include "common/clock.h"
#include "lib/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* ---- queries ---- */

static void a_query_is_decoded(void **state)
{
    (void)state;
    query_t query;
    assert_int_equal(query_parse("a=1&text=G%37+%C3%A9&&empty=&bare", &query, NULL), OK);
    assert_int_equal(query.count, 4);
    assert_string_equal(query_get(&query, "a"), "1");
    assert_string_equal(query_get(&query, "text"), "G7 \xc3\xa9");
    assert_string_equal(query_get(&query, "empty"), "");
    assert_string_equal(query_get(&query, "bare"), "");
    assert_null(query_get(&query, "b"));
    assert_int_equal(query_parse("", &query, NULL), OK);
    assert_int_equal(query.count, 0);
}

static void a_broken_query_is_refused(void **state)
{
    (void)state;
    static const char *const BROKEN[] = {"a=%",   "a=%4",     "a=%zz",   "a=%00",    "%ff=1",
                                         "a=%ff", "a=%c3%28", "a=1&a=2", "a=1&%61=2"};
    for (size_t i = 0; i < sizeof BROKEN / sizeof BROKEN[0]; i++) {
        query_t query;
        error_t error = ERROR_INIT;
        if (query_parse(BROKEN[i], &query, &error) != ERR_USAGE || !error.message[0])
            fail_msg("%s was read", BROKEN[i]);
    }
}

static void a_query_of_any_length_is_bounded(void **state)
{
    (void)state;
    query_t query;
    char raw[8192];
    memset(raw, '&', sizeof raw);
    raw[sizeof raw - 1] = '\0';
    assert_int_equal(query_parse(raw, &query, NULL), ERR_TOO_LARGE);
    size_t used = 0;
    for (int i = 0; i < QUERY_LIMIT + 1; i++)
        used += (size_t)snprintf(raw + used, sizeof raw - used, "p%d=1&", i);
    assert_int_equal(query_parse(raw, &query, NULL), ERR_TOO_LARGE);
    random_t random = {3};
    for (int round = 0; round < 20000; round++) {
        static const char ALPHABET[] = "ab=&%+012f\xc3\xa9";
        size_t length = random_below(&random, 60);
        char *exact = malloc(length + 1);
        for (size_t i = 0; i < length; i++)
            exact[i] = ALPHABET[random_below(&random, sizeof ALPHABET - 1)];
        exact[length] = '\0';
        if (query_parse(exact, &query, NULL) == OK)
            for (size_t i = 0; i < query.count; i++)
                assert_true(is_utf8(query.entries[i].value));
        free(exact);
    }
}

/* ---- filters ---- */

static int filter_url(const char *raw, cluster_filter_t *filter, error_t *error)
{
    query_t query; /* what the filter keeps does not point into it */
    assert_int_equal(query_parse(raw, &query, NULL), OK);
    return cluster_filter_from_query(&query, filter, error);
}

static void a_url_and_a_body_ask_for_the_same(void **state)
{
    (void)state;
    const char *json =
        "{\"job_id\":\"j1\",\"event_type\":\"contact_meet\",\"domain\":\"diplomatic\","
        "\"document_id\":\"d\",\"member_id\":\"m\",\"entity\":\"G7\",\"text\":\"summit\","
        "\"size_min\":2,\"size_max\":9,\"from\":\"2015-09-01\",\"to\":\"2015-09-02\","
        "\"limit\":7,\"cursor\":\"c\",\"include\":\"members,centroid\"}";
    cluster_filter_t a, b;
    assert_int_equal(cluster_filter_from_json(json, strlen(json), &a, NULL), OK);
    assert_int_equal(
        filter_url("job_id=j1&event_type=contact_meet&domain=diplomatic&document_id=d&member_id=m&"
                   "entity=G7&text=summit&size_min=2&size_max=9&from=2015-09-01&to=2015-09-02&"
                   "limit=7&cursor=c&include=members,centroid",
                   &b, NULL),
        OK);
    const cluster_filter_t *both[] = {&a, &b};
    for (int i = 0; i < 2; i++) {
        const cluster_query_t *query = &both[i]->query;
        assert_string_equal(query->job_id, "j1");
        assert_int_equal(query->level, LEVEL_EVENTS);
        assert_string_equal(query->type, "contact_meet");
        assert_string_equal(query->domain, "diplomatic_relations");
        assert_string_equal(query->document_id, "d");
        assert_string_equal(query->member_id, "m");
        assert_string_equal(query->entity, "G7");
        assert_string_equal(query->text, "summit");
        assert_int_equal(query->size_min, 2);
        assert_int_equal(query->size_max, 9);
        assert_int_equal(query->time_to_ms - query->time_from_ms, 2 * 86400000 - 1);
        assert_int_equal(query->limit, 7);
        assert_string_equal(query->cursor, "c");
        assert_true(both[i]->with_centroid && both[i]->with_members);
    }
    cluster_filter_clear(&a);
    cluster_filter_clear(&b);
}

static void no_filter_is_the_first_page_of_everything(void **state)
{
    (void)state;
    cluster_filter_t filter;
    assert_int_equal(cluster_filter_from_json("{}", 2, &filter, NULL), OK);
    assert_int_equal(filter.query.level, -1);
    assert_int_equal(filter.query.limit, CLUSTER_LIMIT_DEFAULT);
    assert_true(filter.query.time_from_ms == TIME_NONE && filter.query.time_to_ms == TIME_NONE);
    assert_null(filter.query.domain);
    assert_false(filter.with_centroid || filter.with_members);
    cluster_filter_clear(&filter);
}

static void a_wrong_filter_names_its_field(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        const char *field;
        const char *says;
    } ROWS[] = {
        {"{\"sise_min\":1}", "sise_min", "\"size_min\"?"},
        {"{\"limit\":0}", "limit", "from 1 to 1000"},
        {"{\"limit\":1001}", "limit", "from 1 to 1000"},
        {"{\"limit\":\"5\"}", "limit", "\"5\""},
        {"{\"size_min\":1.5}", "size_min", "1.5"},
        {"{\"size_min\":5,\"size_max\":4}", "size_max", "below size_min, 5"},
        {"{\"from\":\"x\"}", "from", "2015-09-12"},
        {"{\"from\":\"2015-09-02\",\"to\":\"2015-09-01\"}", "to", "before"},
        {"{\"embedding_type\":\"x\"}", "embedding_type", "storylines"},
        {"{\"embedding_type\":\"entities\",\"event_type\":\"x\"}", "event_type", "only events"},
        {"{\"event_type\":\"a\",\"entity_type\":\"b\"}", "event_type", "together"},
        {"{\"text\":\"\"}", "text", "1 to 256"},
        {"{\"text\":7}", "text", "is 7"},
        {"{\"include\":\"everything\"}", "include", "\"members\""},
        {"{\"include\":[]}", "include", "\"members\""},
        {"{\"domain\":null}", "domain", "null"},
        {"[1]", "", "object"},
        {"", "", "empty"},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++) {
        cluster_filter_t filter;
        error_t error = ERROR_INIT;
        int code = cluster_filter_from_json(ROWS[i].json, strlen(ROWS[i].json), &filter, &error);
        if (code != ERR_USAGE || strcmp(error.field, ROWS[i].field) != 0 ||
            !strstr(error.message, ROWS[i].says))
            fail_msg("%s: %d \"%s\" \"%s\"", ROWS[i].json, code, error.field, error.message);
        cluster_filter_clear(&filter);
    }
}

static void numbers_in_a_url_are_whole_and_small(void **state)
{
    (void)state;
    static const char *const WRONG[] = {
        "limit=",    "limit=-1", "limit=1e2", "limit=0x10", "limit=99999999999999999999",
        "size_min=0"};
    for (size_t i = 0; i < sizeof WRONG / sizeof WRONG[0]; i++) {
        cluster_filter_t filter;
        error_t error = ERROR_INIT;
        if (filter_url(WRONG[i], &filter, &error) != ERR_USAGE)
            fail_msg("%s was read", WRONG[i]);
        cluster_filter_clear(&filter);
    }
}

/* ---- projections ---- */

static char *without(const char *json, const char *const *names, size_t count, int *sound)
{
    char *text = NULL;
    size_t length;
    FILE *stream = open_memstream(&text, &length);
    *sound = project_without(stream, json, names, count);
    fclose(stream);
    return text;
}

static void members_are_left_out_and_the_rest_keeps_its_bytes(void **state)
{
    (void)state;
    static const char *const NAMES[] = {"centroid_vector", "members"};
    static const struct {
        const char *json, *rest;
    } ROWS[] = {
        {"{}", "{}"},
        {"{\"a\":1}", "{\"a\":1}"},
        {"{\"members\":[]}", "{}"},
        {"{\"a\":0.10000000149011612,\"centroid_vector\":[1,2],\"b\":\"x\"}",
         "{\"a\":0.10000000149011612,\"b\":\"x\"}"},
        {"{\"centroid_vector\":[1],\"m\":{\"members\":[{\"a\":\"}]\\\"\"}]},\"members\":[{}]}",
         "{\"m\":{\"members\":[{\"a\":\"}]\\\"\"}]}}"},
        {" { \"a\" : [ 1 , 2 ] , \"members\" : 3 } ", "{\"a\" : [ 1 , 2 ] }"},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++) {
        int sound;
        char *text = without(ROWS[i].json, NAMES, 2, &sound);
        assert_true(sound);
        if (strncmp(text, ROWS[i].rest, strlen(ROWS[i].rest) - 1) != 0)
            fail_msg("%s became %s", ROWS[i].json, text);
        json_t *parsed = json_loads(text, 0, NULL);
        assert_non_null(parsed);
        json_decref(parsed);
        free(text);
    }
}

static void no_projection_of_rubbish_reads_too_far(void **state)
{
    (void)state;
    static const char ALPHABET[] = "{}[]\",:\\a 1";
    static const char *const NAMES[] = {"a"};
    random_t random = {5};
    int sound, sounds = 0;
    for (int round = 0; round < 50000; round++) {
        size_t length = random_below(&random, 24);
        char *exact = malloc(length + 1);
        for (size_t i = 0; i < length; i++)
            exact[i] = i ? ALPHABET[random_below(&random, sizeof ALPHABET - 1)] : '{';
        exact[length] = '\0';
        free(without(exact, NAMES, 1, &sound));
        sounds += sound;
        free(exact);
    }
    assert_true(sounds > 0);
    free(without("[]", NAMES, 1, &sound));
    assert_false(sound);
}

/* ---- request ids and problems ---- */

static void a_request_id_is_kept_when_harmless(void **state)
{
    (void)state;
    char id[REQUEST_ID_SIZE], other[REQUEST_ID_SIZE];
    request_id_make("Trace-1.b_2", id);
    assert_string_equal(id, "Trace-1.b_2");
    request_id_make("evil\r\nSet-Cookie: x", id);
    assert_int_equal(strlen(id), 32);
    request_id_make("", other);
    assert_string_not_equal(id, other);
    char longest[100];
    memset(longest, 'a', sizeof longest - 1);
    longest[99] = '\0';
    request_id_make(longest, id);
    assert_int_equal(strlen(id), 32);
}

static json_t *problem_of(int code, const char *field, const char *message)
{
    http_response_t response;
    error_t error = ERROR_INIT;
    memset(&response, 0, sizeof response);
    error_field(&error, code, field, "%s", message);
    problem_respond(&response, "/x", 0, &error);
    json_t *body = json_loadb(response.body, response.body_length, 0, NULL);
    assert_non_null(body);
    assert_string_equal(response.content_type, "application/problem+json");
    assert_int_equal(response.status, error_http_status(code));
    assert_int_equal(json_integer_value(json_object_get(body, "status")), response.status);
    http_response_clear(&response);
    return body;
}

static void a_problem_names_the_field(void **state)
{
    (void)state;
    json_t *body = problem_of(ERR_USAGE, "params.k", "k is \"x\"");
    assert_string_equal(json_string_value(json_object_get(body, "type")),
                        "urn:stage4:problem:invalid-request");
    assert_string_equal(json_string_value(json_object_get(body, "field")), "params.k");
    assert_string_equal(json_string_value(json_object_get(body, "detail")), "k is \"x\"");
    assert_string_equal(json_string_value(json_object_get(body, "instance")), "/x");
    json_decref(body);
}

static void a_problem_keeps_paths_to_itself(void **state)
{
    (void)state;
    static const int HIDDEN[] = {ERR_INTERNAL, ERR_IO, ERR_MEMORY, ERR_SHAPE, ERR_PROTOCOL};
    for (size_t i = 0; i < sizeof HIDDEN / sizeof HIDDEN[0]; i++) {
        json_t *body = problem_of(HIDDEN[i], "", "/var/lib/stage4/stage4.db: disk full");
        assert_null(strstr(json_string_value(json_object_get(body, "detail")), "/var"));
        json_decref(body);
    }
}

static void a_problem_is_valid_utf8_whatever_was_quoted(void **state)
{
    (void)state;
    json_t *body = problem_of(ERR_USAGE, "", "cut in a character: \xc3");
    assert_string_equal(json_string_value(json_object_get(body, "detail")),
                        "cut in a character: ?");
    json_decref(body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_query_is_decoded),
        cmocka_unit_test(a_broken_query_is_refused),
        cmocka_unit_test(a_query_of_any_length_is_bounded),
        cmocka_unit_test(a_url_and_a_body_ask_for_the_same),
        cmocka_unit_test(no_filter_is_the_first_page_of_everything),
        cmocka_unit_test(a_wrong_filter_names_its_field),
        cmocka_unit_test(numbers_in_a_url_are_whole_and_small),
        cmocka_unit_test(members_are_left_out_and_the_rest_keeps_its_bytes),
        cmocka_unit_test(no_projection_of_rubbish_reads_too_far),
        cmocka_unit_test(a_request_id_is_kept_when_harmless),
        cmocka_unit_test(a_problem_names_the_field),
        cmocka_unit_test(a_problem_keeps_paths_to_itself),
        cmocka_unit_test(a_problem_is_valid_utf8_whatever_was_quoted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
