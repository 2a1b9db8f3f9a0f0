#include "common/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define DAY_MS INT64_C(86400000)

static int64_t now_ms(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t clock_wall_ms(void) { return now_ms(CLOCK_REALTIME); }

int64_t clock_monotonic_ms(void) { return now_ms(CLOCK_MONOTONIC); }

int64_t clock_monotonic_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Days and civil dates by counting from 0000-03-01, so that the leap day ends the year:
 * H. Hinnant, "chrono-Compatible Low-Level Date Algorithms". */
static int64_t days_from_civil(int year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

static void civil_from_days(int64_t days, int64_t *year, int *month, int *day)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted_month = (5 * day_of_year + 2) / 153;
    *day = (int)(day_of_year - (153 * shifted_month + 2) / 5 + 1);
    *month = (int)(shifted_month < 10 ? shifted_month + 3 : shifted_month - 9);
    *year = year_of_era + era * 400 + (*month <= 2);
}

static int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
}

/* What is left of the text that is being read. */
typedef struct {
    const char *at;
    const char *end;
} reader_t;

static int take(reader_t *reader, char c)
{
    if (reader->at == reader->end || *reader->at != c)
        return 0;
    reader->at++;
    return 1;
}

static int is_digit(char c) { return c >= '0' && c <= '9'; }

/* Exactly `width` digits whose value lies in [low, high]. */
static int take_number(reader_t *reader, int width, int low, int high, int *out)
{
    if (reader->end - reader->at < width)
        return 0;
    int value = 0;
    for (int i = 0; i < width; i++) {
        if (!is_digit(reader->at[i]))
            return 0;
        value = value * 10 + (reader->at[i] - '0');
    }
    reader->at += width;
    *out = value;
    return value >= low && value <= high;
}

static int take_date(reader_t *reader, int64_t *out_ms)
{
    int year, month, day;
    if (!take_number(reader, 4, 1, 9999, &year) || !take(reader, '-') ||
        !take_number(reader, 2, 1, 12, &month) || !take(reader, '-') ||
        !take_number(reader, 2, 1, days_in_month(year, month), &day))
        return 0;
    *out_ms = days_from_civil(year, month, day) * DAY_MS;
    return 1;
}

/* One to nine digits after the point; what is finer than a millisecond is cut off. */
static int take_fraction(reader_t *reader, int *out_ms)
{
    int milliseconds = 0;
    int digits = 0;
    for (; reader->at < reader->end && is_digit(*reader->at); reader->at++, digits++) {
        if (digits < 3)
            milliseconds = milliseconds * 10 + (*reader->at - '0');
    }
    for (int i = digits; i < 3; i++)
        milliseconds *= 10;
    *out_ms = milliseconds;
    return digits >= 1 && digits <= 9;
}

static int take_time_of_day(reader_t *reader, int64_t *ms)
{
    int hour, minute, second = 0, fraction = 0;
    if (!take_number(reader, 2, 0, 23, &hour) || !take(reader, ':') ||
        !take_number(reader, 2, 0, 59, &minute))
        return 0;
    if (take(reader, ':')) {
        if (!take_number(reader, 2, 0, 59, &second))
            return 0;
        if (take(reader, '.') && !take_fraction(reader, &fraction))
            return 0;
    }
    *ms += ((hour * INT64_C(60) + minute) * 60 + second) * 1000 + fraction;
    return 1;
}

static int take_offset(reader_t *reader, int64_t *ms)
{
    if (reader->at == reader->end || take(reader, 'Z'))
        return 1;
    int sign = take(reader, '+') ? 1 : take(reader, '-') ? -1 : 0;
    int hours, minutes;
    if (sign == 0 || !take_number(reader, 2, 0, 23, &hours) || !take(reader, ':') ||
        !take_number(reader, 2, 0, 59, &minutes))
        return 0;
    *ms -= sign * (hours * INT64_C(60) + minutes) * 60000;
    return 1;
}

int time_parse(const char *text, size_t length, int64_t *out_ms)
{
    reader_t reader = {text, text + length};
    int64_t ms = 0;
    if (!take_date(&reader, &ms))
        return 0;
    if (take(&reader, 'T') && !take_time_of_day(&reader, &ms))
        return 0;
    if (!take_offset(&reader, &ms) || reader.at != reader.end)
        return 0;
    *out_ms = ms;
    return 1;
}

static int64_t floor_divide(int64_t value, int64_t by)
{
    return value / by - (value % by < 0 ? 1 : 0);
}

void time_format(int64_t time_ms, char out[32])
{
    int64_t days = floor_divide(time_ms, DAY_MS);
    int64_t rest = time_ms % DAY_MS;
    rest += rest < 0 ? DAY_MS : 0;
    int64_t year;
    int month, day;
    civil_from_days(days, &year, &month, &day);
    int written =
        snprintf(out, 32, "%04lld-%02d-%02dT%02d:%02d:%02d", (long long)year, month, day,
                 (int)(rest / 3600000), (int)(rest / 60000 % 60), (int)(rest / 1000 % 60));
    if (rest % 1000 != 0 && written < 27)
        written += snprintf(out + written, 32 - (size_t)written, ".%03d", (int)(rest % 1000));
    if (written < 31)
        strcpy(out + written, "Z");
}

int32_t time_day(int64_t time_ms)
{
    if (time_ms == TIME_NONE)
        return DAY_NONE;
    int64_t day = floor_divide(time_ms, DAY_MS);
    if (day <= INT32_MIN)
        return INT32_MIN + 1;
    return day > INT32_MAX ? INT32_MAX : (int32_t)day;
}
