/* error.h - the one error type of the project.
 *
 * A function that can fail returns an int: OK (0) or one of the codes below. Its last argument is
 * an error_t the caller owns; on failure it carries a message a user can act on (what was wrong,
 * where, what would be right) and, where a request caused it, the name of the field. `error` may
 * be NULL when the caller needs the code only. */
#ifndef STAGE4_COMMON_ERROR_H
#define STAGE4_COMMON_ERROR_H

#include <errno.h>
#include <stdarg.h>

/* glibc's errno.h has an `error_t` of its own (an int): it is read first, and ours keeps the name. */
#define error_t stage4_error_t

/*    name             HTTP exit  title */
#define ERROR_CODES(X)                                                                             \
    X(OK, 200, 0, "ok")                                                                            \
    X(ERR_INTERNAL, 500, 1, "internal error")                                                      \
    X(ERR_USAGE, 400, 2, "invalid request")                                                        \
    X(ERR_NOT_FOUND, 404, 3, "not found")                                                          \
    X(ERR_INPUT, 422, 4, "unusable input")                                                         \
    X(ERR_CHANGED, 409, 5, "input changed")                                                        \
    X(ERR_IO, 507, 6, "input/output error")                                                        \
    X(ERR_MEMORY, 507, 7, "out of memory")                                                         \
    X(ERR_UNAVAILABLE, 503, 8, "unavailable")                                                      \
    X(ERR_CONFLICT, 409, 9, "conflict")                                                            \
    X(ERR_BUSY, 429, 10, "too many requests")                                                      \
    X(ERR_TOO_LARGE, 413, 11, "too large")                                                         \
    X(ERR_PROTOCOL, 502, 12, "protocol error")                                                     \
    X(ERR_CANCELLED, 409, 13, "cancelled")                                                         \
    X(ERR_SHAPE, 500, 14, "shape mismatch")

enum {
#define X(name, http, exit_code, title) name,
    ERROR_CODES(X)
#undef X
        ERROR_CODE_COUNT
};

typedef struct {
    int code;
    char field[64];    /* the request field, option or column at fault; empty when none */
    char message[512]; /* one line, no trailing newline */
} error_t;

#define ERROR_INIT                                                                                 \
    {                                                                                              \
        OK, "", ""                                                                                 \
    }

/* Fills `error` (may be NULL) and returns `code`, so a failing function can `return error_set(...)`. */
int error_set(error_t *error, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* As error_set, and names the field at fault. */
int error_field(error_t *error, int code, const char *field, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Puts "prefix: " before the message, to say where; keeps code and field. Returns the code. */
int error_wrap(error_t *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

const char *error_name(int code);  /* "ERR_INPUT"; "ERR_INTERNAL" for an unknown code */
const char *error_title(int code); /* "unusable input" */
int error_http_status(int code);
int error_exit_code(int code);

#endif
