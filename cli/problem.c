#include "cli/problem.h"

#include <jansson.h>
#include <string.h>

/* By the title, as the HTTP status of some codes is the same (error.h). */
static int code_of(const char *title, long status)
{
    for (int code = OK + 1; title && code < ERROR_CODE_COUNT; code++)
        if (!strcmp(error_title(code), title))
            return code;
    return status < 500 ? ERR_USAGE : ERR_INTERNAL;
}

int problem_read(long status, const char *body, size_t length, const char *url, error_t *error)
{
    json_t *problem = json_loadb(body, length, 0, NULL);
    const char *detail = json_string_value(json_object_get(problem, "detail"));
    const char *title = json_string_value(json_object_get(problem, "title"));
    const char *field = json_string_value(json_object_get(problem, "field"));
    int code;
    if (!detail && !title)
        code = error_field(error, ERR_PROTOCOL, "url",
                           "%s answers with HTTP status %ld and no explanation; is it a gateway?",
                           url, status);
    else
        code = error_field(error, code_of(title, status), field ? field : "", "%s",
                           detail ? detail : title);
    json_decref(problem);
    return code;
}
