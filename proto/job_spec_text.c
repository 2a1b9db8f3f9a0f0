/* job_spec_text.c - fields from a command line, and the table put into words. */
#include "proto/job_spec_fields.h"

#include <stdlib.h>
#include <string.h>

/* "domain,event_type" as a JSON array; the caller's. */
static json_t *list_value(const char *text)
{
    json_t *list = json_array();
    while (list && *text) {
        size_t length = strcspn(text, ",");
        json_array_append_new(list, json_stringn(text, length));
        text += length + (text[length] == ',');
    }
    return list;
}

static json_t *flag_value(const char *text)
{
    if (strcmp(text, "true") == 0 || strcmp(text, "1") == 0 || strcmp(text, "yes") == 0)
        return json_true();
    if (strcmp(text, "false") == 0 || strcmp(text, "0") == 0 || strcmp(text, "no") == 0)
        return json_false();
    return json_string(text);
}

/* What cannot be read as the field's type stays a string, so that the setter quotes it. */
static json_t *text_value(const field_t *field, const char *text)
{
    json_t *value = NULL;
    switch (field->kind) {
    case FIELD_SET:
        return list_value(text);
    case FIELD_FLAG:
        return flag_value(text);
    case FIELD_COUNT:
    case FIELD_DAYS:
    case FIELD_SEED:
    case FIELD_REAL:
    case FIELD_REAL_NONE:
    case FIELD_FILTER:
    case FIELD_TABLE:
    case FIELD_PARAMS:
        value = json_loads(text, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
        break;
    default:
        break;
    }
    return value ? value : json_string(text);
}

int field_set_text(job_spec_t *self, const field_t *field, const char *text, error_t *error)
{
    json_t *value = text_value(field, text);
    if (!value)
        return error_field(error, ERR_USAGE, field->path, "%s is not valid UTF-8", field->path);
    int code = field_set(self, field, value, error);
    json_decref(value);
    return code;
}

static int set_named(job_spec_t *self, field_table_t table, const char *prefix, const char *name,
                     const char *value, error_t *error)
{
    const field_t *field = field_find(table, name);
    if (!field)
        return field_unknown(table, prefix, name, error);
    return field_set_text(self, field, value, error);
}

int job_spec_set_param(job_spec_t *self, const char *name, const char *value, error_t *error)
{
    return set_named(self, algorithm_fields(self->algorithm), "params.", name, value, error);
}

int job_spec_set_field(job_spec_t *self, const char *name, const char *value, error_t *error)
{
    return set_named(self, job_fields(), "", name, value, error);
}

static void describe_allowed(FILE *stream, const field_t *field)
{
    switch (field->kind) {
    case FIELD_CHOICE:
    case FIELD_LEVEL:
    case FIELD_SET:
        fputs(field->kind == FIELD_SET ? "array of " : "", stream);
        for (size_t i = 0; field->choices[i]; i++)
            fprintf(stream, "%s`%s`", i ? ", " : "", field->choices[i]);
        break;
    case FIELD_COUNT:
    case FIELD_SEED:
        fprintf(stream, "whole number, %.0f to %.0f", field->low, field->high);
        break;
    case FIELD_DAYS:
        fprintf(stream, "whole number, %.0f to %.0f, or null", field->low, field->high);
        break;
    case FIELD_REAL:
    case FIELD_REAL_NONE:
        fprintf(stream, "number, %g to %g%s", field->low, field->high,
                field->kind == FIELD_REAL ? "" : ", or null");
        break;
    case FIELD_FLAG:
        fputs("true or false", stream);
        break;
    case FIELD_DATE_FROM:
    case FIELD_DATE_TO:
        fputs("date, date-time or null", stream);
        break;
    case FIELD_FILTER:
        fprintf(stream, "object, at most %d keys", FILTER_LIMIT);
        break;
    case FIELD_TABLE:
        fprintf(stream, "up to %d rows of 2 to %d numbers, 0 to 1, rising; or null", WEIGHT_ROWS,
                WEIGHT_COLUMNS);
        break;
    case FIELD_PARAMS:
    case FIELD_KIND_COUNT:
        fputs("object", stream);
        break;
    }
}

static void describe_default(FILE *stream, const job_spec_t *defaults, const field_t *field)
{
    if (field->flags & FIELD_REQUIRED)
        fputs("required", stream);
    else if (field->kind == FIELD_PARAMS)
        fputs("{}", stream);
    else
        field_write(stream, defaults, field);
}

static void describe_table(FILE *stream, field_table_t table, const job_spec_t *defaults)
{
    fputs("| field | allowed | default | meaning |\n|---|---|---|---|\n", stream);
    for (size_t i = 0; i < table.count; i++) {
        const field_t *field = &table.fields[i];
        fprintf(stream, "| `%s` | ", field->path);
        describe_allowed(stream, field);
        fputs(" | ", stream);
        describe_default(stream, defaults, field);
        fprintf(stream, " | %s |\n", field->words);
    }
}

void job_spec_describe(FILE *stream)
{
    job_spec_t defaults;
    job_spec_init(&defaults);
    describe_table(stream, job_fields(), &defaults);
    for (int i = 0; ALGORITHM_NAMES[i]; i++) {
        fprintf(stream, "\nParameters of `%s`:\n\n", ALGORITHM_NAMES[i]);
        describe_table(stream, algorithm_fields((algorithm_t)i), &defaults);
    }
    job_spec_clear(&defaults);
}
