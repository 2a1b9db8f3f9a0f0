/* json_text.h - JSON built piece by piece in one growing buffer, for lines that may be very long.
 *
 * Equal values give equal bytes. Out of memory is remembered and told once, by json_text_failed.
 * Commas are the caller's business: keys are written with json_text_key, which sets one before
 * every key but the first of an object. */
#ifndef STAGE4_COORDINATOR_OUTPUT_JSON_TEXT_H
#define STAGE4_COORDINATOR_OUTPUT_JSON_TEXT_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    char *bytes;
    size_t length;
    size_t capacity;
    int failed;
} json_text_t;

void json_text_clear(json_text_t *self); /* frees */
void json_text_reset(json_text_t *self); /* empty, keeps its memory */
int json_text_failed(const json_text_t *self);

void json_text_raw(json_text_t *self, const char *bytes, size_t length);
/* A string: UTF-8 is kept, what is no UTF-8 becomes U+FFFD, control characters, '"' and '\\' are
 * escaped. */
void json_text_string(json_text_t *self, const char *bytes, size_t length);
void json_text_integer(json_text_t *self, int64_t value);
/* The shortest decimals that read back as the same number; null when it is not finite. */
void json_text_float(json_text_t *self, float value);
void json_text_double(json_text_t *self, double value);
/* An array of floats. */
void json_text_floats(json_text_t *self, const float *values, size_t count);
/* A time as ISO 8601, null for TIME_NONE. */
void json_text_time(json_text_t *self, int64_t time_ms);
/* A whole JSON value as it stands, without the white space between its parts. */
void json_text_value(json_text_t *self, const char *json, size_t length);
/* `"key":`, after a comma unless an object or array has just been opened. */
void json_text_key(json_text_t *self, const char *key);
/* A comma unless an object or array has just been opened. */
void json_text_next(json_text_t *self);

#endif
