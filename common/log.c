#include "common/log.h"
#include "common/clock.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct log {
    FILE *stream;
    log_level_t lowest;
    char *service;
    pthread_mutex_t lock; /* one line at a time */
};

static const char *const level_names[] = {"debug", "info", "warning", "error", "off"};

log_t *log_new(FILE *stream, log_level_t lowest, const char *service)
{
    log_t *self = calloc(1, sizeof *self);
    if (self == NULL)
        return NULL;
    self->stream = stream;
    self->lowest = lowest;
    self->service = strdup(service);
    if (self->service == NULL || pthread_mutex_init(&self->lock, NULL) != 0) {
        free(self->service);
        free(self);
        return NULL;
    }
    return self;
}

void log_destroy(log_t **self)
{
    if (self == NULL || *self == NULL)
        return;
    pthread_mutex_destroy(&(*self)->lock);
    free((*self)->service);
    free(*self);
    *self = NULL;
}

int log_level_parse(const char *name, log_level_t *out)
{
    for (size_t i = 0; i < sizeof level_names / sizeof *level_names; i++) {
        if (strcasecmp(name, level_names[i]) == 0) {
            *out = (log_level_t)i;
            return 1;
        }
    }
    return 0;
}

/* Length of the well-formed UTF-8 sequence at `text` (RFC 3629), 0 when it is malformed. */
static size_t utf8_length(const unsigned char *text)
{
    unsigned char first = text[0];
    if (first < 0x80)
        return 1;
    size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4)
        return 0;
    for (size_t i = 1; i < length; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return 0; /* a NUL stops here, so nothing past the end is read */
    }
    if ((first == 0xe0 && text[1] < 0xa0) || (first == 0xed && text[1] > 0x9f) ||
        (first == 0xf0 && text[1] < 0x90) || (first == 0xf4 && text[1] > 0x8f))
        return 0;
    return length;
}

/* A broken byte becomes U+FFFD: a line that is no JSON would be lost to every log reader. */
static void write_text(FILE *stream, const char *value)
{
    const unsigned char *text = (const unsigned char *)(value ? value : "");
    fputc('"', stream);
    while (*text != '\0') {
        size_t length = utf8_length(text);
        if (length == 0)
            fputs("\\ufffd", stream);
        else if (*text < 0x20 || *text == 0x7f)
            fprintf(stream, "\\u%04x", *text);
        else if (*text == '"' || *text == '\\')
            fprintf(stream, "\\%c", *text);
        else
            fwrite(text, 1, length, stream);
        text += length == 0 ? 1 : length;
    }
    fputc('"', stream);
}

static void write_field(FILE *stream, const log_field_t *field)
{
    fputc(',', stream);
    write_text(stream, field->key);
    fputc(':', stream);
    if (field->type == LOG_FIELD_TEXT)
        write_text(stream, field->text);
    else if (field->type == LOG_FIELD_INTEGER)
        fprintf(stream, "%lld", (long long)field->integer);
    else if (isfinite(field->real))
        fprintf(stream, "%.9g", field->real);
    else
        fputs("null", stream);
}

void log_write(log_t *self, log_level_t level, const char *event, const log_field_t *fields,
               size_t count)
{
    if (self == NULL || level < self->lowest || level >= LOG_OFF)
        return;
    char time[32];
    time_format(clock_wall_ms(), time);
    pthread_mutex_lock(&self->lock);
    fprintf(self->stream, "{\"time\":\"%s\",\"level\":\"%s\",\"service\":", time,
            level_names[level]);
    write_text(self->stream, self->service);
    fputs(",\"event\":", self->stream);
    write_text(self->stream, event);
    for (size_t i = 0; i < count; i++)
        write_field(self->stream, &fields[i]);
    fputs("}\n", self->stream);
    fflush(self->stream);
    pthread_mutex_unlock(&self->lock);
}
