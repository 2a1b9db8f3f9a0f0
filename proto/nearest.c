#include "proto/nearest.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define NAME_LIMIT 48 /* longer names are cut for the comparison */
#define EDITS_LEAST 2
#define EDITS_MOST 5

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

/* Optimal string alignment distance, by three rows of the usual table. */
static size_t edits(const char *a, const char *b)
{
    size_t rows[3][NAME_LIMIT + 1];
    size_t n = strnlen(a, NAME_LIMIT), m = strnlen(b, NAME_LIMIT);
    size_t *before = rows[0], *above = rows[1], *row = rows[2];
    for (size_t j = 0; j <= m; j++)
        above[j] = j;
    for (size_t i = 1; i <= n; i++) {
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t best = least(above[j], row[j - 1]) + 1;
            best = least(best, above[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                best = least(best, before[j - 2] + 1);
            row[j] = best;
        }
        size_t *old = before;
        before = above, above = row, row = old;
    }
    return above[m];
}

size_t nearest_name(const char *given, const char *const *names, size_t count)
{
    size_t best = SIZE_MAX, fewest = SIZE_MAX;
    for (size_t i = 0; i < count; i++) {
        size_t distance = edits(given, names[i]);
        if (distance < fewest)
            best = i, fewest = distance;
    }
    size_t third = strlen(given) / 3;
    size_t allowed = third < EDITS_LEAST ? EDITS_LEAST : least(third, EDITS_MOST);
    return fewest <= allowed ? best : SIZE_MAX;
}

void nearest_hint(const char *given, const char *const *names, size_t count, char *out, size_t size)
{
    size_t best = nearest_name(given, names, count);
    if (best != SIZE_MAX) {
        snprintf(out, size, "; did you mean \"%s\"?", names[best]);
        return;
    }
    size_t used = (size_t)snprintf(out, size, "; known are ");
    for (size_t i = 0; i < count && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%s", i ? ", " : "", names[i]);
}
