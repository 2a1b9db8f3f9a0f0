/* A job's specification: what is read, what is refused and how, and that equal jobs have equal
 * bytes. */
#include "proto/job_spec.h"

#include "common/clock.h"
#include "lib/random.h"
#include "proto/nearest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static int decode(const char *json, job_spec_t *spec, error_t *error)
{
    return job_spec_from_json(json, strlen(json), spec, error);
}

static char *canonical(const char *json)
{
    job_spec_t spec;
    error_t error = ERROR_INIT;
    char *out = NULL;
    if (decode(json, &spec, &error) != OK)
        fail_msg("%s: %s", json, error.message);
    assert_int_equal(job_spec_to_json(&spec, &out, &error), OK);
    job_spec_clear(&spec);
    return out;
}

static void the_smallest_job_has_the_documented_defaults(void **state)
{
    (void)state;
    char *json = canonical("{\"embedding_type\":\"events\"}");
    assert_string_equal(
        json, "{\"algorithm\":\"hdbscan\",\"as_of\":null,\"date_from\":null,\"date_to\":null,"
              "\"dimension\":768,\"embedding_type\":\"events\",\"filter\":{},"
              "\"include_metadata\":false,\"max_bad_fraction\":0.01,\"metric\":\"cosine\","
              "\"params\":{\"allow_single_cluster\":false,\"cluster_selection_epsilon\":0,"
              "\"cluster_selection_method\":\"eom\",\"decay\":\"none\","
              "\"decay_days\":null,\"max_cluster_size\":0,\"min_cluster_size\":5,"
              "\"min_samples\":5,\"mode\":\"exact\",\"target_recall\":0.95},\"partition_by\":[],"
              "\"priority\":5,\"quality\":[],\"retention_days\":null,"
              "\"window_days\":null}");
    free(json);
}

static void every_field_is_read_and_written_back(void **state)
{
    (void)state;
    const char *full =
        "{\"algorithm\":\"kmeans\",\"as_of\":\"2025-12-24T10:00:00Z\","
        "\"date_from\":\"2015-09-01T00:00:00Z\",\"date_to\":\"2015-09-30T23:59:59.999Z\","
        "\"dimension\":32,\"embedding_type\":\"events\",\"filter\":{\"a\":null,\"b\":\"x\\\"y\","
        "\"c\":1.5,\"d\":true},\"include_metadata\":true,\"max_bad_fraction\":0.25,"
        "\"metric\":\"euclidean\",\"params\":{\"init\":\"random\",\"k\":7,"
        "\"max_iterations\":3,\"n_init\":4,\"seed\":9007199254740991,\"tolerance\":1e-05},"
        "\"partition_by\":[\"domain\",\"event_type\"],\"priority\":9,\"quality\":[\"silhouette\"],"
        "\"retention_days\":30,"
        "\"window_days\":0}";
    char *json = canonical(full);
    assert_string_equal(json, full);
    free(json);
}

