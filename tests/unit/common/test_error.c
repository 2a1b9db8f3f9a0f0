/* Errors carry one message, bounded, and a table gives them their names and numbers. */
#include "common/error.h"
#include "common/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static void an_error_says_what_was_set(void **state)
{
    error_t error = ERROR_INIT;
    (void)state;
    assert_int_equal(error_field(&error, ERR_USAGE, "workers", "has %d, 1 to %d is possible", 0, 9),
                     ERR_USAGE);
    assert_string_equal(error.field, "workers");
    assert_string_equal(error.message, "has 0, 1 to 9 is possible");
    assert_int_equal(error_set(&error, ERR_IO, "gone"), ERR_IO);
    assert_string_equal(error.field, "");
    assert_int_equal(error.code, ERR_IO);
    assert_int_equal(error_set(NULL, ERR_INPUT, "nobody listens"), ERR_INPUT);
}

static void a_prefix_says_where(void **state)
{
    error_t error = ERROR_INIT;
    (void)state;
    error_field(&error, ERR_INPUT, "dimension", "is 3");
    assert_int_equal(error_wrap(&error, "%s, row %d", "events.index", 4), ERR_INPUT);
    assert_string_equal(error.message, "events.index, row 4: is 3");
    assert_string_equal(error.field, "dimension");
}

static void long_messages_are_cut_and_end(void **state)
{
    error_t error = ERROR_INIT;
    char text[2000];
    (void)state;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    error_field(&error, ERR_INPUT, text, "%s", text);
    assert_int_equal(strlen(error.message), sizeof error.message - 1);
    assert_int_equal(strlen(error.field), sizeof error.field - 1);
    error_set(&error, ERR_INPUT, "the cause");
    error_wrap(&error, "%s", text);
    assert_non_null(strstr(error.message, ": the cause")); /* a long place leaves room for it */
}

static void what_is_quoted_stays_one_line_of_utf8(void **state)
{
    error_t error = ERROR_INIT;
    char text[2000];
    (void)state;
    error_field(&error, ERR_INPUT, "a\nb", "a\nb\xff\tc\xc3\xa9\x7f");
    assert_string_equal(error.field, "a?b");
    assert_string_equal(error.message, "a?b??c\xc3\xa9?");
    error_wrap(&error, "x\r\n\xc3");
    assert_string_equal(error.message, "x???: a?b??c\xc3\xa9?");
    for (size_t i = 0; i + 2 < sizeof text; i += 2)
        memcpy(text + i, "\xc3\xa9", 3);
    error_set(&error, ERR_INPUT, "%s", text); /* the limit splits a character */
    assert_int_equal(utf8_valid_prefix(error.message, sizeof error.message - 1),
                     sizeof error.message - 1);
}

static void every_code_has_its_row(void **state)
{
    (void)state;
    assert_string_equal(error_name(OK), "OK");
    assert_string_equal(error_name(ERR_CHANGED), "ERR_CHANGED");
    assert_string_equal(error_name(-1), "ERR_INTERNAL");
    assert_string_equal(error_name(ERROR_CODE_COUNT), "ERR_INTERNAL");
    assert_int_equal(error_http_status(ERR_BUSY), 429);
    assert_int_equal(error_exit_code(OK), 0);
    for (int a = 0; a < ERROR_CODE_COUNT; a++) {
        assert_true(strlen(error_title(a)) > 0);
        for (int b = 0; b < a; b++)
            assert_int_not_equal(error_exit_code(a), error_exit_code(b));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_error_says_what_was_set),
        cmocka_unit_test(a_prefix_says_where),
        cmocka_unit_test(long_messages_are_cut_and_end),
        cmocka_unit_test(what_is_quoted_stays_one_line_of_utf8),
        cmocka_unit_test(every_code_has_its_row),
    };
    return cmocka_run_group_tests_name("error", tests, NULL, NULL);
}
