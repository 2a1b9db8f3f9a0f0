#include "common/error.h"

#include "common/utf8.h"

#include <stdio.h>
#include <string.h>

typedef struct {
    const char *name;
    int http;
    int exit_code;
    const char *title;
} error_row_t;

static const error_row_t ROWS[ERROR_CODE_COUNT] = {
#define X(name, http, exit_code, title) {#name, http, exit_code, title},
    ERROR_CODES(X)
#undef X
};

static const error_row_t *row_of(int code)
{
    return &ROWS[code >= 0 && code < ERROR_CODE_COUNT ? code : ERR_INTERNAL];
}

/* What is quoted may hold anything, and may be cut in the middle of a character. A line break would
 * make two lines of one, malformed UTF-8 cannot be put into JSON. */
static void make_presentable(char *text)
{
    size_t length = strlen(text);
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)text[i] < ' ' || text[i] == '\x7f')
            text[i] = '?';
    utf8_repair(text, length);
}

__attribute__((format(printf, 4, 0))) static int fill(error_t *error, int code, const char *field,
                                                      const char *format, va_list arguments)
{
    if (error) {
        error->code = code;
        snprintf(error->field, sizeof error->field, "%s", field);
        vsnprintf(error->message, sizeof error->message, format, arguments);
        make_presentable(error->field);
        make_presentable(error->message);
    }
    return code;
}

int error_set(error_t *error, int code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fill(error, code, "", format, arguments);
    va_end(arguments);
    return code;
}

int error_field(error_t *error, int code, const char *field, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fill(error, code, field, format, arguments);
    va_end(arguments);
    return code;
}

int error_wrap(error_t *error, const char *format, ...)
{
    if (!error)
        return ERR_INTERNAL;
    char old[sizeof error->message];
    char prefix[sizeof error->message];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(prefix, sizeof prefix, format, arguments);
    va_end(arguments);
    memcpy(old, error->message, sizeof old);
    size_t used = strlen(prefix);
    if (used > sizeof error->message / 2)
        used = sizeof error->message / 2;
    memcpy(error->message, prefix, used);
    snprintf(error->message + used, sizeof error->message - used, ": %.*s",
             (int)(sizeof error->message - used - 3), old);
    make_presentable(error->message);
    return error->code;
}

const char *error_name(int code) { return row_of(code)->name; }
const char *error_title(int code) { return row_of(code)->title; }
int error_http_status(int code) { return row_of(code)->http; }
int error_exit_code(int code) { return row_of(code)->exit_code; }
