/* query.h - the parameters of a URL, decoded and checked. */
#ifndef STAGE4_GATEWAY_HTTP_QUERY_H
#define STAGE4_GATEWAY_HTTP_QUERY_H

#include "common/error.h"

#include <stddef.h>

#define QUERY_LIMIT 24
#define QUERY_TEXT_LIMIT 4096

typedef struct {
    size_t count;
    struct {
        const char *name; /* into `text` */
        const char *value;
    } entries[QUERY_LIMIT];
    char text[QUERY_TEXT_LIMIT];
} query_t;

/* "a=1&b=x%20y". ERR_USAGE with the parameter as field: bad escapes, bytes that are not UTF-8, NUL,
 * a parameter twice; ERR_TOO_LARGE for too much. */
int query_parse(const char *raw, query_t *out, error_t *error);
const char *query_get(const query_t *self, const char *name); /* NULL when absent */

/* Decodes %XX (and '+' when plus is set) into `out`; 0 when an escape is broken, NUL, or there is
 * no room. */
int percent_decode(const char *raw, size_t length, int plus, char *out, size_t size);
/* 1 when `text` is UTF-8. */
int is_utf8(const char *text);

#endif
