#include "common/log.h"
#include "common/clock.h"
#include "common/utf8.h"

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

/* A broken byte becomes U+FFFD: a line that is no JSON would be lost to every log reader. */
static void write_text(FILE *stream, const char *value)
{
    const char *text = value ? value : "";
    size_t left = strlen(text);
    fputc('"', stream);
    while (left > 0) {
        size_t length = utf8_sequence(text, left);
        if (length == 0)
            fputs("\\ufffd", stream);
        else if ((unsigned char)*text < 0x20 || *text == 0x7f)
            fprintf(stream, "\\u%04x", (unsigned char)*text);
        else if (*text == '"' || *text == '\\')
            fprintf(stream, "\\%c", *text);
        else
            fwrite(text, 1, length, stream);
        text += length == 0 ? 1 : length;
        left -= length == 0 ? 1 : length;
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
