#include "gateway/routes/project.h"

#include <string.h>

static const char *skip_space(const char *p) { return p + strspn(p, " \t\r\n"); }

/* Behind the string that begins at `p`; NULL when it has no end. */
static const char *skip_string(const char *p)
{
    for (p++; *p && *p != '"'; p++)
        if (*p == '\\' && *++p == '\0')
            return NULL;
    return *p ? p + 1 : NULL;
}

/* Behind the value that begins at `p`: the next ',' or closing bracket of its own level. */
static const char *skip_value(const char *p)
{
    size_t depth = 0;
    while (*p) {
        if (*p == '"') {
            p = skip_string(p);
            if (!p)
                return NULL;
            continue;
        }
        if (depth == 0 && (*p == ',' || *p == '}' || *p == ']'))
            return p;
        if (*p == '{' || *p == '[')
            depth++;
        else if (*p == '}' || *p == ']')
            depth--;
        p++;
    }
    return NULL;
}

static int named(const char *key, size_t length, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strlen(names[i]) == length && memcmp(names[i], key, length) == 0)
            return 1;
    return 0;
}

int project_without(FILE *stream, const char *json, const char *const *names, size_t count)
{
    const char *separator = "{";
    const char *p = skip_space(json);
    if (*p != '{')
        return 0;
    p = skip_space(p + 1);
    while (*p == '"') {
        const char *begin = p, *key_end = skip_string(p);
        const char *end = key_end ? skip_value(key_end) : NULL;
        if (!end)
            return 0;
        if (!named(begin + 1, (size_t)(key_end - begin) - 2, names, count)) {
            fputs(separator, stream);
            fwrite(begin, 1, (size_t)(end - begin), stream);
            separator = ",";
        }
        p = *end == ',' ? skip_space(end + 1) : end;
    }
    if (*p != '}')
        return 0;
    fputs(*separator == '{' ? "{}" : "}", stream);
    return 1;
}
