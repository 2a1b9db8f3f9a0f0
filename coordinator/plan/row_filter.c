#include "coordinator/plan/row_filter.h"

#include "common/clock.h"
#include "common/input/domains.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

typedef enum { BY_METADATA, BY_DOMAIN, BY_TYPE, BY_DOCUMENT } filter_by_t;

typedef struct {
    const char *key;
    json_t *wanted;
    filter_by_t by;
} condition_t;

typedef struct {
    const job_spec_t *spec;
    const catalog_t *catalog;
    condition_t conditions[FILTER_LIMIT];
    size_t count;
    int reads_metadata;
} filter_t;

static filter_by_t column_of(const char *key, level_t level)
{
    if (!strcmp(key, "domain"))
        return BY_DOMAIN;
    if (!strcmp(key, "document_id"))
        return BY_DOCUMENT;
    if ((!strcmp(key, "event_type") && level == LEVEL_EVENTS) ||
        (!strcmp(key, "entity_type") && level == LEVEL_ENTITIES))
        return BY_TYPE;
    return BY_METADATA;
}

static int filter_init(filter_t *self, const job_spec_t *spec, const catalog_t *catalog,
                       error_t *error)
{
    *self = (filter_t){.spec = spec, .catalog = catalog};
    for (size_t i = 0; i < spec->filter_count; i++) {
        condition_t *condition = &self->conditions[i];
        condition->key = spec->filter[i].key;
        condition->wanted = json_loads(spec->filter[i].value, JSON_DECODE_ANY, NULL);
        if (condition->wanted == NULL)
            return error_field(error, ERR_USAGE, "filter", "the value of \"%s\" is no JSON value",
                               condition->key);
        self->count++;
        condition->by = json_is_string(condition->wanted)
                            ? column_of(condition->key, catalog_level(catalog))
                            : BY_METADATA;
        self->reads_metadata |= condition->by == BY_METADATA;
    }
    return OK;
}

static void filter_clear(filter_t *self)
{
    for (size_t i = 0; i < self->count; i++)
        json_decref(self->conditions[i].wanted);
}

static int view_equals(string_view_t view, const char *text, size_t length)
{
    return view.length == length && (length == 0 || memcmp(view.text, text, length) == 0);
}

static int domain_matches(string_view_t domain, const json_t *wanted)
{
    const char *text = json_string_value(wanted);
    const char *long_form = domain_long_form(text, json_string_length(wanted));
    return long_form != NULL ? view_equals(domain, long_form, strlen(long_form))
                             : view_equals(domain, text, json_string_length(wanted));
}

static int scalar_matches(const json_t *value, const json_t *wanted)
{
    if (json_is_number(value) && json_is_number(wanted))
        return json_number_value(value) == json_number_value(wanted);
    return json_equal(value, wanted);
}

static int metadata_matches(const json_t *metadata, const condition_t *condition)
{
    const json_t *value = json_object_get(metadata, condition->key);
    size_t i;
    json_t *element;
    if (value == NULL)
        return json_is_null(condition->wanted);
    if (!json_is_array(value))
        return scalar_matches(value, condition->wanted);
    json_array_foreach((json_t *)value, i, element)
    {
        if (scalar_matches(element, condition->wanted))
            return 1;
    }
    return 0;
}

static int columns_match(const filter_t *self, uint32_t row)
{
    int matches = 1;
    for (size_t i = 0; i < self->count && matches; i++) {
        const json_t *wanted = self->conditions[i].wanted;
        const char *text = json_string_value(wanted);
        size_t length = json_string_length(wanted);
        switch (self->conditions[i].by) {
        case BY_DOMAIN:
            matches = domain_matches(catalog_domain_long(self->catalog, row), wanted);
            break;
        case BY_TYPE:
            matches = view_equals(catalog_type(self->catalog, row), text, length);
            break;
        case BY_DOCUMENT:
            matches = view_equals(catalog_document_id(self->catalog, row), text, length);
            break;
        case BY_METADATA:
            break;
        }
    }
    return matches;
}

static int dates_match(const filter_t *self, uint32_t row)
{
    int64_t from = self->spec->date_from_ms, to = self->spec->date_to_ms;
    int64_t begin = catalog_time_ms(self->catalog, row);
    int64_t end = catalog_time_end_ms(self->catalog, row);
    if (from == TIME_NONE && to == TIME_NONE)
        return 1;
    if (begin == TIME_NONE && end == TIME_NONE)
        return 0;
    if (begin == TIME_NONE)
        begin = end;
    if (end == TIME_NONE)
        end = begin;
    return (from == TIME_NONE || end >= from) && (to == TIME_NONE || begin <= to);
}

static int read_and_match(const filter_t *self, uint32_t row, int *matches, error_t *error)
{
    char *text = NULL;
    size_t length = 0;
    json_error_t where;
    int code = catalog_metadata(self->catalog, row, &text, &length, error);
    if (code != OK)
        return code;
    json_t *metadata = json_loadb(text, length, JSON_DECODE_ANY | JSON_ALLOW_NUL, &where);
    free(text);
    if (metadata == NULL)
        return error_set(error, ERR_INPUT, "the metadata of row %u cannot be read: %s", row,
                         where.text);
    for (size_t i = 0; i < self->count && *matches; i++)
        if (self->conditions[i].by == BY_METADATA)
            *matches = metadata_matches(metadata, &self->conditions[i]);
    json_decref(metadata);
    return OK;
}

int row_filter(const job_spec_t *spec, const catalog_t *catalog, const atomic_int *stop,
               uint32_t *rows, uint32_t *count, error_t *error)
{
    filter_t self;
    uint32_t kept = 0;
    int code = filter_init(&self, spec, catalog, error);
    for (uint32_t i = 0; i < *count && code == OK; i++) {
        int matches = dates_match(&self, rows[i]) && columns_match(&self, rows[i]);
        if (matches && self.reads_metadata)
            code = read_and_match(&self, rows[i], &matches, error);
        if (matches)
            rows[kept++] = rows[i];
        if ((i & 1023) == 0 && stop != NULL && atomic_load(stop))
            code = error_set(error, ERR_CANCELLED, "planning was stopped");
    }
    filter_clear(&self);
    if (code == OK)
        *count = kept;
    return code;
}
