/* The catalog: what the metadata says is what the columns say, and what disagrees is left out. */
#include "common/clock.h"
#include "common/input/catalog.h"

#include "input_fixture.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

typedef struct {
    test_folder_t folder;
    char path[512];
} fixture_t;

static int set_up(void **state)
{
    fixture_t *self = calloc(1, sizeof *self);
    self->folder = folder_new();
    folder_path(&self->folder, "events_metadata.json", self->path);
    *state = self;
    return 0;
}

static int tear_down(void **state)
{
    fixture_t *self = *state;
    folder_destroy(&self->folder);
    free(self);
    return 0;
}

static catalog_t *open_path(const char *path, level_t level, uint32_t rows)
{
    catalog_t *catalog;
    error_t error = ERROR_INIT;
    if (catalog_open(path, level, rows, NULL, 0, &catalog, &error) != OK)
        fail_msg("%s", error.message);
    return catalog;
}

static catalog_t *open_text(void **state, const char *text, level_t level, uint32_t rows)
{
    const fixture_t *fixture = *state;
    write_text(fixture->path, text);
    return open_path(fixture->path, level, rows);
}

static void assert_view(string_view_t view, const char *expected)
{
    if (view.length != strlen(expected) || memcmp(view.text, expected, view.length) != 0)
        fail_msg("\"%.*s\" is not \"%s\"", (int)view.length, view.text, expected);
}

