#include "cli/text_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

static void assert_prints(const char *const (*rows)[3], size_t count, const char *wanted)
{
    static const text_column_t COLUMNS[] = {{"name", 0, 0}, {"size", 1, 0}, {"label", 0, 8}};
    text_table_t *table = text_table_new(COLUMNS, 3);
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    for (size_t i = 0; i < count; i++)
        assert_true(text_table_add(table, rows[i]));
    assert_int_equal(text_table_rows(table), count);
    text_table_print(table, "> ", out);
    fclose(out);
    assert_string_equal(text, wanted);
    free(text);
    text_table_destroy(&table);
    assert_null(table);
}

static void columns_are_aligned_and_no_line_ends_in_a_space(void **state)
{
    (void)state;
    static const char *const ROWS[][3] = {
        {"a", "7", "x"}, {"longer", "1234567", NULL}, {NULL, "1", "y"}};
    assert_prints(ROWS, 3,
                  "> name       size  label\n"
                  "> a             7  x\n"
                  "> longer  1234567\n"
                  ">               1  y\n");
}

static void a_long_cell_is_cut(void **state)
{
    (void)state;
    static const char *const ROWS[][3] = {{"a", "1", "12345678"}, {"b", "2", "123456789"}};
    assert_prints(ROWS, 2,
                  "> name  size  label\n"
                  "> a        1  12345678\n"
                  "> b        2  12345...\n");
}

static void wide_and_combining_characters_keep_the_columns(void **state)
{
    (void)state;
    static const char *const ROWS[][3] = {
        {"\xe6\x97\xa5\xe6\x9c\xac", "1", "x"}, {"e\xcc\x81", "2", "y"}, {"\xc3\xa9", "3", "z"}};
    assert_prints(ROWS, 3,
                  "> name  size  label\n"
                  "> \xe6\x97\xa5\xe6\x9c\xac     1  x\n"
                  "> e\xcc\x81        2  y\n"
                  "> \xc3\xa9        3  z\n");
}

static void a_wide_character_is_not_cut_in_half(void **state)
{
    (void)state;
    static const char *const ROWS[][3] = {{"a", "1", "1234\xe6\x97\xa5\xe6\x9c\xac\xe6\x97\xa5"}};
    assert_prints(ROWS, 1,
                  "> name  size  label\n"
                  "> a        1  1234...\n");
}

static void nothing_reaches_the_terminal_that_it_would_obey(void **state)
{
    (void)state;
    static const char *const ROWS[][3] = {{"a\x1b[2J", "1", "b\nc"},
                                          {"\xc2\x9b"
                                           "1m",
                                           "2", "\xe2\x80\xaex"},
                                          {"\xff\xc3", "3", ""}};
    assert_prints(ROWS, 3,
                  "> name   size  label\n"
                  "> a [2J     1  b c\n"
                  ">  1m       2   x\n"
                  "> ??        3\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_are_aligned_and_no_line_ends_in_a_space),
        cmocka_unit_test(a_long_cell_is_cut),
        cmocka_unit_test(wide_and_combining_characters_keep_the_columns),
        cmocka_unit_test(a_wide_character_is_not_cut_in_half),
        cmocka_unit_test(nothing_reaches_the_terminal_that_it_would_obey),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
