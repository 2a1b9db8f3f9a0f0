/* Well-formed UTF-8 is what a plain decoder and encoder take and give back. */
#include "common/utf8.h"

#include "lib/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

/* The definition (RFC 3629): encode a code point. */
static size_t encode(uint32_t point, char out[4])
{
    if (point < 0x80) {
        out[0] = (char)point;
        return 1;
    }
    size_t length = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    for (size_t i = length; i-- > 1; point >>= 6)
        out[i] = (char)(0x80 | (point & 0x3f));
    out[0] = (char)((0xf00 >> length & 0xff) | point);
    return length;
}

static void every_code_point_is_one_sequence(void **state)
{
    (void)state;
    for (uint32_t point = 0; point < 0x120000; point++) {
        char text[4];
        size_t length = encode(point, text);
        int well_formed = point < 0xd800 || (point > 0xdfff && point < 0x110000);
        assert_int_equal(utf8_sequence(text, length), well_formed ? length : 0);
        assert_int_equal(utf8_sequence(text, length - 1), 0);
    }
}

static void overlong_and_stray_bytes_are_malformed(void **state)
{
    static const char *const bad[] = {
        "\x80", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xf0\x8f\xbf\xbf", "\xf8\x88\x80\x80",
        "\xff", "\xc3("};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(utf8_valid_prefix(bad[i], strlen(bad[i])), 0);
}

static void the_valid_prefix_ends_before_the_fault(void **state)
{
    random_t random = {4};
    (void)state;
    for (int round = 0; round < 2000; round++) {
        char text[200];
        size_t length = 0;
        while (length < 100) {
            uint32_t point = random_below(&random, round % 2 ? 0x80 : 0xd800);
            length += encode(point, text + length);
        }
        assert_int_equal(utf8_valid_prefix(text, length), length);
        text[length] = '\xff';
        assert_int_equal(utf8_valid_prefix(text, length + 1), length);
    }
}

static void a_cut_splits_no_sequence(void **state)
{
    const char *text = "aé€\xf0\x9f\x98\x80z";
    (void)state;
    static const size_t expected[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11, 11};
    for (size_t limit = 0; limit < sizeof expected / sizeof *expected; limit++)
        assert_int_equal(utf8_cut(text, strlen(text), limit), expected[limit]);
}

static void a_repair_moves_nothing_and_leaves_nothing_malformed(void **state)
{
    random_t random = {5};
    char text[64] = "a\xed\xb0\x80z\xff\xc3";
    (void)state;
    utf8_repair(text, 7);
    assert_memory_equal(text, "a\xef\xbf\xbdz??", 7);
    for (int round = 0; round < 20000; round++) {
        size_t length = random_below(&random, sizeof text);
        for (size_t i = 0; i < length; i++)
            text[i] = (char)random_below(&random, 256);
        utf8_repair(text, length);
        assert_int_equal(utf8_valid_prefix(text, length), length);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_point_is_one_sequence),
        cmocka_unit_test(overlong_and_stray_bytes_are_malformed),
        cmocka_unit_test(the_valid_prefix_ends_before_the_fault),
        cmocka_unit_test(a_cut_splits_no_sequence),
        cmocka_unit_test(a_repair_moves_nothing_and_leaves_nothing_malformed),
    };
    return cmocka_run_group_tests_name("utf8", tests, NULL, NULL);
}
