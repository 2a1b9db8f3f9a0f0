#include "proto/store/cluster_cursor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SAFE "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"

void cluster_cursor_format(const cluster_cursor_t *self, char out[CURSOR_SIZE])
{
    size_t used =
        (size_t)snprintf(out, CURSOR_SIZE, "1~%zu~%u~%s", self->job, self->size, self->cluster_id);
    for (size_t i = 0; i < self->job_count; i++)
        used += (size_t)snprintf(out + used, CURSOR_SIZE - used, "~%s", self->job_id[i]);
}

/* The next part of `*text` up to '~' or the end, into `out`; 0 when it is empty or too long. */
static int next_part(const char **text, char *out, size_t size)
{
    size_t length = strspn(*text, SAFE);
    if (length == 0 || length >= size || ((*text)[length] && (*text)[length] != '~'))
        return 0;
    memcpy(out, *text, length);
    out[length] = 0;
    *text += length + ((*text)[length] == '~');
    return 1;
}

static int next_number(const char **text, unsigned long *out)
{
    char digits[12];
    if (!next_part(text, digits, sizeof digits) || strspn(digits, "0123456789") != strlen(digits))
        return 0;
    *out = strtoul(digits, NULL, 10);
    return *out <= UINT32_MAX;
}

int cluster_cursor_parse(const char *text, cluster_cursor_t *out, error_t *error)
{
    unsigned long version = 0;
    unsigned long job = 0;
    unsigned long size = 0;
    cluster_cursor_t cursor = {.started = 1};
    int sound = next_number(&text, &version) && version == 1 && next_number(&text, &job) &&
                next_number(&text, &size) &&
                next_part(&text, cursor.cluster_id, sizeof cursor.cluster_id);
    while (sound && *text)
        sound = cursor.job_count < LEVEL_COUNT &&
                next_part(&text, cursor.job_id[cursor.job_count++], JOB_ID_SIZE);
    if (!sound || job >= cursor.job_count)
        return error_field(error, ERR_USAGE, "cursor",
                           "this is no cursor; use the next_cursor of the page before, unchanged");
    cursor.job = job;
    cursor.size = (uint32_t)size;
    *out = cursor;
    return OK;
}
