/* Payload columns: what is put comes back, equal content gives equal bytes, and no damaged payload
 * is read outside its bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "lib/random.h"
#include "proto/columns.h"

static void write_sample(uint8_t **bytes, size_t *length)
{
    static const uint32_t ROWS[] = {7, 8, 9};
    static const double WEIGHTS[] = {0.5, 1e300};
    static const char *const NAMES[] = {"", "domain=military_operations", "x"};
    columns_writer_t *writer = columns_writer_new("sample");
    columns_put(writer, "rows", COLUMN_U32, ROWS, 3);
    columns_put(writer, "weights", COLUMN_F64, WEIGHTS, 2);
    columns_put(writer, "empty", COLUMN_F32, NULL, 0);
    columns_put_strings(writer, "names", NAMES, 3);
    assert_int_equal(columns_writer_finish(&writer, bytes, length, NULL), OK);
    assert_null(writer);
}

static void what_is_put_comes_back(void **state)
{
    (void)state;
    uint8_t *bytes;
    size_t length, count;
    const void *values;
    const char *text;
    columns_t *view;
    write_sample(&bytes, &length);
    assert_int_equal(columns_open(bytes, length, "sample", &view, NULL), OK);
    assert_int_equal(columns_get(view, "rows", COLUMN_U32, 3, &values, NULL, NULL), OK);
    assert_int_equal(((const uint32_t *)values)[2], 9);
    assert_int_equal(((uintptr_t)values - (uintptr_t)bytes) % 64, 0);
    assert_int_equal(columns_get(view, "weights", COLUMN_F64, SIZE_MAX, &values, &count, NULL), OK);
    assert_int_equal(count, 2);
    assert_true(((const double *)values)[1] == 1e300);
    assert_int_equal(columns_get(view, "empty", COLUMN_F32, 0, &values, NULL, NULL), OK);
    assert_int_equal(columns_string(view, "names", 1, &text, &count, NULL), OK);
    assert_int_equal(count, strlen("domain=military_operations"));
    assert_memory_equal(text, "domain=military_operations", count);
    assert_int_equal(columns_string(view, "names", 0, &text, &count, NULL), OK);
    assert_int_equal(count, 0);
    columns_close(&view);
    free(bytes);
}

static void an_array_that_is_filled_in_place_gives_the_same_bytes(void **state)
{
    (void)state;
    uint8_t *bytes[2];
    size_t length[2];
    uint32_t values[5000] = {0};
    values[4321] = 7;
    for (int made = 0; made < 2; made++) {
        columns_writer_t *writer = columns_writer_new("sample");
        columns_put(writer, "first", COLUMN_U8, "x", 1);
        if (made)
            ((uint32_t *)columns_make(writer, "values", COLUMN_U32, 5000))[4321] = 7;
        else
            columns_put(writer, "values", COLUMN_U32, values, 5000);
        columns_put(writer, "last", COLUMN_U8, "y", 1);
        assert_int_equal(columns_writer_finish(&writer, &bytes[made], &length[made], NULL), OK);
    }
    assert_int_equal(length[0], length[1]);
    assert_memory_equal(bytes[0], bytes[1], length[0]);
    free(bytes[0]);
    free(bytes[1]);
}

static void equal_content_gives_equal_bytes(void **state)
{
    (void)state;
    uint8_t *a, *b;
    size_t length_a, length_b;
    write_sample(&a, &length_a);
    write_sample(&b, &length_b);
    assert_int_equal(length_a, length_b);
    assert_memory_equal(a, b, length_a);
    free(a);
    free(b);
}

static void a_wrong_question_is_answered_by_name(void **state)
{
    (void)state;
    uint8_t *bytes;
    size_t length;
    const void *values;
    const char *text;
    columns_t *view = NULL;
    error_t error = ERROR_INIT;
    write_sample(&bytes, &length);
    assert_int_equal(columns_open(bytes, length, "plan", &view, &error), ERR_PROTOCOL);
    assert_non_null(strstr(error.message, "sample"));
    assert_int_equal(columns_open(bytes, length - 1, "sample", &view, &error), ERR_PROTOCOL);
    assert_int_equal(columns_open(bytes, length, "sample", &view, &error), OK);
    assert_int_equal(columns_get(view, "cols", COLUMN_U32, 3, &values, NULL, &error), ERR_PROTOCOL);
    assert_non_null(strstr(error.message, "cols"));
    assert_int_equal(columns_get(view, "rows", COLUMN_I32, 3, &values, NULL, &error), ERR_PROTOCOL);
    assert_int_equal(columns_get(view, "rows", COLUMN_U32, 4, &values, NULL, &error), ERR_PROTOCOL);
    assert_int_equal(columns_string(view, "names", 3, &text, &length, &error), ERR_PROTOCOL);
    columns_close(&view);
    free(bytes);
}

static void a_column_cannot_be_put_twice(void **state)
{
    (void)state;
    uint32_t value = 1;
    uint8_t *bytes;
    size_t length;
    columns_writer_t *writer = columns_writer_new("sample");
    columns_put(writer, "a", COLUMN_U32, &value, 1);
    columns_put(writer, "a", COLUMN_U32, &value, 1);
    assert_int_equal(columns_writer_finish(&writer, &bytes, &length, NULL), ERR_INTERNAL);
}

/* Reads everything a payload offers; the sanitizer sees a step outside. */
static void read_all(const uint8_t *bytes, size_t length)
{
    static const char *const COLUMNS[] = {"rows", "weights", "empty", "names", "names_end"};
    columns_t *view;
    const void *values;
    const char *text;
    size_t count, size;
    volatile uint8_t sink = 0;
    if (columns_open(bytes, length, "sample", &view, NULL))
        return;
    for (size_t c = 0; c < 5; c++)
        for (int type = COLUMN_U8; type <= COLUMN_F64; type++)
            if (!columns_get(view, COLUMNS[c], (column_type_t)type, SIZE_MAX, &values, &count,
                             NULL))
                for (size_t i = 0; i < count; i++)
                    sink ^= ((const uint8_t *)values)[i];
    for (size_t i = 0; i < 4; i++)
        if (!columns_string(view, "names", i, &text, &size, NULL))
            for (size_t j = 0; j < size; j++)
                sink ^= (uint8_t)text[j];
    (void)sink;
    columns_close(&view);
}

static void no_damaged_payload_is_read_outside_its_bytes(void **state)
{
    (void)state;
    uint8_t *bytes;
    size_t length;
    random_t random = {4};
    write_sample(&bytes, &length);
    for (int round = 0; round < 20000; round++) {
        size_t cut =
            random_below(&random, 8) ? length : random_below(&random, (uint32_t)length + 1);
        uint8_t *copy = malloc(cut ? cut : 1);
        memcpy(copy, bytes, cut);
        for (uint32_t n = random_below(&random, 6); cut && n > 0; n--) {
            uint8_t *at = copy + random_below(&random, (uint32_t)cut);
            *at = random_below(&random, 2) ? (uint8_t)random_next(&random) : 0xff;
        }
        read_all(copy, cut);
        free(copy);
    }
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_put_comes_back),
        cmocka_unit_test(an_array_that_is_filled_in_place_gives_the_same_bytes),
        cmocka_unit_test(equal_content_gives_equal_bytes),
        cmocka_unit_test(a_wrong_question_is_answered_by_name),
        cmocka_unit_test(a_column_cannot_be_put_twice),
        cmocka_unit_test(no_damaged_payload_is_read_outside_its_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
