#include "coordinator/output/json_text.h"

#include "common/clock.h"
#include "common/utf8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void json_text_clear(json_text_t *self)
{
    free(self->bytes);
    *self = (json_text_t){0};
}

void json_text_reset(json_text_t *self) { self->length = 0; }
int json_text_failed(const json_text_t *self) { return self->failed; }

/* Room for `more` bytes and a NUL; 0 when there is none. */
static int reserve(json_text_t *self, size_t more)
{
    if (self->failed || more >= SIZE_MAX / 2 - self->length) {
        self->failed = 1;
        return 0;
    }
    if (self->length + more < self->capacity)
        return 1;
    size_t capacity = (self->length + more) * 3 / 2 + 256;
    char *bytes = realloc(self->bytes, capacity);
    if (!bytes) {
        self->failed = 1;
        return 0;
    }
    self->bytes = bytes;
    self->capacity = capacity;
    return 1;
}

void json_text_raw(json_text_t *self, const char *bytes, size_t length)
{
    if (!reserve(self, length))
        return;
    memcpy(self->bytes + self->length, bytes, length);
    self->length += length;
    self->bytes[self->length] = 0;
}

static void raw_text(json_text_t *self, const char *text)
{
    json_text_raw(self, text, strlen(text));
}

static void escape(json_text_t *self, unsigned char byte)
{
    static const char SHORT[][2] = {{'"', '"'},  {'\\', '\\'}, {'\b', 'b'}, {'\f', 'f'},
                                    {'\n', 'n'}, {'\r', 'r'},  {'\t', 't'}};
    char text[8];
    for (size_t i = 0; i < sizeof SHORT / sizeof *SHORT; i++)
        if (byte == (unsigned char)SHORT[i][0]) {
            text[0] = '\\';
            text[1] = SHORT[i][1];
            json_text_raw(self, text, 2);
            return;
        }
    snprintf(text, sizeof text, "\\u%04x", byte);
    json_text_raw(self, text, 6);
}

/* How many bytes stand in JSON as they are, before the first that may not. */
static size_t plain_prefix(const unsigned char *bytes, size_t length)
{
    size_t i = 0;
    while (i < length && bytes[i] >= 0x20 && bytes[i] < 0x7F && bytes[i] != '"' && bytes[i] != '\\')
        i++;
    return i;
}

void json_text_string(json_text_t *self, const char *bytes, size_t length)
{
    const unsigned char *byte = (const unsigned char *)bytes;
    json_text_raw(self, "\"", 1);
    while (length) {
        size_t step = plain_prefix(byte, length);
        if (!step)
            step = utf8_sequence((const char *)byte, length);
        if (*byte < 0x20 || *byte == '"' || *byte == '\\' || *byte == 0x7F)
            escape(self, *byte);
        else if (step)
            json_text_raw(self, (const char *)byte, step);
        else
            raw_text(self, "\xEF\xBF\xBD");
        byte += step ? step : 1;
        length -= step ? step : 1;
    }
    json_text_raw(self, "\"", 1);
}

void json_text_integer(json_text_t *self, int64_t value)
{
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)value);
    raw_text(self, text);
}

/* The float before a positive normal one. */
static float before(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    bits--;
    memcpy(&value, &bits, sizeof value);
    return value;
}

#define DIGITS_LEAST 6
#define DIGITS_MOST 9

static const double POWERS[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12};

/* Does the nearest decimal of that many digits behind `zeros` read back as x? */
static int reads_back(double x, double gap, int zeros, int digits, double *decimal)
{
    double power = POWERS[zeros + digits];
    *decimal = floor(x * power + 0.5);
    return fabs(*decimal / power - x) < gap * (0.5 - 1e-8);
}

/* The fewest digits that read back, and the decimal they make; 0 when none do. What fails with more
 * digits fails with fewer, and eight or nine are what most floats need. */
