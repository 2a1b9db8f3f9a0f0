#include "common/input/non_finite.h"

#include <stdlib.h>
#include <string.h>

/* 1 when the byte stands outside of strings. */
static int outside(non_finite_scan_t *scan, char byte)
{
    if (!scan->in_string) {
        scan->in_string = byte == '"';
        return 1;
    }
    if (scan->escaped)
        scan->escaped = 0;
    else if (byte == '\\')
        scan->escaped = 1;
    else if (byte == '"')
        scan->in_string = 0;
    return 0;
}

/* The name that may begin here; a minus before Infinity is left to the caller. */
static const char *name_at(char byte)
{
    return byte == 'N' ? "NaN" : byte == 'I' ? "Infinity" : NULL;
}

size_t non_finite_blank(non_finite_scan_t *scan, char *text, size_t length, int last)
{
    for (size_t i = 0; i < length; i++) {
        const char *name = outside(scan, text[i]) ? name_at(text[i]) : NULL;
        if (name == NULL)
            continue;
        size_t size = strlen(name);
        size_t left = length - i;
        if (left < size && !last && memcmp(text + i, name, left) == 0)
            return i;
        if (left < size || memcmp(text + i, name, size) != 0)
            continue;
        memset(text + i, ' ', size);
        text[i] = '0';
        i += size - 1;
    }
    return length;
}

char *non_finite_to_null(const char *text, size_t *length)
{
    non_finite_scan_t scan = {0, 0};
    char *copy = malloc(*length + *length / 3 + 2); /* NaN grows by a third */
    if (copy == NULL)
        return NULL;
    size_t used = 0;
    for (size_t i = 0; i < *length; i++) {
        const char *name = outside(&scan, text[i]) ? name_at(text[i]) : NULL;
        if (name == NULL || *length - i < strlen(name) ||
            memcmp(text + i, name, strlen(name)) != 0) {
            copy[used++] = text[i];
            continue;
        }
        if (used > 0 && copy[used - 1] == '-')
            used--;
        memcpy(copy + used, "null", 4);
        used += 4;
        i += strlen(name) - 1;
    }
    copy[used] = '\0';
    *length = used;
    return copy;
}
