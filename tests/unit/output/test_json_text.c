#include "common/clock.h"
#include "coordinator/output/json_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static json_text_t of_string(const char *bytes, size_t length)
{
    json_text_t text = {0};
    json_text_string(&text, bytes, length);
    return text;
}

static void strings_are_escaped_as_json_demands(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        size_t length;
        const char *out;
    } cases[] = {
        {"plain", 5, "\"plain\""},
        {"", 0, "\"\""},
        {"a\"b\\c", 5, "\"a\\\"b\\\\c\""},
        {"\n\r\t\b\f", 5, "\"\\n\\r\\t\\b\\f\""},
        {"\0\x1f\x7f", 3, "\"\\u0000\\u001f\\u007f\""},
        {"Z\xc3\xbcrich \xe2\x82\xac \xf0\x9f\x8c\x8d", 16,
         "\"Z\xc3\xbcrich \xe2\x82\xac \xf0\x9f\x8c\x8d\""},
        {"a\xff"
         "b",
         3,
         "\"a\xef\xbf\xbd"
         "b\""},
        {"\xc3", 1, "\"\xef\xbf\xbd\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_text_t text = of_string(cases[i].in, cases[i].length);
        assert_string_equal(text.bytes, cases[i].out);
        json_text_clear(&text);
    }
}

/* Any bytes give a string that a JSON reader takes. */
static void random_bytes_give_valid_json(void **state)
{
    (void)state;
    uint32_t seed = 12345;
    for (int round = 0; round < 20000; round++) {
        char bytes[24];
        for (size_t i = 0; i < sizeof bytes; i++) {
            seed = seed * 1664525 + 1013904223;
            bytes[i] = (char)(seed >> 24);
        }
        json_text_t text = of_string(bytes, sizeof bytes);
        json_t *value = json_loads(text.bytes, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        assert_non_null(value);
        json_decref(value);
        json_text_clear(&text);
    }
}

static float float_of_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* The shortest that reads back, found by trying every precision. */
static void float_shortest(float value, char out[40])
{
    for (int digits = 1; digits <= 9; digits++) {
        snprintf(out, 40, "%.*g", digits, (double)value);
        if (strtof(out, NULL) == value)
            return;
    }
}

static void floats_are_the_shortest_that_read_back(void **state)
{
    (void)state;
    json_text_t text = {0};
    uint32_t seed = 99;
    for (int round = 0; round < 200000; round++) {
        char expected[40];
        seed = seed * 1664525 + 1013904223;
        float value = round % 2 ? float_of_bits(seed) : (float)(int32_t)seed * 0x1p-31f;
        if (!isfinite(value))
            continue;
        json_text_reset(&text);
        json_text_float(&text, value);
        float_shortest(value, expected);
        assert_true(strtof(text.bytes, NULL) == value);
        assert_int_equal(strlen(text.bytes), strlen(expected));
    }
    const float special[] = {0.0f, 1.0f, -1.0f, 0.5f, 1e-45f, 3.4028235e38f, 0.1f, 1.1754944e-38f};
    for (size_t i = 0; i < sizeof special / sizeof *special; i++) {
        char expected[40];
        json_text_reset(&text);
        json_text_float(&text, special[i]);
        float_shortest(special[i], expected);
        assert_string_equal(text.bytes, expected);
    }
    json_text_clear(&text);
}

static void an_array_of_floats_is_each_of_them(void **state)
{
    (void)state;
    const float values[] = {0.25f, -0.0078125f, 1e-7f, NAN, 0.99999994f, -3.5f, 0};
    size_t count = sizeof values / sizeof *values;
    json_text_t whole = {0}, parts = {0};
    json_text_floats(&whole, values, 0);
    json_text_floats(&whole, values, count);
    json_text_raw(&parts, "[][", 3);
    for (size_t i = 0; i < count; i++) {
        json_text_next(&parts);
        json_text_float(&parts, values[i]);
    }
    json_text_raw(&parts, "]", 1);
    assert_string_equal(whole.bytes, parts.bytes);
    json_text_clear(&whole);
    json_text_clear(&parts);
}

static void numbers_that_json_has_not_are_null(void **state)
{
    (void)state;
    json_text_t text = {0};
    json_text_float(&text, NAN);
    json_text_double(&text, INFINITY);
    json_text_time(&text, TIME_NONE);
    assert_string_equal(text.bytes, "nullnullnull");
    json_text_clear(&text);
}

static void doubles_read_back(void **state)
{
    (void)state;
    const double values[] = {0.1, 1.0 / 3, 1e300, -5e-324, 0.3, 123456789.125};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        json_text_t text = {0};
        json_text_double(&text, values[i]);
        assert_true(strtod(text.bytes, NULL) == values[i]);
        json_text_clear(&text);
    }
}

static void a_value_loses_its_white_space_but_not_that_of_strings(void **state)
{
    (void)state;
    const char *in = " { \"a b\" :\n [ 1 , \"x \\\" \\\\\" , null ] ,\t\"c\":\"\\\\\" } \r\n";
    json_text_t text = {0};
    json_text_value(&text, in, strlen(in));
    assert_string_equal(text.bytes, "{\"a b\":[1,\"x \\\" \\\\\",null],\"c\":\"\\\\\"}");
    json_text_clear(&text);
}

static void commas_stand_between_and_nowhere_else(void **state)
{
    (void)state;
    json_text_t text = {0};
    json_text_raw(&text, "{", 1);
    json_text_key(&text, "a");
    json_text_raw(&text, "[", 1);
    for (int i = 0; i < 3; i++) {
        json_text_next(&text);
        json_text_integer(&text, i - 1);
    }
    json_text_raw(&text, "]", 1);
    json_text_key(&text, "b");
    json_text_time(&text, 0);
    json_text_raw(&text, "}", 1);
    assert_string_equal(text.bytes, "{\"a\":[-1,0,1],\"b\":\"1970-01-01T00:00:00Z\"}");
    json_text_clear(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strings_are_escaped_as_json_demands),
        cmocka_unit_test(random_bytes_give_valid_json),
        cmocka_unit_test(floats_are_the_shortest_that_read_back),
        cmocka_unit_test(an_array_of_floats_is_each_of_them),
        cmocka_unit_test(numbers_that_json_has_not_are_null),
        cmocka_unit_test(doubles_read_back),
        cmocka_unit_test(a_value_loses_its_white_space_but_not_that_of_strings),
        cmocka_unit_test(commas_stand_between_and_nowhere_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
