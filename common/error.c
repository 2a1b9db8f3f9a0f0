#include "common/error.h"

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

__attribute__((format(printf, 4, 0))) static int fill(error_t *error, int code, const char *field,
                                                      const char *format, va_list arguments)
{
    if (error) {
        error->code = code;
        snprintf(error->field, sizeof error->field, "%s", field);
        vsnprintf(error->message, sizeof error->message, format, arguments);
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
    return error->code;
}

const char *error_name(int code) { return row_of(code)->name; }
const char *error_title(int code) { return row_of(code)->title; }
int error_http_status(int code) { return row_of(code)->http; }
int error_exit_code(int code) { return row_of(code)->exit_code; }