static void agglomerative_is_cut_at_one_place(void **state)
{
    (void)state;
    static const struct {
        const char *params;
        const char *says; /* NULL: taken */
    } ROWS[] = {
        {"{\"distance_threshold\":0}", NULL},
        {"{\"n_clusters\":1,\"linkage\":\"ward\"}", NULL},
        {"{\"distance_threshold\":null,\"n_clusters\":3}", NULL},
        {"{}", "none of params.distance_threshold and params.n_clusters is given"},
        {"{\"n_clusters\":0,\"distance_threshold\":null}", "none of"},
        {"{\"n_clusters\":2,\"distance_threshold\":0.5}", "both of"},
        {"{\"distance_threshold\":-0.5}", "a number from 0 to 1e+09"},
        {"{\"distance_threshold\":1,\"linkage\":\"median\"}", "\"single\" or \"ward\""},
        {"{\"distance_threshold\":1,\"min_cluster_size\":0}", "from 1 to"},
        {"{\"distance_threshold\":1,\"min_samples\":2}", "of the algorithm hdbscan"},
        {"{\"distance_threshold\":1,\"min_weight\":0.5}", NULL},
        {"{\"distance_threshold\":1,\"min_weight\":0}", "over 0"},
        {"{\"distance_threshold\":1,\"min_weight\":0.5,\"linkage\":\"ward\"}", "\"average\""},
        {"{\"distance_threshold\":1,\"decay\":\"linear\",\"decay_days\":3}", "params.min_weight"},
        {"{\"distance_threshold\":1,\"min_weight\":0.5,\"decay\":\"linear\"}", "is missing"},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        char json[256];
        job_spec_t spec;
        error_t error = ERROR_INIT;
        snprintf(json, sizeof json,
                 "{\"algorithm\":\"agglomerative\",\"embedding_type\":\"events\",\"params\":%s}",
                 ROWS[i].params);
        int code = decode(json, &spec, &error);
        assert_int_equal(code, ROWS[i].says ? ERR_USAGE : OK);
        if (ROWS[i].says)
            assert_non_null(strstr(error.message, ROWS[i].says));
        job_spec_clear(&spec);
    }
    char *json = canonical("{\"algorithm\":\"agglomerative\",\"embedding_type\":\"events\","
                           "\"params\":{\"distance_threshold\":0.25}}");
    assert_non_null(strstr(json, "\"params\":{\"decay\":\"none\",\"decay_days\":null,"
                                 "\"distance_threshold\":0.25,\"linkage\":\"average\","
                                 "\"max_pairs\":1000000,\"min_cluster_size\":1,"
                                 "\"min_weight\":null,\"n_clusters\":0,\"weight_days\":1,"
                                 "\"weight_table\":null}"));
    free(json);
}

static void pairs_have_a_floor_and_a_decay_its_days(void **state)
{
    (void)state;
    static const struct {
        const char *rest;
        const char *says; /* NULL: taken */
    } ROWS[] = {
        {"\"params\":{\"min_weight\":1}", NULL},
        {"\"params\":{\"min_weight\":0.5,\"decay\":\"half_life\",\"decay_days\":3.5}", NULL},
        {"\"params\":{}", "params.min_weight is missing"},
        {"\"params\":{\"min_weight\":null}", "over 0"},
        {"\"params\":{\"min_weight\":0}", "over 0"},
        {"\"params\":{\"min_weight\":1.1}", "from 0 to 1"},
        {"\"params\":{\"min_weight\":0.5,\"decay\":\"linear\"}", "decay_days is missing"},
        {"\"params\":{\"min_weight\":0.5,\"decay\":\"linear\",\"decay_days\":0}", "is 0"},
        {"\"params\":{\"min_weight\":0.5,\"weight_table\":[[0,0.5,1],[0,0,0.25]]}", NULL},
        {"\"params\":{\"min_weight\":0.5,\"weight_table\":[]}", "1 to 16 rows"},
        {"\"params\":{\"min_weight\":0.5,\"weight_table\":[[0,0.5,0.4]]}", "number 2 in row 0"},
        {"\"params\":{\"min_weight\":0.5,\"weight_table\":[[0,1],[0]]}", "row 1 of"},
        {"\"params\":{\"min_weight\":0.5,\"weight_table\":[[0,2]]}", "to 1"},
        {"\"params\":{\"min_weight\":0.5,\"weight_table\":[[0,1]],\"decay\":\"linear\","
         "\"decay_days\":3}",
         "leave decay out"},
        {"\"params\":{\"min_weight\":0.5,\"decay_days\":2}", "without params.decay"},
        {"\"params\":{\"min_weight\":0.5,\"max_pairs\":0}", "from 1 to"},
        {"\"metric\":\"euclidean\",\"params\":{\"min_weight\":0.5}", "cosine similarity"},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        char json[256];
        job_spec_t spec;
        error_t error = ERROR_INIT;
        snprintf(json, sizeof json, "{\"algorithm\":\"pairs\",\"embedding_type\":\"events\",%s}",
                 ROWS[i].rest);
        assert_int_equal(decode(json, &spec, &error), ROWS[i].says ? ERR_USAGE : OK);
        if (ROWS[i].says)
            assert_non_null(strstr(error.message, ROWS[i].says));
        job_spec_clear(&spec);
    }
}

