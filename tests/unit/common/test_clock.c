/* Times as Stage 3 writes them, held against the C library's own calendar. */
#include "common/clock.h"

#include "lib/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

static int64_t parsed(const char *text)
{
    int64_t ms = TIME_NONE;
    time_parse(text, strlen(text), &ms);
    return ms;
}

static void dates_and_times_are_read(void **state)
{
    (void)state;
    assert_int_equal(parsed("1970-01-01"), 0);
    assert_int_equal(parsed("2015-09-12T00:00:00Z"), 1442016000000);
    assert_int_equal(parsed("2015-09-12T01:02"), 1442016000000 + 3720000);
    assert_int_equal(parsed("2015-09-12T01:02:03"), 1442016000000 + 3723000);
    assert_int_equal(parsed("2015-09-12T01:02:03.5Z"), 1442016000000 + 3723500);
    assert_int_equal(parsed("2015-09-12T01:02:03.045678+00:00"), 1442016000000 + 3723045);
    assert_int_equal(parsed("2015-09-12T02:00:00+02:00"), 1442016000000);
    assert_int_equal(parsed("2015-09-11T18:30:00-05:30"), 1442016000000);
    assert_int_equal(parsed("2015-09-12Z"), 1442016000000);
    assert_int_equal(parsed("2000-02-29"), 951782400000);
    assert_int_equal(parsed("0001-01-01"), -62135596800000);
    assert_int_equal(parsed("9999-12-31T23:59:59.999Z"), 253402300799999);
}

static void what_is_no_time_leaves_the_result_alone(void **state)
{
    static const char *const bad[] = {
        "",
        "2015",
        "2015-9-12",
        "2015-13-01",
        "2015-00-10",
        "2015-02-29",
        "1900-02-29",
        "0000-01-01",
        "2015-09-31",
        "2015-09-12T",
        "2015-09-12T24:00",
        "2015-09-12T10:60",
        "2015-09-12T10",
        "2015-09-12 10:00",
        "2015-09-12T10:00:60",
        "2015-09-12T10:00:00.",
        "2015-09-12T10:00:00ZZ",
        "2015-09-12T10:00:00+2:00",
        "2015-09-12T10:00:00+24:00",
        "x015-09-12",
        "2015-09-12T10:00:00.1234567890Z",
        "-015-09-12",
        "2015/09/12",
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t ms = 7;
        assert_int_equal(time_parse(bad[i], strlen(bad[i]), &ms), 0);
        assert_int_equal(ms, 7);
    }
    int64_t ms;
    assert_int_equal(time_parse("2015-09-12T00:00:00Z", 9, &ms), 0); /* no byte past the length */
}

static void every_time_agrees_with_the_c_library(void **state)
{
    random_t random = {1};
    (void)state;
    for (int i = 0; i < 20000; i++) {
        int64_t seconds = (int64_t)(random_unit(&random) * 315537897600.0) - 62135596800;
        char expected[32], text[32];
        time_t value = (time_t)seconds;
        struct tm parts;
        gmtime_r(&value, &parts);
        snprintf(expected, sizeof expected, "%04d-%02d-%02dT%02d:%02d:%02dZ", parts.tm_year + 1900,
                 parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
        time_format(seconds * 1000, text);
        assert_string_equal(text, expected);
        assert_int_equal(parsed(text), seconds * 1000);
    }
}

static void milliseconds_are_written_when_there_are_any(void **state)
{
    char text[32];
    (void)state;
    time_format(1442016000007, text);
    assert_string_equal(text, "2015-09-12T00:00:00.007Z");
    time_format(-1, text);
    assert_string_equal(text, "1969-12-31T23:59:59.999Z");
    time_format(INT64_MAX, text); /* whatever it says, it says it in 32 bytes */
    assert_true(strlen(text) < 32);
    time_format(INT64_MIN, text);
    assert_true(strlen(text) < 32);
}

static void days_round_down(void **state)
{
    (void)state;
    assert_int_equal(time_day(0), 0);
    assert_int_equal(time_day(86399999), 0);
    assert_int_equal(time_day(86400000), 1);
    assert_int_equal(time_day(-1), -1);
    assert_int_equal(time_day(-86400000), -1);
    assert_int_equal(time_day(-86400001), -2);
    assert_int_equal(time_day(TIME_NONE), DAY_NONE);
    assert_true(time_day(INT64_MIN + 1) != DAY_NONE);
}

static void clocks_go_forward(void **state)
{
    (void)state;
    int64_t before = clock_monotonic_ms();
    assert_true(clock_monotonic_ms() >= before);
    assert_true(clock_wall_ms() > parsed("2024-01-01"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dates_and_times_are_read),
        cmocka_unit_test(what_is_no_time_leaves_the_result_alone),
        cmocka_unit_test(every_time_agrees_with_the_c_library),
        cmocka_unit_test(milliseconds_are_written_when_there_are_any),
        cmocka_unit_test(days_round_down),
        cmocka_unit_test(clocks_go_forward),
    };
    return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
