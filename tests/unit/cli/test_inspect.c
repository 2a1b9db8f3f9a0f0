/* What inspect says of a folder: numbers a person can check, and one JSON object for machines. */
#include "cli/inspect.h"

#include "lib/folder.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static char *inspect(const char *folder, uint32_t dimension, int json, int *code, error_t *error)
{
    char *text = NULL;
    size_t length;
    FILE *stream = open_memstream(&text, &length);
    assert_non_null(stream);
    *code = inspect_run(folder, dimension, json, stream, error);
    fclose(stream);
    return text;
}

static json_t *inspect_json(const char *folder, int *code, error_t *error)
{
    json_error_t why;
    char *text = inspect(folder, 768, 1, code, error);
    json_t *whole = json_loads(text, 0, &why);
    assert_non_null(whole);
    free(text);
    return whole;
}

static json_int_t number(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static const char *text(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static void the_sample_is_described(void **state)
{
    int code;
    error_t error = ERROR_INIT;
    (void)state;
    json_t *whole = inspect_json(TEST_DATA "/wiki2015", &code, &error);
    assert_int_equal(code, OK);
    const json_t *levels = json_object_get(whole, "levels");
    const json_t *events = json_object_get(levels, "events");
    assert_int_equal(number(json_object_get(levels, "documents"), "rows"), 611);
    assert_int_equal(number(json_object_get(levels, "entities"), "undated"), 1526);
    assert_int_equal(number(events, "rows"), 428);
    assert_int_equal(number(events, "valid"), 428);
    assert_string_equal(text(events, "metric"), "inner_product");
    assert_string_equal(text(events, "first_date"), "2015-09-01T00:00:00Z");
    assert_string_equal(text(events, "last_date"), "2015-09-30T00:00:00Z");
    const json_t *top = json_array_get(json_object_get(events, "domains"), 0);
    assert_string_equal(text(top, "name"), "military_operations");
    assert_int_equal(number(top, "count"), 110);
    assert_int_equal(strlen(text(events, "index_fingerprint")), 64);
    json_decref(whole);
}

static void people_get_a_table(void **state)
{
    int code;
    error_t error = ERROR_INIT;
    (void)state;
    char *page = inspect(TEST_DATA "/wiki2015", 768, 0, &code, &error);
    char *again = inspect(TEST_DATA "/wiki2015", 768, 0, &code, &error);
    assert_int_equal(code, OK);
    assert_non_null(strstr(page, "2015-09-01 to 2015-09-30"));
    assert_non_null(strstr(page, "problems: none"));
    assert_string_equal(page, again);
    free(page);
    free(again);
}

static void link_into(const test_folder_t *folder, const char *target, const char *name)
{
    char path[512];
    assert_int_equal(symlink(target, folder_path(folder, name, path)), 0);
}

static void a_missing_level_is_said_and_no_error(void **state)
{
    test_folder_t folder = folder_new();
    int code;
    error_t error = ERROR_INIT;
    (void)state;
    free(inspect(folder.path, 768, 0, &code, &error));
    assert_int_equal(code, ERR_NOT_FOUND);
    assert_non_null(strstr(error.message, folder.path));
    link_into(&folder, TEST_DATA "/wiki2015/events.index", "events.index");
    link_into(&folder, TEST_DATA "/wiki2015/events_metadata.json", "events_metadata.json");
    char *page = inspect(folder.path, 768, 0, &code, &error);
    assert_int_equal(code, OK);
    assert_non_null(strstr(page, "missing: "));
    free(page);
    json_t *whole = inspect_json(folder.path, &code, &error);
    const json_t *levels = json_object_get(whole, "levels");
    assert_true(json_is_true(json_object_get(json_object_get(levels, "storylines"), "missing")));
    json_decref(whole);
    folder_destroy(&folder);
}

static void an_unusable_level_is_said_and_is_the_result(void **state)
{
    test_folder_t folder = folder_new();
    int code;
    error_t error = ERROR_INIT;
    (void)state;
    link_into(&folder, TEST_DATA "/wiki2015/events.index", "events.index");
    json_t *whole = inspect_json(folder.path, &code, &error); /* without its metadata */
    assert_int_equal(code, ERR_NOT_FOUND);
    assert_non_null(strstr(error.message, "events_metadata.json"));
    const json_t *events = json_object_get(json_object_get(whole, "levels"), "events");
    assert_string_equal(text(events, "code"), "ERR_NOT_FOUND");
    json_decref(whole);
    char *page = inspect(folder.path, 384, 0, &code, &error);
    assert_int_equal(code, ERR_INPUT);
    assert_non_null(strstr(page, "cannot be used: "));
    assert_non_null(strstr(error.message, "has dimension 768, expected 384"));
    free(page);
    folder_destroy(&folder);
}

static void what_disagrees_is_counted_with_examples(void **state)
{
    test_folder_t folder = folder_new();
    int code;
    error_t error = ERROR_INIT;
    (void)state;
    link_into(&folder, TEST_DATA "/wiki2015/documents.index", "documents.index");
    link_into(&folder, TEST_DATA "/wiki2015/events_metadata.json", "documents_metadata.json");
    json_t *whole = inspect_json(folder.path, &code, &error);
    assert_int_equal(code, OK);
    const json_t *documents = json_object_get(json_object_get(whole, "levels"), "documents");
    const json_t *problems = json_object_get(documents, "problems");
    const json_t *bad = json_object_get(problems, "bad_entry");
    assert_int_equal(number(documents, "valid"), 0);
    assert_int_equal(number(bad, "count"), 428); /* entries of another level */
    assert_int_equal(json_array_size(json_object_get(bad, "first")), 5);
    assert_int_equal(number(json_object_get(problems, "no_metadata"), "count"), 611 - 428);
    json_decref(whole);
    char *page = inspect(folder.path, 768, 0, &code, &error);
    assert_non_null(strstr(page, "bad_entry: 428 (row 0 event_emb_wt_2de18384346e_event_0, "));
    free(page);
    folder_destroy(&folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sample_is_described),
        cmocka_unit_test(people_get_a_table),
        cmocka_unit_test(a_missing_level_is_said_and_no_error),
        cmocka_unit_test(an_unusable_level_is_said_and_is_the_result),
        cmocka_unit_test(what_disagrees_is_counted_with_examples),
    };
    return cmocka_run_group_tests_name("inspect", tests, NULL, NULL);
}
