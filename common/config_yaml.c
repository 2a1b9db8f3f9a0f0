#include "common/config_yaml.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

/* Where the reader stands in the document. */
typedef enum { BEFORE, KEY, VALUE, LIST } place_t;

typedef struct {
    const char *path;
    place_t place;
    char key[64];
    config_pair_fn pair;
    void *context;
} reader_t;

static int refuse(const reader_t *self, const yaml_event_t *event, error_t *error)
{
    return error_set(error, ERR_USAGE,
                     "%s line %zu: a setting is 'name: value' or 'name: [value, value]'",
                     self->path, event->start_mark.line + 1);
}

static int take_scalar(reader_t *self, const yaml_event_t *event, error_t *error)
{
    const char *text = (const char *)event->data.scalar.value;
    if (event->data.scalar.length != strlen(text))
        return refuse(self, event, error);
    if (self->place == KEY) {
        snprintf(self->key, sizeof self->key, "%s", text);
        self->place = VALUE;
        return OK;
    }
    if (self->place == BEFORE)
        return refuse(self, event, error);
    if (self->place == VALUE)
        self->place = KEY;
    int code = self->pair(self->context, self->key, text, error);
    if (code)
        error_wrap(error, "%s line %zu", self->path, event->start_mark.line + 1);
    return code;
}

static int take(reader_t *self, const yaml_event_t *event, error_t *error)
{
    switch (event->type) {
    case YAML_MAPPING_START_EVENT:
        if (self->place != BEFORE)
            return refuse(self, event, error);
        self->place = KEY;
        return OK;
    case YAML_SEQUENCE_START_EVENT:
        if (self->place != VALUE)
            return refuse(self, event, error);
        self->place = LIST;
        return OK;
    case YAML_SEQUENCE_END_EVENT:
        self->place = KEY;
        return OK;
    case YAML_SCALAR_EVENT:
        return take_scalar(self, event, error);
    case YAML_ALIAS_EVENT:
        return refuse(self, event, error);
    default:
        return OK;
    }
}

static int read_events(yaml_parser_t *parser, reader_t *reader, error_t *error)
{
    for (int done = 0; !done;) {
        yaml_event_t event;
        if (!yaml_parser_parse(parser, &event))
            return error_set(error, ERR_USAGE, "%s line %zu: %s", reader->path,
                             parser->problem_mark.line + 1,
                             parser->problem ? parser->problem : "no YAML");
        done = event.type == YAML_STREAM_END_EVENT;
        int code = take(reader, &event, error);
        yaml_event_delete(&event);
        if (code)
            return code;
    }
    return OK;
}

int config_yaml_read(const char *path, config_pair_fn pair, void *context, error_t *error)
{
    reader_t reader = {.path = path, .pair = pair, .context = context};
    yaml_parser_t parser;
    FILE *file = fopen(path, "rb");
    if (!file)
        return error_field(error, ERR_USAGE, "config", "cannot open the settings file %s: %s", path,
                           strerror(errno));
    if (!yaml_parser_initialize(&parser)) {
        fclose(file);
        return error_set(error, ERR_MEMORY, "no memory to read %s", path);
    }
    yaml_parser_set_input_file(&parser, file);
    int code = read_events(&parser, &reader, error);
    yaml_parser_delete(&parser);
    fclose(file);
    return code;
}
