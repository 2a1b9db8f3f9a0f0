/* SHA-256 by the examples of FIPS 180-2, appendix B. */
#include "common/sha256.h"

#include "lib/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static void the_published_examples_hold(void **state)
{
    static const struct {
        const char *text;
        const char *digits;
    } examples[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
        char digits[65];
        sha256_t value = sha256_of(examples[i].text, strlen(examples[i].text));
        sha256_hex(&value, digits);
        assert_string_equal(digits, examples[i].digits);
    }
}

static void a_stream_in_pieces_equals_the_whole(void **state)
{
    uint8_t bytes[1000];
    random_t random = {3};
    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)random_next(&random);
    for (int round = 0; round < 100; round++) {
        sha256_stream_t *stream = sha256_stream_new();
        for (size_t at = 0; at < sizeof bytes;) {
            size_t left = sizeof bytes - at;
            size_t piece = 1 + random_below(&random, 200);
            sha256_stream_add(stream, bytes + at, piece < left ? piece : left);
            at += piece < left ? piece : left;
        }
        sha256_t value = sha256_stream_finish(&stream);
        sha256_t whole = sha256_of(bytes, sizeof bytes);
        assert_null(stream);
        assert_true(sha256_equal(&value, &whole));
    }
}

static void digits_are_read_back(void **state)
{
    sha256_t value = sha256_of("x", 1), back = {{0}};
    char digits[66];
    (void)state;
    sha256_hex(&value, digits);
    assert_true(sha256_parse(digits, &back));
    assert_true(sha256_equal(&value, &back));
    back.bytes[31] ^= 1;
    assert_false(sha256_equal(&value, &back));
    back.bytes[31] ^= 1;
    back.bytes[0] ^= 0x80;
    assert_false(sha256_equal(&value, &back));
}

static void what_is_no_digest_is_refused(void **state)
{
    sha256_t value = {{7}};
    char digits[67];
    (void)state;
    memset(digits, 'a', sizeof digits);
    digits[66] = '\0';
    digits[65] = '\0';
    assert_false(sha256_parse(digits, &value)); /* 65 */
    digits[63] = '\0';
    assert_false(sha256_parse(digits, &value)); /* 63 */
    digits[63] = 'g';
    digits[64] = '\0';
    assert_false(sha256_parse(digits, &value));
    assert_false(sha256_parse("", &value));
    assert_int_equal(value.bytes[0], 7);
    digits[63] = 'F';
    assert_true(sha256_parse(digits, &value));
    assert_int_equal(value.bytes[31], 0xaf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_examples_hold),
        cmocka_unit_test(a_stream_in_pieces_equals_the_whole),
        cmocka_unit_test(digits_are_read_back),
        cmocka_unit_test(what_is_no_digest_is_refused),
    };
    return cmocka_run_group_tests_name("sha256", tests, NULL, NULL);
}