static int fewest_digits(double x, double gap, int zeros, double *decimal)
{
    int digits = DIGITS_MOST - 1;
    double shorter;
    if (!reads_back(x, gap, zeros, digits, decimal)) {
        digits = DIGITS_MOST;
        return reads_back(x, gap, zeros, digits, decimal) ? digits : 0;
    }
    for (; digits > DIGITS_LEAST && reads_back(x, gap, zeros, digits - 1, &shorter); digits--)
        *decimal = shorter;
    return digits;
}

/* Decimals of a number between 1e-4 and 1, which are nearly all of a unit vector, without printf:
 * ten times faster. A decimal that is nearer to `value` than half the gap to its neighbours reads
 * back as `value`; computed in double, whose error is far below the margin that is left. 0: use
 * printf. */
static size_t short_fraction(float value, char out[40])
{
    float size = fabsf(value);
    double decimal, x = (double)size;
    int zeros = (x < 0.1) + (x < 0.01) + (x < 0.001); /* behind the point */
    if (!(x < 1 && x >= 1e-4))
        return 0;
    /* the gap above is this one, or twice it */
    int digits = fewest_digits(x, x - (double)before(size), zeros, &decimal);
    if (!digits || decimal >= POWERS[digits]) /* rounded up into the next decade */
        return 0;
    char *end = out;
    uint32_t rest = (uint32_t)decimal;
    if (value < 0)
        *end++ = '-';
    memcpy(end, "0.000", 5);
    end += 2 + zeros;
    for (int i = digits; i-- > 0; rest /= 10)
        end[i] = (char)('0' + rest % 10);
    end += digits;
    while (end[-1] == '0')
        end--;
    return (size_t)(end - out);
}

void json_text_float(json_text_t *self, float value)
{
    char text[40];
    if (!isfinite(value)) {
        raw_text(self, "null");
        return;
    }
    size_t length = short_fraction(value, text);
    if (length) {
        json_text_raw(self, text, length);
        return;
    }
    /* Six digits are always kept by a normal number, nine always read back. */
    for (int digits = isnormal(value) ? 6 : 1; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)value);
        if (strtof(text, NULL) == value)
            break;
    }
    raw_text(self, text);
}

/* A centroid has hundreds of them: room is made once, and most are written where they stay. */
void json_text_floats(json_text_t *self, const float *values, size_t count)
{
    json_text_raw(self, "[", 1);
    for (size_t i = 0; i < count; i++) {
        if (!reserve(self, 48))
            return;
        if (i)
            self->bytes[self->length++] = ',';
        size_t length = short_fraction(values[i], self->bytes + self->length);
        self->length += length;
        if (!length)
            json_text_float(self, values[i]);
    }
    json_text_raw(self, "]", 1);
}

void json_text_double(json_text_t *self, double value)
{
    char text[40];
    if (!isfinite(value)) {
        raw_text(self, "null");
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    raw_text(self, text);
}

void json_text_time(json_text_t *self, int64_t time_ms)
{
    char text[32];
    if (time_ms == TIME_NONE) {
        raw_text(self, "null");
        return;
    }
    time_format(time_ms, text);
    json_text_string(self, text, strlen(text));
}

void json_text_value(json_text_t *self, const char *json, size_t length)
{
    size_t begin = 0;
    int inside = 0; /* a string */
    for (size_t i = 0; i < length; i++) {
        if (inside && json[i] == '\\') {
            i++;
        } else if (json[i] == '"') {
            inside = !inside;
        } else if (!inside && strchr(" \t\r\n", json[i]) && json[i]) {
            json_text_raw(self, json + begin, i - begin);
            begin = i + 1;
        }
    }
    json_text_raw(self, json + begin, length - begin);
}

void json_text_next(json_text_t *self)
{
    char last = self->length ? self->bytes[self->length - 1] : '{';
    if (last != '{' && last != '[')
        json_text_raw(self, ",", 1);
}

void json_text_key(json_text_t *self, const char *key)
{
    json_text_next(self);
    json_text_string(self, key, strlen(key));
    json_text_raw(self, ":", 1);
}
