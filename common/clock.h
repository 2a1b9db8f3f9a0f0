/* clock.h - time in milliseconds and days, and ISO 8601 as Stage 3 writes it. */
#ifndef STAGE4_COMMON_CLOCK_H
#define STAGE4_COMMON_CLOCK_H

#include <stddef.h>
#include <stdint.h>

#define TIME_NONE INT64_MIN /* a time that is not known */
#define DAY_NONE INT32_MIN  /* a day that is not known */

int64_t clock_wall_ms(void);      /* since 1970-01-01T00:00:00Z */
int64_t clock_monotonic_ms(void); /* never goes back */
int64_t clock_monotonic_us(void); /* the same in microseconds */

/* Reads YYYY-MM-DD, optionally THH:MM[:SS[.fff]], then Z, +HH:MM, -HH:MM or nothing (UTC).
 * 1 when valid, else 0 and `out` untouched. Proleptic Gregorian, years 0001 to 9999. */
int time_parse(const char *text, size_t length, int64_t *out_ms);

/* "2015-09-12T00:00:00Z"; milliseconds only when they are not zero. `out` holds 32 bytes. */
void time_format(int64_t time_ms, char out[32]);

/* Whole days since 1970-01-01 in UTC, rounded down; DAY_NONE for TIME_NONE. */
int32_t time_day(int64_t time_ms);

#endif
