/* non_finite.h - NaN, Infinity and -Infinity in JSON text, which Python writes and JSON forbids.
 *
 * Outside of strings no JSON token holds an `N` or an `I`, so a scan that knows strings finds them.
 */
#ifndef STAGE4_COMMON_INPUT_NON_FINITE_H
#define STAGE4_COMMON_INPUT_NON_FINITE_H

#include <stddef.h>

typedef struct {
    int in_string;
    int escaped;
} non_finite_scan_t;

/* Overwrites them with 0 and spaces, so that every offset stays. Returns how many bytes are done:
 * less than `length` when the text ends within what may be one and is not the `last` piece. */
size_t non_finite_blank(non_finite_scan_t *scan, char *text, size_t length, int last);

/* A NUL-terminated copy with null in their place; *length is updated. NULL when out of memory. */
char *non_finite_to_null(const char *text, size_t *length);

#endif
