/* Thousands of damaged metadata files: each is read or refused with words, and none costs memory.
 */
#include "common/input/catalog.h"

#include "input_fixture.h"
#include "lib/memory_meter.h"
#include "lib/mutate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#define FILES 12000
#define CAPACITY 32768
#define CONSTANT (1u << 20) /* one piece of the file, and yajl's buffers */
#define ROWS 12

static const char *const TOKENS[] = {"\"",
                                     "\\\"",
                                     "{",
                                     "}",
                                     "[",
                                     "]",
                                     ",",
                                     ":",
                                     "null",
                                     "true",
                                     "NaN",
                                     "-Infinity",
                                     "-1",
                                     "0",
                                     "1e999",
                                     "18446744073709551616",
                                     "4294967295",
                                     "\\u0000",
                                     "\\ud800",
                                     "\\udc00",
                                     "\xff",
                                     "\xc3",
                                     "\xed\xa0\x80",
                                     "\"metadata\":",
                                     "\"metadata_store\":{",
                                     "\"id_map\":{",
                                     "\"reverse_id_map\":{",
                                     "\"source_id\":",
                                     "\"a\":{",
                                     "[[[[[[[[",
                                     "\"event_ids\":[",
                                     "\"temporal_span\":[",
                                     "{\"a\":{\"b\":{\"c\":",
                                     " ",
                                     "\n"};

static size_t add_entry(char *out, level_t level, int i)
{
    static const char *const fields[LEVEL_COUNT] = {
        "\"title\":\"T\xc3\xa9\",\"publication_date\":\"2015-09-12T00:00:00Z\",\"categories\":["
        "\"a\",{}]",
        "\"event_type\":\"talks\",\"domain\":\"military\",\"temporal_reference\":\"2015-09-12\","
        "\"event_description\":\"a \\u20ac b\",\"confidence\":0.5",
        "\"entity_type\":\"PER\",\"entity_text\":\"X\",\"context\":\"\",\"n\":null",
        "\"event_ids\":[\"d1_event_1\",\"d2_event_2\"],\"temporal_span\":[\"2015-09-01\",null],"
        "\"domain\":\"x\",\"storyline_summary\":\"s\""};
    return (size_t)sprintf(
        out,
        "%s\"%s_%d\": {\"source_id\": \"doc%d_%s_%d\", \"embedding_type\": \"%s\", "
        "\"metadata\": {%s}}",
        i ? ", " : "", level_singular(level), i, i, level_singular(level), i, level_plural(level),
        fields[level]);
}

static size_t make_metadata(char *out, level_t level)
{
    size_t used = (size_t)sprintf(out, "{\"metadata_store\": {");
    for (int i = 0; i < ROWS; i++)
        used += add_entry(out + used, level, i);
    used += (size_t)sprintf(out + used, "}, \"id_map\": {");
    for (int i = 0; i < ROWS; i++)
        used += (size_t)sprintf(out + used, "%s\"%s_%d\": %d", i ? ", " : "", level_singular(level),
                                i, i);
    used += (size_t)sprintf(out + used, "}, \"reverse_id_map\": {");
    for (int i = 0; i < ROWS; i++)
        used += (size_t)sprintf(out + used, "%s\"%d\": \"%s_%d\"", i ? ", " : "", i,
                                level_singular(level), i);
    return used + (size_t)sprintf(out + used, "}}\n");
}

static size_t touch(string_view_t view)
{
    size_t sum = 0;
    for (size_t i = 0; i < view.length; i++)
        sum += (unsigned char)view.text[i];
    return sum;
}

/* Every byte a catalog shows is read; ASan tells when one is not its own. */
static size_t use(const catalog_t *catalog)
{
    const problem_t *problems;
    size_t sum = catalog_problem_list(catalog, &problems);
    for (size_t i = sum; i-- > 0;)
        sum += strlen(problems[i].vector_id);
    for (uint32_t row = 0; row < catalog_rows(catalog); row++) {
        sum += touch(catalog_vector_id(catalog, row)) + touch(catalog_source_id(catalog, row)) +
               touch(catalog_document_id(catalog, row)) + touch(catalog_text(catalog, row)) +
               touch(catalog_domain_long(catalog, row)) + touch(catalog_type(catalog, row));
        for (size_t i = 0; i < catalog_document_count(catalog, row); i++)
            sum += touch(catalog_document(catalog, row, i));
        if (!catalog_row_valid(catalog, row))
            continue;
        char *json = NULL;
        size_t length = 0;
        assert_int_equal(catalog_metadata(catalog, row, &json, &length, NULL), OK);
        assert_true(length >= 2 && json[0] == '{' && json[length - 1] == '}');
        free(json);
    }
    for (uint32_t i = 0; i < catalog_valid_rows(catalog); i++)
        assert_true(catalog_row_valid(catalog, catalog_id_order(catalog)[i]));
    return sum;
}

static void no_damage_crashes_or_costs_memory(void **state)
{
    static char bytes[CAPACITY];
    random_t random = {15};
    mutate_rules_t rules = {TOKENS, sizeof TOKENS / sizeof *TOKENS, CAPACITY};
    size_t opened = 0;
    char path[64];
    (void)state;
    int descriptor = memfd_create("metadata", MFD_CLOEXEC);
    assert_true(descriptor >= 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    memory_meter_start();
    size_t before = memory_resident_peak();
    for (int i = 0; i < FILES; i++) {
        level_t level = (level_t)(i % LEVEL_COUNT);
        size_t length = mutate(&random, bytes, make_metadata(bytes, level), &rules);
        assert_int_equal(ftruncate(descriptor, 0), 0);
        assert_int_equal(pwrite(descriptor, bytes, length, 0), length);
        catalog_t *catalog;
        error_t error = ERROR_INIT;
        memory_take_largest();
        int code = catalog_open(path, level, ROWS, NULL, 0, &catalog, &error);
        if (code == OK) {
            uint64_t left_out = 0;
            for (int kind = 0; kind < PROBLEM_KIND_COUNT; kind++)
                left_out += catalog_problem_count(catalog, (problem_kind_t)kind);
            assert_true(catalog_valid_rows(catalog) + left_out >= ROWS);
            use(catalog);
            opened++;
        } else {
            assert_null(catalog);
            assert_int_equal(code, ERR_INPUT);
            assert_true(strlen(error.message) > 20);
        }
        assert_true(memory_take_largest() <= length + CONSTANT);
        catalog_close(&catalog);
    }
    assert_true(opened > FILES / 20 && opened < FILES); /* both ways were taken */
    assert_true(memory_resident_peak() < before + (32u << 20));
    close(descriptor);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_damage_crashes_or_costs_memory),
    };
    return cmocka_run_group_tests_name("mutated_metadata", tests, NULL, NULL);
}