static void equal_jobs_have_equal_bytes(void **state)
{
    (void)state;
    char *a = canonical("{\"embedding_type\":\"event\",\"filter\":{\"z\":1,\"a\":2.0}}");
    char *b = canonical("{ \"params\":{\"min_samples\":0,\"cluster_selection_epsilon\":-0.0},"
                        "\"filter\":{\"a\":2,\"z\":1.0},\"algorithm\":\"hdbscan\","
                        "\"partition_by\":[],\"window_days\":null,\"embedding_type\":\"events\"}");
    assert_string_equal(a, b);
    free(a);
    free(b);
}

static void a_date_alone_ends_with_its_day(void **state)
{
    (void)state;
    job_spec_t spec;
    const char *json = "{\"embedding_type\":\"events\",\"date_from\":\"2015-09-12\","
                       "\"date_to\":\"2015-09-12\"}";
    assert_int_equal(decode(json, &spec, NULL), OK);
    assert_int_equal(spec.date_to_ms - spec.date_from_ms, 86400000 - 1);
    job_spec_clear(&spec);
}

/* What a user gets wrong, which field is named, and a piece of what is said. */
static const struct {
    const char *json;
    int code;
    const char *field;
    const char *says;
} REFUSED[] = {
    {"", ERR_USAGE, "", "empty"},
    {"[]", ERR_USAGE, "", "must be a JSON object"},
    {"{", ERR_USAGE, "", "not valid JSON"},
    {"{\"embedding_type\":\"events\"} x", ERR_USAGE, "", "not valid JSON"},
    {"{\"embedding_type\":\"events\",\"embedding_type\":\"events\"}", ERR_USAGE, "", "duplicate"},
    {"{\"embedding_type\":\"\xff\xfe\"}", ERR_USAGE, "", "decode byte"},
    {"{\"embedding_type\":\"ev\\u0000\"}", ERR_USAGE, "", "\\u0000"},
    {"{}", ERR_USAGE, "embedding_type", "missing"},
    {"{\"embedding_type\":\"evnts\"}", ERR_USAGE, "embedding_type", "\"storylines\""},
    {"{\"embedding_type\":1}", ERR_USAGE, "embedding_type", "is 1; it must be one of"},
    {"{\"embedding_type\":null}", ERR_USAGE, "embedding_type", "is null"},
    {"{\"embedding_type\":\"events\",\"metrics\":1}", ERR_USAGE, "metrics", "\"metric\"?"},
    {"{\"embedding_type\":\"events\",\"zzzzzzzz\":1}", ERR_USAGE, "zzzzzzzz", "known are"},
    {"{\"embedding_type\":\"events\",\"min_samples\":3}", ERR_USAGE, "min_samples", "inside"},
    {"{\"embedding_type\":\"events\",\"algorithm\":\"dbscan\"}", ERR_USAGE, "algorithm",
     "\"pairs\" or \"two-stage\""},
    {"{\"embedding_type\":\"events\",\"params\":[]}", ERR_USAGE, "params", "an object"},
    {"{\"embedding_type\":\"events\",\"params\":{\"min_cluster_sise\":3}}", ERR_USAGE,
     "params.min_cluster_sise", "did you mean \"min_cluster_size\"?"},
    {"{\"embedding_type\":\"events\",\"params\":{\"k\":3}}", ERR_USAGE, "params.k",
     "a parameter of the algorithm kmeans"},
    {"{\"embedding_type\":\"events\",\"params\":{\"min_cluster_size\":1}}", ERR_USAGE,
     "params.min_cluster_size", "is 1; it must be a whole number from 2 to"},
    {"{\"embedding_type\":\"events\",\"params\":{\"min_cluster_size\":2.5}}", ERR_USAGE,
     "params.min_cluster_size", "is 2.5"},
    {"{\"embedding_type\":\"events\",\"params\":{\"min_cluster_size\":4294967298}}", ERR_USAGE,
     "params.min_cluster_size", "4294967298"},
    {"{\"embedding_type\":\"events\",\"params\":{\"min_samples\":-1}}", ERR_USAGE,
     "params.min_samples", "-1"},
    {"{\"embedding_type\":\"events\",\"params\":{\"min_samples\":99999999999999999999}}", ERR_USAGE,
     "", "too big"},
    {"{\"embedding_type\":\"events\",\"params\":{\"cluster_selection_epsilon\":1e999}}", ERR_USAGE,
     "", "overflow"},
    {"{\"embedding_type\":\"events\",\"params\":{\"cluster_selection_epsilon\":2.1}}", ERR_USAGE,
     "params.cluster_selection_epsilon", "from 0 to 2"},
    {"{\"embedding_type\":\"events\",\"params\":{\"cluster_selection_method\":\"x\"}}", ERR_USAGE,
     "params.cluster_selection_method", "\"eom\" or \"leaf\""},
    {"{\"embedding_type\":\"events\",\"params\":{\"allow_single_cluster\":1}}", ERR_USAGE,
     "params.allow_single_cluster", "true or false"},
    {"{\"embedding_type\":\"events\",\"params\":{\"max_cluster_size\":4}}", ERR_USAGE,
     "params.max_cluster_size", "at least min_cluster_size, 5"},
    {"{\"embedding_type\":\"events\",\"params\":{\"max_cluster_size\":9,"
     "\"cluster_selection_method\":\"leaf\"}}",
     ERR_USAGE, "params.max_cluster_size", "eom"},
    {"{\"embedding_type\":\"events\",\"algorithm\":\"kmeans\"}", ERR_USAGE, "params.k", "missing"},
    {"{\"embedding_type\":\"events\",\"algorithm\":\"kmeans\",\"params\":{}}", ERR_USAGE,
     "params.k", "missing"},
    {"{\"embedding_type\":\"events\",\"algorithm\":\"kmeans\",\"params\":{\"k\":0}}", ERR_USAGE,
     "params.k", "from 1"},
    {"{\"embedding_type\":\"events\",\"algorithm\":\"kmeans\",\"params\":{\"k\":2,"
     "\"min_samples\":2}}",
     ERR_USAGE, "params.min_samples", "of the algorithm hdbscan"},
    {"{\"embedding_type\":\"events\",\"partition_by\":\"domain\"}", ERR_USAGE, "partition_by",
     "array"},
    {"{\"embedding_type\":\"events\",\"partition_by\":[\"domain\",\"domain\"]}", ERR_USAGE,
     "partition_by", "each once"},
    {"{\"embedding_type\":\"events\",\"partition_by\":[\"entity_type\"]}", ERR_USAGE,
     "partition_by", "only entities"},
    {"{\"embedding_type\":\"storylines\",\"partition_by\":[\"event_type\"]}", ERR_USAGE,
     "partition_by", "only events"},
    {"{\"embedding_type\":\"documents\",\"partition_by\":[\"domain\"]}", ERR_USAGE, "partition_by",
     "events and storylines"},
    {"{\"embedding_type\":\"events\",\"window_days\":-1}", ERR_USAGE, "window_days", "from 0"},
    {"{\"embedding_type\":\"events\",\"window_days\":40000}", ERR_USAGE, "window_days", "36500"},
    {"{\"embedding_type\":\"events\",\"date_from\":\"12 May\"}", ERR_USAGE, "date_from", "2015-"},
    {"{\"embedding_type\":\"events\",\"date_from\":20150912}", ERR_USAGE, "date_from", "2015-"},
    {"{\"embedding_type\":\"events\",\"date_from\":\"2015-09-13\",\"date_to\":\"2015-09-12\"}",
     ERR_USAGE, "date_to", "before date_from, 2015-09-13"},
    {"{\"embedding_type\":\"events\",\"filter\":[]}", ERR_USAGE, "filter", "an object"},
    {"{\"embedding_type\":\"events\",\"filter\":{\"a\":[1]}}", ERR_USAGE, "filter.a", "a string"},
    {"{\"embedding_type\":\"events\",\"filter\":{\"\":1}}", ERR_USAGE, "filter.", "1 to 128"},
    {"{\"embedding_type\":\"events\",\"filter\":{\"1\":1,\"2\":1,\"3\":1,\"4\":1,\"5\":1,\"6\":1,"
     "\"7\":1,\"8\":1,\"9\":1,\"10\":1,\"11\":1,\"12\":1,\"13\":1,\"14\":1,\"15\":1,\"16\":1,"
     "\"17\":1}}",
     ERR_USAGE, "filter", "at most 16"},
    {"{\"embedding_type\":\"events\",\"max_bad_fraction\":\"0.1\"}", ERR_USAGE, "max_bad_fraction",
     "a number"},
    {"{\"embedding_type\":\"events\",\"dimension\":0}", ERR_USAGE, "dimension", "1 to 2048"},
    {"{\"a\":[[[[[[[[1]]]]]]]]}", ERR_TOO_LARGE, "", "deeper"},
};

