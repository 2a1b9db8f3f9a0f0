/* NaN and the infinities are found outside of strings only, however the text is cut in pieces. */
#include "common/input/non_finite.h"

#include "lib/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const char TEXT[] =
    "{\"NaN\\\"Infinity\\\\\": [NaN,-Infinity,Infinity,\"\\\\\",NaN], \"N\": null}";
static const char BLANK[] =
    "{\"NaN\\\"Infinity\\\\\": [0  ,-0       ,0       ,\"\\\\\",0  ], \"N\": null}";
static const char NULLED[] =
    "{\"NaN\\\"Infinity\\\\\": [null,null,null,\"\\\\\",null], \"N\": null}";

static void they_are_blanked_in_place(void **state)
{
    random_t random = {6};
    (void)state;
    for (int round = 0; round < 500; round++) {
        char text[sizeof TEXT];
        non_finite_scan_t scan = {0, 0};
        size_t at = 0, size = 0, whole = strlen(TEXT);
        memcpy(text, TEXT, sizeof TEXT);
        while (at < whole) { /* what is not done is given again with more behind it */
            size += 1 + random_below(&random, 9);
            size = at + size < whole ? size : whole - at;
            size_t done = non_finite_blank(&scan, text + at, size, at + size == whole);
            at += done;
            size -= done;
        }
        assert_string_equal(text, BLANK);
    }
}

static void they_become_null_in_a_copy(void **state)
{
    size_t length = strlen(TEXT);
    (void)state;
    char *copy = non_finite_to_null(TEXT, &length);
    assert_string_equal(copy, NULLED);
    assert_int_equal(length, strlen(NULLED));
    free(copy);
    static const char many[] = "NaNNaNNaNNaN"; /* no JSON, but the copy must hold it */
    length = strlen(many);
    copy = non_finite_to_null(many, &length);
    assert_string_equal(copy, "nullnullnullnull");
    free(copy);
}

static void what_only_begins_like_one_is_left(void **state)
{
    static const char text[] = "[Na, Infinite, I";
    char copy[sizeof text];
    non_finite_scan_t scan = {0, 0};
    (void)state;
    memcpy(copy, text, sizeof text);
    assert_int_equal(non_finite_blank(&scan, copy, strlen(text), 0), strlen(text) - 1);
    assert_int_equal(non_finite_blank(&scan, copy + strlen(text) - 1, 1, 1), 1);
    assert_string_equal(copy, text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_are_blanked_in_place),
        cmocka_unit_test(they_become_null_in_a_copy),
        cmocka_unit_test(what_only_begins_like_one_is_left),
    };
    return cmocka_run_group_tests_name("non_finite", tests, NULL, NULL);
}
