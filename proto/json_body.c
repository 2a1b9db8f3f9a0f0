#include "proto/json_body.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WHOLE_LIMIT 9007199254740992.0 /* 2^53: below it every whole double is exact */

/* Containers inside each other, 0 for a scalar; stops early once the limit is passed. */
static size_t depth_of(const json_t *value, size_t budget)
{
    size_t deepest = 0;
    if (!json_is_object(value) && !json_is_array(value))
        return 0;
    if (budget == 0)
        return 1;
    const char *key;
    json_t *child;
    size_t i;
    json_object_foreach((json_t *)value, key, child)
    {
        size_t depth = depth_of(child, budget - 1);
        deepest = depth > deepest ? depth : deepest;
    }
    json_array_foreach(value, i, child)
    {
        size_t depth = depth_of(child, budget - 1);
        deepest = depth > deepest ? depth : deepest;
    }
    return deepest + 1;
}

/* Only called once the depth is known to be bounded. */
static size_t node_count(const json_t *value)
{
    size_t count = 1;
    const char *key;
    json_t *child;
    size_t i;
    json_object_foreach((json_t *)value, key, child) count += node_count(child);
    json_array_foreach(value, i, child) count += node_count(child);
    return count;
}

static int check_limits(const json_t *root, error_t *error)
{
    if (!json_is_object(root))
        return error_set(error, ERR_USAGE, "the body must be a JSON object, { ... }");
    if (depth_of(root, JSON_DEPTH_LIMIT) > JSON_DEPTH_LIMIT)
        return error_set(error, ERR_TOO_LARGE, "the body nests deeper than %d levels",
                         JSON_DEPTH_LIMIT);
    size_t count = node_count(root);
    if (count > JSON_NODE_LIMIT)
        return error_set(error, ERR_TOO_LARGE, "the body holds %zu values; at most %d are read",
                         count, JSON_NODE_LIMIT);
    return OK;
}

int json_body_parse(const char *json, size_t length, json_t **out, error_t *error)
{
    json_error_t where;
    *out = NULL;
    if (length > JSON_BODY_LIMIT)
        return error_set(error, ERR_TOO_LARGE, "the body has %zu bytes; at most %u are read",
                         length, JSON_BODY_LIMIT);
    if (length == 0)
        return error_set(error, ERR_USAGE, "the body is empty; it must be a JSON object");
    json_t *root = json_loadb(json, length, JSON_REJECT_DUPLICATES, &where);
    if (!root)
        return error_set(error, ERR_USAGE, "the body is not valid JSON: %s at line %d, column %d",
                         where.text, where.line, where.column);
    int code = check_limits(root, error);
    if (code != OK)
        json_decref(root);
    else
        *out = root;
    return code;
}

void json_write_string(FILE *stream, const char *text)
{
    fputc('"', stream);
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        if (*p == '"' || *p == '\\')
            fprintf(stream, "\\%c", *p);
        else if (*p < 0x20)
            fprintf(stream, "\\u%04x", *p);
        else
            fputc(*p, stream);
    }
    fputc('"', stream);
}

void json_write_real(FILE *stream, double value)
{
    char text[32];
    if (value == floor(value) && fabs(value) < WHOLE_LIMIT) {
        fprintf(stream, "%.0f", value + 0.0); /* + 0.0: a negative zero loses its sign */
        return;
    }
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    fputs(text, stream);
}

void json_write_scalar(FILE *stream, const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_STRING:
        json_write_string(stream, json_string_value(value));
        break;
    case JSON_INTEGER:
        fprintf(stream, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        break;
    case JSON_REAL:
        json_write_real(stream, json_real_value(value));
        break;
    case JSON_TRUE:
        fputs("true", stream);
        break;
    case JSON_FALSE:
        fputs("false", stream);
        break;
    case JSON_NULL:
        fputs("null", stream);
        break;
    case JSON_OBJECT:
    case JSON_ARRAY:
        break;
    }
}

/* The length of the longest prefix of at most `limit` bytes that ends between characters. */
static size_t prefix_length(const char *text, size_t limit)
{
    size_t length = strnlen(text, limit + 1);
    if (length <= limit)
        return length;
    length = limit;
    while (length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80)
        length--;
    return length;
}

void json_quote(const json_t *value, char *out, size_t size)
{
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    const char *whole = text ? text : "a value";
    size_t keep = prefix_length(whole, size > 64 ? 60 : size - 4);
    snprintf(out, size, "%.*s%s", (int)keep, whole, whole[keep] ? "..." : "");
    free(text);
}