static void what_is_wrong_is_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof REFUSED / sizeof REFUSED[0]; i++) {
        job_spec_t spec;
        error_t error = ERROR_INIT;
        int code = decode(REFUSED[i].json, &spec, &error);
        if (code != REFUSED[i].code || strcmp(error.field, REFUSED[i].field) != 0 ||
            !strstr(error.message, REFUSED[i].says))
            fail_msg("%s: code %d, field \"%s\", \"%s\"; wanted \"%s\", \"%s\"", REFUSED[i].json,
                     code, error.field, error.message, REFUSED[i].field, REFUSED[i].says);
        job_spec_clear(&spec);
    }
}

static void a_body_over_the_limits_is_refused(void **state)
{
    (void)state;
    job_spec_t spec;
    error_t error = ERROR_INIT;
    size_t length = (64u << 10) + 1;
    char *body = malloc(length);
    memset(body, ' ', length);
    memcpy(body, "{\"embedding_type\":\"events\"}", 27);
    assert_int_equal(job_spec_from_json(body, length - 1, &spec, &error), OK);
    job_spec_clear(&spec);
    assert_int_equal(job_spec_from_json(body, length, &spec, &error), ERR_TOO_LARGE);
    size_t used = (size_t)sprintf(body, "{\"a\":[");
    for (int i = 0; i < 600; i++)
        used += (size_t)sprintf(body + used, "1,");
    used += (size_t)sprintf(body + used, "1]}");
    assert_int_equal(job_spec_from_json(body, used, &spec, &error), ERR_TOO_LARGE);
    assert_non_null(strstr(error.message, "603 values"));
    memset(body, '[', 60000); /* deep enough for a careless recursion */
    assert_int_equal(job_spec_from_json(body, 60000, &spec, &error), ERR_USAGE);
    free(body);
}

