/* nearest.h - "did you mean": the known name closest to a misspelt one. */
#ifndef STAGE4_PROTO_NEAREST_H
#define STAGE4_PROTO_NEAREST_H

#include <stddef.h>

/* The index of the name with the fewest edits (insert, delete, replace, swap of neighbours) from
 * `given`, the first of equals; SIZE_MAX when none is within a third of its length (2 to 5). */
size_t nearest_name(const char *given, const char *const *names, size_t count);

/* Fills `out` with `; did you mean "metric"?` or, when none is near, `; known are a, b, c`. */
void nearest_hint(const char *given, const char *const *names, size_t count, char *out,
                  size_t size);

#endif