/* The same file by jansson: an oracle that holds all of it. */
static const char *string_in(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

static int64_t time_in(const json_t *value)
{
    int64_t ms = TIME_NONE;
    if (json_is_string(value))
        time_parse(json_string_value(value), json_string_length(value), &ms);
    return ms;
}

static void assert_same_metadata(const catalog_t *catalog, uint32_t row, const json_t *expected)
{
    char *text;
    size_t length;
    json_error_t error;
    assert_int_equal(catalog_metadata(catalog, row, &text, &length, NULL), OK);
    json_t *got = json_loadb(text, length, 0, &error);
    assert_int_equal(strlen(text), length);
    assert_true(json_equal(got, expected));
    json_decref(got);
    free(text);
}

static void assert_row(const catalog_t *catalog, uint32_t row, const char *id, const json_t *entry,
                       level_t level)
{
    static const char *const texts[] = {"title", "event_description", "entity_text",
                                        "storyline_summary"};
    static const char *const times[] = {"publication_date", "temporal_reference", "", ""};
    static const char *const types[] = {"", "event_type", "entity_type", ""};
    const json_t *metadata = json_object_get(entry, "metadata");
    const json_t *span = json_object_get(metadata, "temporal_span");
    static char text[1 << 16];
    assert_true(catalog_row_valid(catalog, row));
    assert_view(catalog_vector_id(catalog, row), id);
    assert_view(catalog_source_id(catalog, row), string_in(entry, "source_id"));
    assert_view(catalog_domain(catalog, row), string_in(metadata, "domain"));
    assert_view(catalog_type(catalog, row), string_in(metadata, types[level]));
    snprintf(text, sizeof text, "%s", string_in(metadata, texts[level]));
    if (strlen(text) <= 512)
        assert_view(catalog_text(catalog, row), text);
    int64_t begin =
        time_in(span ? json_array_get(span, 0) : json_object_get(metadata, times[level]));
    int64_t end = span ? time_in(json_array_get(span, 1)) : begin;
    assert_true(catalog_time_ms(catalog, row) == begin);
    assert_true(catalog_time_end_ms(catalog, row) == end);
    assert_same_metadata(catalog, row, metadata);
}

static void the_sample_is_read_as_another_parser_reads_it(void **state)
{
    static const uint32_t rows[LEVEL_COUNT] = {611, 428, 1526, 198};
    (void)state;
    for (int level = 0; level < LEVEL_COUNT; level++) {
        char path[512];
        json_error_t error;
        snprintf(path, sizeof path, "%s/wiki2015/%s_metadata.json", TEST_DATA,
                 level_plural((level_t)level));
        json_t *whole = json_load_file(path, 0, &error);
        catalog_t *catalog = open_path(path, (level_t)level, rows[level]);
        assert_int_equal(catalog_level(catalog), level);
        assert_int_equal(catalog_rows(catalog), rows[level]);
        assert_int_equal(catalog_valid_rows(catalog), rows[level]);
        for (int kind = 0; kind < PROBLEM_KIND_COUNT; kind++)
            assert_int_equal(catalog_problem_count(catalog, (problem_kind_t)kind), 0);
        for (uint32_t row = 0; row < rows[level]; row++) {
            char digits[16];
            snprintf(digits, sizeof digits, "%u", row);
            const char *id = string_in(json_object_get(whole, "reverse_id_map"), digits);
            assert_row(catalog, row, id,
                       json_object_get(json_object_get(whole, "metadata_store"), id),
                       (level_t)level);
        }
        assert_int_equal(catalog_check(catalog, NULL), OK);
        catalog_close(&catalog);
        assert_null(catalog);
        json_decref(whole);
    }
}

static void known_rows_of_the_sample_are_there(void **state)
{
    (void)state;
    catalog_t *events = open_path(TEST_DATA "/wiki2015/events_metadata.json", LEVEL_EVENTS, 428);
    assert_view(catalog_vector_id(events, 0), "event_emb_wt_2de18384346e_event_0");
    assert_view(catalog_document_id(events, 0), "wt_2de18384346e");
    assert_view(catalog_domain_long(events, 0), "military_operations");
    assert_true(catalog_time_ms(events, 0) == 1442534400000);
    assert_view(catalog_vector_id(events, 427), "event_emb_wt_3d389c3eceff_event_0");
    assert_view(catalog_vector_id(events, catalog_id_order(events)[0]),
                "event_emb_wt_005e98580cb3_event_0");
    catalog_close(&events);
    catalog_t *storylines =
        open_path(TEST_DATA "/wiki2015/storylines_metadata.json", LEVEL_STORYLINES, 198);
    assert_view(catalog_source_id(storylines, 0), "storyline_20150926_5");
    assert_view(catalog_document_id(storylines, 0), "wt_6a403ef440c6");
    catalog_close(&storylines);
}

static int compare_views(string_view_t a, string_view_t b)
{
    size_t common = a.length < b.length ? a.length : b.length;
    int order = memcmp(a.text, b.text, common);
    return order != 0 ? order : (a.length > b.length) - (a.length < b.length);
}

static void the_id_order_is_that_of_the_bytes(void **state)
{
    (void)state;
    catalog_t *catalog =
        open_path(TEST_DATA "/wiki2015/entities_metadata.json", LEVEL_ENTITIES, 1526);
    const uint32_t *order = catalog_id_order(catalog);
    for (uint32_t i = 1; i < catalog_valid_rows(catalog); i++)
        assert_true(compare_views(catalog_vector_id(catalog, order[i - 1]),
                                  catalog_vector_id(catalog, order[i])) < 0);
    catalog_close(&catalog);
    catalog = open_text(state,
                        "{\"metadata_store\":{"
                        "\"ab\":{\"source_id\":\"s\",\"metadata\":{}},"
                        "\"a\":{\"source_id\":\"s\",\"metadata\":{}},"
                        "\"abcdefghijk\":{\"source_id\":\"s\",\"metadata\":{}},"
                        "\"abcdefghij\":{\"source_id\":\"s\",\"metadata\":{}},"
                        "\"a\\u0000\":{\"source_id\":\"s\",\"metadata\":{}},"
                        "\"a\xc3\xbc\":{\"source_id\":\"s\",\"metadata\":{}}},"
                        "\"id_map\":{\"ab\":0,\"a\":1,\"abcdefghijk\":2,\"abcdefghij\":3,"
                        "\"a\\u0000\":4,\"a\xc3\xbc\":5},"
                        "\"reverse_id_map\":{\"0\":\"ab\",\"1\":\"a\",\"2\":\"abcdefghijk\","
                        "\"3\":\"abcdefghij\",\"4\":\"a\\u0000\",\"5\":\"a\xc3\xbc\"}}",
                        LEVEL_EVENTS, 6);
    static const uint32_t expected[] = {1, 4, 0, 3, 2, 5};
    assert_int_equal(catalog_valid_rows(catalog), 6);
    assert_memory_equal(catalog_id_order(catalog), expected, sizeof expected);
    catalog_close(&catalog);
}

#define STORE                                                                                      \
    "\"metadata_store\":{"                                                                         \
    "\"e_1\":{\"source_id\":\"d1_event_1\",\"embedding_type\":\"event\",\"metadata\":"             \
    "{\"domain\":\"diplomatic\",\"event_type\":\"talks\","                                         \
    "\"temporal_reference\":\"2015-09-12\",\"event_description\":\"one\"}},"                       \
    "\"e_2\":{\"metadata\":{\"document_id\":\"other\"},\"embedding_type\":\"events\","             \
    "\"source_id\":\"d2_event_7\"}}"
#define MAP "\"id_map\":{\"e_1\":1,\"e_2\":0}"
#define REVERSE "\"reverse_id_map\":{\"0\":\"e_2\",\"1\":\"e_1\"}"

static void the_three_keys_come_in_any_order(void **state)
{
    static const char *const texts[] = {"{" STORE "," MAP "," REVERSE "}",
                                        "{" STORE "," REVERSE "," MAP "}",
                                        "{" MAP "," STORE "," REVERSE "}",
                                        "{" MAP "," REVERSE "," STORE "}",
                                        "{" REVERSE "," STORE "," MAP "}",
                                        "{" REVERSE "," MAP "," STORE "}",
                                        "{\"version\":[{\"metadata_store\":1}]," REVERSE
                                        ",\"x\":{}," MAP ",\"y\":null," STORE "}"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        catalog_t *catalog = open_text(state, texts[i], LEVEL_EVENTS, 2);
        assert_int_equal(catalog_valid_rows(catalog), 2);
        assert_view(catalog_vector_id(catalog, 1), "e_1");
        assert_view(catalog_document_id(catalog, 1), "d1");
        assert_view(catalog_domain(catalog, 1), "diplomatic");
        assert_view(catalog_domain_long(catalog, 1), "diplomatic_relations");
        assert_view(catalog_type(catalog, 1), "talks");
        assert_view(catalog_text(catalog, 1), "one");
        assert_view(catalog_vector_id(catalog, 0), "e_2");
        assert_view(catalog_source_id(catalog, 0), "d2_event_7");
        assert_view(catalog_document_id(catalog, 0), "other");
        assert_view(catalog_domain_long(catalog, 0), "");
        assert_true(catalog_time_ms(catalog, 0) == TIME_NONE);
        catalog_close(&catalog);
    }
}

/* One good entry per source_id, rows in order. */
static catalog_t *open_sources(void **state, const char *const *sources, uint32_t count,
                               level_t level)
{
    static char text[8192], map[2048], reverse[2048];
    size_t a = (size_t)sprintf(text, "{\"metadata_store\":{"), b = 0, c = 0;
    for (uint32_t i = 0; i < count; i++) {
        const char *comma = i > 0 ? "," : "";
        a += (size_t)sprintf(text + a, "%s\"v%u\":{\"source_id\":\"%s\",\"metadata\":{}}", comma, i,
                             sources[i]);
        b += (size_t)sprintf(map + b, "%s\"v%u\":%u", comma, i, i);
        c += (size_t)sprintf(reverse + c, "%s\"%u\":\"v%u\"", comma, i, i);
    }
    sprintf(text + a, "},\"id_map\":{%s},\"reverse_id_map\":{%s}}", map, reverse);
    return open_text(state, text, level, count);
}

static void a_document_id_is_cut_from_the_source_id(void **state)
{
    static const char *const sources[] = {
        "d_event_12", "d_entity_0", "d_storyline_5", "d_event_1_event_2", "d_event_", "d_event_x",
        "d",          "_event_1",   "event_1",       "d_event_1_",        "12"};
    static const char *const documents[] = {"d", "d", "d", "d_event_1", "", "", "", "", "", "", ""};
    catalog_t *catalog = open_sources(state, sources, 11, LEVEL_ENTITIES);
    for (uint32_t row = 0; row < 11; row++) {
        assert_view(catalog_document_id(catalog, row), documents[row]);
        assert_int_equal(catalog_document_count(catalog, row), documents[row][0] != '\0');
    }
    catalog_close(&catalog);
    catalog = open_sources(state, sources, 11, LEVEL_DOCUMENTS);
    for (uint32_t row = 0; row < 11; row++)
        assert_view(catalog_document_id(catalog, row), sources[row]);
    catalog_close(&catalog);
}

static void a_storyline_has_the_documents_of_its_events(void **state)
{
    catalog_t *catalog = open_text(
        state,
        "{\"metadata_store\":{\"s\":{\"source_id\":\"storyline_x_1\",\"metadata\":{"
        "\"event_ids\":[\"z_event_1\",\"a_event_1\",null,\"z_event_2\",\"bare\",[\"q_event_1\"],"
        "\"ab_event_3\"],\"temporal_span\":[\"2015-09-01\",\"2015-09-03T12:00:00Z\",\"2016-01-01\"]"
        "}},"
        "\"t\":{\"source_id\":\"u\",\"metadata\":{\"temporal_span\":[null,\"2015-09-03\"]}}},"
        "\"id_map\":{\"s\":0,\"t\":1},\"reverse_id_map\":{\"0\":\"s\",\"1\":\"t\"}}",
        LEVEL_STORYLINES, 2);
    assert_view(catalog_document_id(catalog, 0), "z");
    assert_int_equal(catalog_document_count(catalog, 0), 3);
    assert_view(catalog_document(catalog, 0, 0), "a");
    assert_view(catalog_document(catalog, 0, 1), "ab");
    assert_view(catalog_document(catalog, 0, 2), "z");
    assert_view(catalog_document(catalog, 0, 3), "");
    assert_int_equal(time_day(catalog_time_ms(catalog, 0)), 16679);
    assert_int_equal(time_day(catalog_time_end_ms(catalog, 0)), 16681);
    assert_int_equal(catalog_document_count(catalog, 1), 0);
    assert_true(catalog_time_ms(catalog, 1) == TIME_NONE);
    assert_int_equal(time_day(catalog_time_end_ms(catalog, 1)), 16681);
    catalog_close(&catalog);
}

static void absent_null_and_odd_values_are_as_if_absent(void **state)
{
    catalog_t *catalog = open_text(
        state,
        "{\"metadata_store\":{\"v\":{\"source_id\":\"d_event_1\",\"embedding_type\":null,"
        "\"metadata\":{\"domain\":null,\"event_type\":7,\"temporal_reference\":{\"a\":[\"2015-09-"
        "12\"]},"
        "\"event_description\":[\"x\"],\"document_id\":true,\"confidence\":NaN,\"low\":-Infinity,"
        "\"note\":\"NaN, \\\"Infinity\",\"high\":Infinity}}},"
        "\"id_map\":{\"v\":0},\"reverse_id_map\":{\"0\":\"v\"}}",
        LEVEL_EVENTS, 1);
    assert_int_equal(catalog_valid_rows(catalog), 1);
    assert_view(catalog_domain(catalog, 0), "");
    assert_view(catalog_type(catalog, 0), "");
    assert_view(catalog_text(catalog, 0), "");
    assert_view(catalog_document_id(catalog, 0), "d");
    assert_true(catalog_time_ms(catalog, 0) == TIME_NONE);
    char *json;
    size_t length;
    json_error_t error;
    assert_int_equal(catalog_metadata(catalog, 0, &json, &length, NULL), OK);
    json_t *metadata = json_loadb(json, length, 0, &error);
    assert_non_null(metadata);
    assert_true(json_is_null(json_object_get(metadata, "confidence")));
    assert_true(json_is_null(json_object_get(metadata, "low")));
    assert_true(json_is_null(json_object_get(metadata, "high")));
    assert_string_equal(string_in(metadata, "note"), "NaN, \"Infinity");
    json_decref(metadata);
    free(json);
    catalog_close(&catalog);
}

static void half_a_pair_in_a_text_becomes_a_replacement_character(void **state)
{
    catalog_t *catalog = open_text(state,
                                   "{\"metadata_store\":{\"v\":{\"source_id\":\"s\",\"metadata\":{"
                                   "\"title\":\"a\\udc00b\\ud83d\\ude00\"}}},"
                                   "\"id_map\":{\"v\":0},\"reverse_id_map\":{\"0\":\"v\"}}",
                                   LEVEL_DOCUMENTS, 1);
    assert_view(catalog_text(catalog, 0), "a\xef\xbf\xbd"
                                          "b\xf0\x9f\x98\x80");
    catalog_close(&catalog);
}

static void text_is_cut_at_a_character(void **state)
{
    static char text[4096];
    size_t used = (size_t)sprintf(text, "{\"metadata_store\":{\"v\":{\"source_id\":\"s\","
                                        "\"metadata\":{\"title\":\"x");
    for (int i = 0; i < 400; i++)
        used += (size_t)sprintf(text + used, "\xc3\xa9");
    sprintf(text + used, "\"}}},\"id_map\":{\"v\":0},\"reverse_id_map\":{\"0\":\"v\"}}");
    catalog_t *catalog = open_text(state, text, LEVEL_DOCUMENTS, 1);
    assert_int_equal(catalog_text(catalog, 0).length, 511);
    catalog_close(&catalog);
}

typedef struct {
    const char *text;
    uint32_t rows;
    uint32_t valid;
    problem_kind_t kind;
    uint64_t count;
    uint32_t row;
    const char *id;
} disagreement_t;

#define GOOD(id) "\"" id "\":{\"source_id\":\"s\",\"metadata\":{}}"
#define FILE_OF(store, map, reverse)                                                               \
    "{\"metadata_store\":{" store "},\"id_map\":{" map "},\"reverse_id_map\":{" reverse "}}"
#define NONE UINT32_MAX

static const disagreement_t DISAGREEMENTS[] = {
    {FILE_OF(GOOD("a"), "\"a\":0", "\"0\":\"a\""), 2, 1, PROBLEM_NO_METADATA, 1, 1, ""},
    {FILE_OF("", "\"a\":0", "\"0\":\"a\""), 1, 0, PROBLEM_NO_METADATA, 1, 0, "a"},
    {FILE_OF(GOOD("a") "," GOOD("a"), "\"a\":0", "\"0\":\"a\""), 1, 0, PROBLEM_DUPLICATE_ID, 1, 0,
     "a"},
    {FILE_OF(GOOD("a"), "\"a\":0,\"a\":0", "\"0\":\"a\""), 1, 0, PROBLEM_DUPLICATE_ID, 1, 0, "a"},
    {FILE_OF(GOOD("a") "," GOOD("b"), "\"a\":0,\"b\":0", "\"0\":\"a\""), 1, 0, PROBLEM_DUPLICATE_ID,
     1, 0, "a"},
    {FILE_OF(GOOD("a") "," GOOD("b"), "\"a\":0,\"b\":1", "\"0\":\"b\",\"1\":\"a\""), 2, 0,
     PROBLEM_MAPS_DISAGREE, 2, 0, "a"},
    {FILE_OF(GOOD("a"), "\"a\":0", ""), 1, 0, PROBLEM_MAPS_DISAGREE, 1, 0, "a"},
    {FILE_OF(GOOD("a"), "\"a\":0", "\"0\":null"), 1, 0, PROBLEM_MAPS_DISAGREE, 1, 0, "a"},
    {FILE_OF(GOOD("a"), "\"a\":0", "\"0\":\"a\",\"7\":\"a\""), 1, 0, PROBLEM_MAPS_DISAGREE, 1, 0,
     "a"},
    {FILE_OF(GOOD("a") "," GOOD("b"), "\"a\":0", "\"0\":\"a\""), 1, 1, PROBLEM_NO_POSITION, 1, NONE,
     "b"},
    {FILE_OF(GOOD("a") "," GOOD("b"), "\"a\":0,\"b\":1", "\"0\":\"a\",\"1\":\"b\""), 1, 1,
     PROBLEM_BAD_POSITION, 1, NONE, "b"},
    {FILE_OF(GOOD("b"), "\"b\":-1", ""), 0, 0, PROBLEM_BAD_POSITION, 1, NONE, "b"},
    {FILE_OF(GOOD("b"), "\"b\":\"0\"", ""), 0, 0, PROBLEM_BAD_POSITION, 1, NONE, "b"},
    {FILE_OF(GOOD("b"), "\"b\":0.0", ""), 0, 0, PROBLEM_BAD_POSITION, 1, NONE, "b"},
    {FILE_OF(GOOD("b"), "\"b\":18446744073709551616", ""), 0, 0, PROBLEM_BAD_POSITION, 1, NONE,
     "b"},
    {FILE_OF(GOOD("b"), "\"b\":[0]", ""), 0, 0, PROBLEM_BAD_POSITION, 1, NONE, "b"},
    {FILE_OF(GOOD("b"), "\"b\":4294967296", ""), 0, 0, PROBLEM_BAD_POSITION, 1, NONE, "b"},
    {FILE_OF("\"a\":{\"metadata\":{}}", "\"a\":0", "\"0\":\"a\""), 1, 0, PROBLEM_BAD_ENTRY, 1, 0,
     "a"},
    {FILE_OF("\"a\":{\"source_id\":\"s\"}", "\"a\":0", "\"0\":\"a\""), 1, 0, PROBLEM_BAD_ENTRY, 1,
     0, "a"},
    {FILE_OF("\"a\":{\"source_id\":\"s\",\"metadata\":[]}", "\"a\":0", "\"0\":\"a\""), 1, 0,
     PROBLEM_BAD_ENTRY, 1, 0, "a"},
    {FILE_OF("\"a\":[{}]", "\"a\":0", "\"0\":\"a\""), 1, 0, PROBLEM_BAD_ENTRY, 1, 0, "a"},
    {FILE_OF("\"a\":7", "\"a\":0", "\"0\":\"a\""), 1, 0, PROBLEM_BAD_ENTRY, 1, 0, "a"},
    {FILE_OF("\"a\":{\"source_id\":\"s\",\"embedding_type\":\"entity\",\"metadata\":{}}", "\"a\":0",
             "\"0\":\"a\""),
     1, 0, PROBLEM_BAD_ENTRY, 1, 0, "a"},
};

static void what_disagrees_is_counted_listed_and_left_out(void **state)
{
    for (size_t i = 0; i < sizeof DISAGREEMENTS / sizeof *DISAGREEMENTS; i++) {
        const disagreement_t *given = &DISAGREEMENTS[i];
        catalog_t *catalog = open_text(state, given->text, LEVEL_EVENTS, given->rows);
        const problem_t *list;
        uint64_t total = 0;
        for (int kind = 0; kind < PROBLEM_KIND_COUNT; kind++)
            total += catalog_problem_count(catalog, (problem_kind_t)kind);
        if (catalog_problem_count(catalog, given->kind) != given->count || total != given->count)
            fail_msg("%s: %s is not counted", given->text, problem_name(given->kind));
        assert_int_equal(catalog_valid_rows(catalog), given->valid);
        assert_int_equal(catalog_problem_list(catalog, &list), given->count);
        assert_int_equal(list[0].kind, given->kind);
        assert_int_equal(list[0].row, given->row);
        assert_string_equal(list[0].vector_id, given->id);
        for (uint32_t row = 0; row < given->rows; row++) {
            char *json;
            size_t length;
            int valid = catalog_row_valid(catalog, row);
            assert_int_equal(catalog_metadata(catalog, row, &json, &length, NULL),
                             valid ? OK : ERR_SHAPE);
            assert_int_equal(catalog_vector_id(catalog, row).length > 0, valid);
            free(json);
        }
        catalog_close(&catalog);
    }
}

static void only_the_first_hundred_problems_are_listed(void **state)
{
    catalog_t *catalog = open_text(state, FILE_OF("", "", ""), LEVEL_EVENTS, 5000);
    const problem_t *list;
    assert_int_equal(catalog_problem_list(catalog, &list), PROBLEM_LIST_LIMIT);
    assert_int_equal(list[99].row, 99);
    assert_int_equal(catalog_problem_count(catalog, PROBLEM_NO_METADATA), 5000);
    assert_false(catalog_row_valid(catalog, 4999));
    assert_false(catalog_row_valid(catalog, 5000));
    catalog_close(&catalog);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_sample_is_read_as_another_parser_reads_it),
        TEST(known_rows_of_the_sample_are_there),
        TEST(the_id_order_is_that_of_the_bytes),
        TEST(the_three_keys_come_in_any_order),
        TEST(a_document_id_is_cut_from_the_source_id),
        TEST(a_storyline_has_the_documents_of_its_events),
        TEST(absent_null_and_odd_values_are_as_if_absent),
        TEST(half_a_pair_in_a_text_becomes_a_replacement_character),
        TEST(text_is_cut_at_a_character),
        TEST(what_disagrees_is_counted_listed_and_left_out),
        TEST(only_the_first_hundred_problems_are_listed),
    };
    return cmocka_run_group_tests_name("catalog", tests, NULL, NULL);
}