static void a_parameter_is_set_from_text(void **state)
{
    (void)state;
    job_spec_t spec;
    error_t error = ERROR_INIT;
    job_spec_init(&spec);
    assert_int_equal(job_spec_set_param(&spec, "min_cluster_size", "12", &error), OK);
    assert_int_equal(spec.min_cluster_size, 12);
    assert_int_equal(job_spec_min_samples(&spec), 12);
    assert_int_equal(job_spec_set_param(&spec, "cluster_selection_method", "leaf", &error), OK);
    assert_int_equal(spec.selection, SELECTION_LEAF);
    assert_int_equal(job_spec_set_param(&spec, "allow_single_cluster", "yes", &error), OK);
    assert_int_equal(spec.allow_single_cluster, 1);
    assert_int_equal(job_spec_set_param(&spec, "min_samples", "many", &error), ERR_USAGE);
    assert_string_equal(error.message, "params.min_samples is \"many\"; it must be a whole number "
                                       "from 0 to 1000000000");
    assert_int_equal(job_spec_set_param(&spec, "min_samples", "3 4", &error), ERR_USAGE);
    assert_int_equal(job_spec_set_param(&spec, "min_samples", "", &error), ERR_USAGE);
    assert_int_equal(job_spec_set_param(&spec, "min_sample", "3", &error), ERR_USAGE);
    assert_non_null(strstr(error.message, "did you mean \"min_samples\"?"));
    assert_int_equal(job_spec_set_param(&spec, "k", "3", &error), ERR_USAGE);
    assert_string_equal(error.field, "params.k");
    job_spec_clear(&spec);
}

