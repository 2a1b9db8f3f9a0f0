#include "gateway/http/query.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

int percent_decode(const char *raw, size_t length, int plus, char *out, size_t size)
{
    size_t used = 0;
    for (size_t i = 0; i < length; i++) {
        char c = raw[i];
        if (c == '%') {
            int high = i + 2 < length ? hex_digit(raw[i + 1]) : -1;
            int low = i + 2 < length ? hex_digit(raw[i + 2]) : -1;
            if (high < 0 || low < 0)
                return 0;
            c = (char)(high * 16 + low);
            i += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        }
        if (c == '\0' || used + 1 >= size)
            return 0;
        out[used++] = c;
    }
    if (size == 0)
        return 0;
    out[used] = '\0';
    return 1;
}

int is_utf8(const char *text)
{
    json_t *value = json_string(text);
    int valid = value != NULL;
    json_decref(value);
    return valid;
}

/* Decodes one part behind what is in use; NULL when it is broken. */
static const char *take_part(query_t *self, size_t *used, const char *raw, size_t length)
{
    char *out = self->text + *used;
    if (!percent_decode(raw, length, 1, out, sizeof self->text - *used) || !is_utf8(out))
        return NULL;
    *used += strlen(out) + 1;
    return out;
}

static int take_entry(query_t *self, size_t *used, const char *raw, size_t length, error_t *error)
{
    const char *equals = memchr(raw, '=', length);
    size_t name_length = equals ? (size_t)(equals - raw) : length;
    size_t value_length = equals ? length - name_length - 1 : 0;
    if (self->count == QUERY_LIMIT)
        return error_set(error, ERR_TOO_LARGE, "more than %d query parameters", QUERY_LIMIT);
    const char *name = take_part(self, used, raw, name_length);
    if (!name)
        return error_set(error, ERR_USAGE, "the query has a name that cannot be decoded");
    const char *value = take_part(self, used, equals ? equals + 1 : "", value_length);
    if (!value)
        return error_field(error, ERR_USAGE, name, "%.48s cannot be decoded as UTF-8", name);
    if (query_get(self, name))
        return error_field(error, ERR_USAGE, name, "%.48s is given twice", name);
    self->entries[self->count].name = name;
    self->entries[self->count++].value = value;
    return OK;
}

int query_parse(const char *raw, query_t *out, error_t *error)
{
    size_t used = 0;
    out->count = 0;
    if (strlen(raw) >= QUERY_TEXT_LIMIT - QUERY_LIMIT * 2)
        return error_set(error, ERR_TOO_LARGE, "the query has more than 4000 bytes");
    while (*raw) {
        size_t length = strcspn(raw, "&");
        int code = length ? take_entry(out, &used, raw, length, error) : OK;
        if (code != OK)
            return code;
        raw += length + (raw[length] == '&');
    }
    return OK;
}

const char *query_get(const query_t *self, const char *name)
{
    for (size_t i = 0; i < self->count; i++)
        if (strcmp(self->entries[i].name, name) == 0)
            return self->entries[i].value;
    return NULL;
}