static void a_field_is_set_from_text(void **state)
{
    (void)state;
    job_spec_t spec;
    error_t error = ERROR_INIT;
    job_spec_init(&spec);
    assert_int_equal(job_spec_set_field(&spec, "embedding_type", "event", &error), OK);
    assert_int_equal(spec.level, LEVEL_EVENTS);
    assert_int_equal(job_spec_set_field(&spec, "partition_by", "domain,event_type", &error), OK);
    assert_int_equal(spec.partition_by, PARTITION_DOMAIN | PARTITION_EVENT_TYPE);
    assert_int_equal(job_spec_set_field(&spec, "window_days", "7", &error), OK);
    assert_int_equal(spec.window_days, 7);
    assert_int_equal(job_spec_set_field(&spec, "filter", "{\"domain\":\"x\"}", &error), OK);
    assert_string_equal(spec.filter[0].value, "\"x\"");
    assert_int_equal(job_spec_set_field(&spec, "filter", "{\"a\":1,\"b\":2}", &error), OK);
    assert_int_equal(spec.filter_count, 2);
    assert_int_equal(job_spec_set_field(&spec, "date_to", "2015-13-01", &error), ERR_USAGE);
    assert_string_equal(error.field, "date_to");
    assert_int_equal(job_spec_set_field(&spec, "partition_by", "domain,", &error), OK);
    assert_int_equal(job_spec_set_field(&spec, "partition_by", ",domain", &error), ERR_USAGE);
    assert_int_equal(job_spec_set_field(&spec, "metric", "\xff", &error), ERR_USAGE);
    job_spec_clear(&spec);
}

static sha256_t identity(const char *json)
{
    job_spec_t spec;
    assert_int_equal(decode(json, &spec, NULL), OK);
    sha256_t value = job_spec_identity(&spec);
    job_spec_clear(&spec);
    return value;
}

static void the_identity_is_what_decides_the_clustering(void **state)
{
    (void)state;
    sha256_t plain = identity("{\"embedding_type\":\"events\"}");
    sha256_t dressed = identity("{\"embedding_type\":\"events\",\"as_of\":\"2020-01-01\","
                                "\"include_metadata\":true}");
    sha256_t other = identity("{\"embedding_type\":\"events\",\"params\":{\"min_samples\":4}}");
    assert_true(sha256_equal(&plain, &dressed));
    assert_false(sha256_equal(&plain, &other));
}

static void the_description_names_every_field(void **state)
{
    (void)state;
    char *text = NULL;
    size_t length;
    FILE *stream = open_memstream(&text, &length);
    job_spec_describe(stream);
    fclose(stream);
    assert_non_null(strstr(text, "| `params.k` | whole number, 1 to 1000000 | required |"));
    assert_non_null(strstr(text, "| `metric` | `cosine`, `euclidean` | \"cosine\" |"));
    assert_non_null(strstr(text, "| `params.tolerance` | number, 0 to 1 | 0.0001 |"));
    assert_non_null(strstr(text, "`window_days`"));
    free(text);
}

static void distances_follow_the_metric(void **state)
{
    (void)state;
    assert_true(metric_distance(METRIC_COSINE, 0.5f) == 0.25);
    assert_true(metric_distance(METRIC_EUCLIDEAN, 0.25f) == 0.5);
    assert_string_equal(metric_name(METRIC_EUCLIDEAN), "euclidean");
    assert_string_equal(algorithm_name(ALGORITHM_KMEANS), "kmeans");
}

static void the_nearest_name_counts_edits(void **state)
{
    (void)state;
    const char *names[] = {"limit", "cursor", "domain"};
    assert_int_equal(nearest_name("limti", names, 3), 0); /* a swap is one edit */
    assert_int_equal(nearest_name("cusro", names, 3), 1);
    assert_int_equal(nearest_name("domains", names, 3), 2);
    assert_true(nearest_name("zebra", names, 3) == SIZE_MAX);
    char longest[400], hint[64];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    nearest_hint(longest, names, 3, hint, sizeof hint);
    assert_int_equal(strlen(hint), strlen("; known are limit, cursor, domain"));
}

/* Whatever comes, it is read or refused with a reason; what is read is read back the same. */
static void mutated_jobs_never_crash_and_round_trip(void **state)
{
    (void)state;
    const char *seed = "{\"algorithm\":\"hdbscan\",\"embedding_type\":\"events\",\"filter\":{\"a\":"
                       "1.5,\"b\":\"\\u00e9\"},\"params\":{\"min_cluster_size\":15,"
                       "\"cluster_selection_epsilon\":0.25},\"partition_by\":[\"domain\"],"
                       "\"date_to\":\"2015-09-12\",\"window_days\":7}";
    const char alphabet[] = "{}[]\",:0123456789eE+-.truefalsn\\u\x01\xc3\xa9\xff ";
    random_t random = {4};
    int read = 0;
    for (int round = 0; round < 20000; round++) {
        char body[512];
        size_t length = strlen(seed);
        memcpy(body, seed, length);
        for (uint32_t edits = 1 + random_below(&random, 3); edits; edits--)
            body[random_below(&random, (uint32_t)length)] =
                alphabet[random_below(&random, sizeof alphabet - 1)];
        if (random_below(&random, 8) == 0)
            length = random_below(&random, (uint32_t)length);
        job_spec_t spec;
        error_t error = ERROR_INIT;
        char *exact = malloc(length + 1); /* so that AddressSanitizer sees the first byte too far */
        memcpy(exact, body, length);
        int code = job_spec_from_json(exact, length, &spec, &error);
        free(exact);
        if (code == OK) {
            char *first, *second;
            job_spec_t again;
            read++;
            assert_int_equal(job_spec_to_json(&spec, &first, NULL), OK);
            assert_int_equal(decode(first, &again, &error), OK);
            assert_int_equal(job_spec_to_json(&again, &second, NULL), OK);
            assert_string_equal(first, second);
            job_spec_clear(&again);
            free(first);
            free(second);
        } else {
            assert_true(error.message[0] != '\0');
        }
        job_spec_clear(&spec);
    }
    assert_in_range(read, 200, 19000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_smallest_job_has_the_documented_defaults),
        cmocka_unit_test(every_field_is_read_and_written_back),
        cmocka_unit_test(agglomerative_is_cut_at_one_place),
        cmocka_unit_test(pairs_have_a_floor_and_a_decay_its_days),
        cmocka_unit_test(equal_jobs_have_equal_bytes),
        cmocka_unit_test(a_date_alone_ends_with_its_day),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(a_body_over_the_limits_is_refused),
        cmocka_unit_test(a_parameter_is_set_from_text),
        cmocka_unit_test(a_field_is_set_from_text),
        cmocka_unit_test(the_identity_is_what_decides_the_clustering),
        cmocka_unit_test(the_description_names_every_field),
        cmocka_unit_test(distances_follow_the_metric),
        cmocka_unit_test(the_nearest_name_counts_edits),
        cmocka_unit_test(mutated_jobs_never_crash_and_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
