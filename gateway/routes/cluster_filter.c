#include "gateway/routes/cluster_filter.h"

#include "common/clock.h"
#include "common/input/domains.h"
#include "proto/json_body.h"
#include "proto/nearest.h"

#include <stdlib.h>
#include <string.h>

#define TEXT_LIMIT 256
#define LIMIT_MAX 1000
#define SIZE_MAX_CLUSTER 1000000000
#define DATE_ALONE_LENGTH 10 /* YYYY-MM-DD */
#define DAY_MS 86400000

typedef enum {
    FILTER_TEXT,
    FILTER_DOMAIN,
    FILTER_LEVEL,
    FILTER_EVENT_TYPE,
    FILTER_ENTITY_TYPE,
    FILTER_COUNT,
    FILTER_DATE_FROM,
    FILTER_DATE_TO,
    FILTER_INCLUDE,
} filter_kind_t;

typedef struct {
    const char *name;
    filter_kind_t kind;
    size_t offset; /* in cluster_query_t */
    json_int_t low, high;
} filter_field_t;

#define AT(member) offsetof(cluster_query_t, member)

/* embedding_type comes before the types, which are checked against it. */
static const filter_field_t FIELDS[] = {
    {"cursor", FILTER_TEXT, AT(cursor), 0, 0},
    {"document_id", FILTER_TEXT, AT(document_id), 0, 0},
    {"domain", FILTER_DOMAIN, AT(domain), 0, 0},
    {"embedding_type", FILTER_LEVEL, AT(level), 0, 0},
    {"entity", FILTER_TEXT, AT(entity), 0, 0},
    {"entity_type", FILTER_ENTITY_TYPE, AT(type), 0, 0},
    {"event_type", FILTER_EVENT_TYPE, AT(type), 0, 0},
    {"from", FILTER_DATE_FROM, AT(time_from_ms), 0, 0},
    {"include", FILTER_INCLUDE, 0, 0, 0},
    {"job_id", FILTER_TEXT, AT(job_id), 0, 0},
    {"limit", FILTER_COUNT, AT(limit), 1, LIMIT_MAX},
    {"member_id", FILTER_TEXT, AT(member_id), 0, 0},
    {"size_max", FILTER_COUNT, AT(size_max), 1, SIZE_MAX_CLUSTER},
    {"size_min", FILTER_COUNT, AT(size_min), 1, SIZE_MAX_CLUSTER},
    {"text", FILTER_TEXT, AT(text), 0, 0},
    {"to", FILTER_DATE_TO, AT(time_to_ms), 0, 0},
};

#define FIELD_TOTAL (sizeof FIELDS / sizeof FIELDS[0])

void cluster_filter_init(cluster_filter_t *self)
{
    memset(self, 0, sizeof *self);
    self->query.level = -1;
    self->query.limit = CLUSTER_LIMIT_DEFAULT;
    self->query.time_from_ms = TIME_NONE;
    self->query.time_to_ms = TIME_NONE;
}

void cluster_filter_clear(cluster_filter_t *self)
{
    json_decref(self->source);
    cluster_filter_init(self);
}

static int wrong(const filter_field_t *field, const json_t *value, const char *what, error_t *error)
{
    char given[80];
    json_quote(value, given, sizeof given);
    return error_field(error, ERR_USAGE, field->name, "%s is %s; it must be %s", field->name, given,
                       what);
}

/* The member of the query that the row is about. */
static void *member(cluster_filter_t *self, const filter_field_t *field)
{
    return (char *)&self->query + field->offset;
}

static int set_text(cluster_filter_t *self, const filter_field_t *field, const json_t *value,
                    error_t *error)
{
    const char *text = json_string_value(value);
    const char **out = member(self, field);
    size_t limit = field->offset == AT(cursor) ? 2 * TEXT_LIMIT : TEXT_LIMIT;
    if (!text || !text[0] || strlen(text) > limit)
        return wrong(field, value, "a string of 1 to 256 bytes", error);
    *out = text;
    return OK;
}

static int set_domain(cluster_filter_t *self, const filter_field_t *field, const json_t *value,
                      error_t *error)
{
    int code = set_text(self, field, value, error);
    const char *known =
        code == OK ? domain_long_form(self->query.domain, strlen(self->query.domain)) : NULL;
    if (known)
        self->query.domain = known;
    return code;
}

static int set_level(cluster_filter_t *self, const filter_field_t *field, const json_t *value,
                     error_t *error)
{
    level_t level;
    if (!json_is_string(value) || !level_parse(json_string_value(value), &level))
        return wrong(field, value,
                     "one of \"documents\", \"events\", \"entities\" or \"storylines\"", error);
    self->query.level = (int)level;
    return OK;
}

/* A type belongs to one level, so asking for it asks for that level too. */
static int set_type(cluster_filter_t *self, const filter_field_t *field, const json_t *value,
                    error_t *error)
{
    level_t level = field->kind == FILTER_EVENT_TYPE ? LEVEL_EVENTS : LEVEL_ENTITIES;
    if (self->query.type)
        return error_field(error, ERR_USAGE, field->name,
                           "event_type and entity_type do not go together");
    if (self->query.level >= 0 && self->query.level != (int)level)
        return error_field(error, ERR_USAGE, field->name, "only %s have %s; embedding_type is %s",
                           level_plural(level), field->name,
                           level_plural((level_t)self->query.level));
    self->query.level = (int)level;
    return set_text(self, field, value, error);
}

static int set_count(cluster_filter_t *self, const filter_field_t *field, const json_t *value,
                     error_t *error)
{
    char what[80];
    json_int_t number = json_integer_value(value);
    uint32_t *out = member(self, field);
    if (json_is_integer(value) && number >= field->low && number <= field->high) {
        *out = (uint32_t)number;
        return OK;
    }
    snprintf(what, sizeof what, "a whole number from %d to %d", (int)field->low, (int)field->high);
    return wrong(field, value, what, error);
}

static int set_date(cluster_filter_t *self, const filter_field_t *field, const json_t *value,
                    error_t *error)
{
    int64_t *out = member(self, field);
    size_t length = json_string_length(value);
    if (!json_is_string(value) || !time_parse(json_string_value(value), length, out))
        return wrong(field, value, "a date (2015-09-12) or a date-time (2015-09-12T08:00:00Z)",
                     error);
    if (field->kind == FILTER_DATE_TO && length == DATE_ALONE_LENGTH)
        *out += DAY_MS - 1;
    return OK;
}

static int set_include(cluster_filter_t *self, const filter_field_t *field, const json_t *value,
                       error_t *error)
{
    const char *text = json_string_value(value);
    while (text && *text) {
        size_t length = strcspn(text, ",");
        if (length == 8 && strncmp(text, "centroid", length) == 0)
            self->with_centroid = 1;
        else if (length == 7 && strncmp(text, "members", length) == 0)
            self->with_members = 1;
        else
            break;
        text += length + (text[length] == ',');
    }
    if (!text || *text)
        return wrong(field, value, "\"centroid\", \"members\" or both, split by a comma", error);
    return OK;
}

static int set_field(cluster_filter_t *self, const filter_field_t *field, const json_t *value,
                     error_t *error)
{
    switch (field->kind) {
    case FILTER_TEXT:
        return set_text(self, field, value, error);
    case FILTER_DOMAIN:
        return set_domain(self, field, value, error);
    case FILTER_LEVEL:
        return set_level(self, field, value, error);
    case FILTER_EVENT_TYPE:
    case FILTER_ENTITY_TYPE:
        return set_type(self, field, value, error);
    case FILTER_COUNT:
        return set_count(self, field, value, error);
    case FILTER_DATE_FROM:
    case FILTER_DATE_TO:
        return set_date(self, field, value, error);
    case FILTER_INCLUDE:
        return set_include(self, field, value, error);
    }
    return OK;
}

static int check(const cluster_filter_t *self, error_t *error)
{
    const cluster_query_t *query = &self->query;
    if (query->size_max && query->size_min > query->size_max)
        return error_field(error, ERR_USAGE, "size_max", "size_max is %u, below size_min, %u",
                           (unsigned)query->size_max, (unsigned)query->size_min);
    if (query->time_from_ms != TIME_NONE && query->time_to_ms != TIME_NONE &&
        query->time_from_ms > query->time_to_ms)
        return error_field(error, ERR_USAGE, "to", "to is before from");
    return OK;
}

/* Takes over `source`. */
static int decode(cluster_filter_t *self, json_t *source, error_t *error)
{
    cluster_filter_init(self);
    self->source = source;
    for (size_t i = 0; i < FIELD_TOTAL; i++) {
        const json_t *value = json_object_get(source, FIELDS[i].name);
        int code = value ? set_field(self, &FIELDS[i], value, error) : OK;
        if (code != OK)
            return code;
    }
    return check(self, error);
}

/* A number in a URL is text; what is none stays text, and the setter quotes it. */
static json_t *url_value(const filter_field_t *field, const char *text)
{
    size_t digits = strspn(text, "0123456789");
    if (field->kind == FILTER_COUNT && digits > 0 && digits < 18 && text[digits] == '\0')
        return json_integer(strtoll(text, NULL, 10));
    return json_string(text);
}

int cluster_filter_from_query(const query_t *query, cluster_filter_t *out, error_t *error)
{
    json_t *source = json_object();
    for (size_t i = 0; i < FIELD_TOTAL; i++) {
        const char *text = query_get(query, FIELDS[i].name);
        if (text)
            json_object_set_new(source, FIELDS[i].name, url_value(&FIELDS[i], text));
    }
    return decode(out, source, error);
}

static int unknown(const char *key, error_t *error)
{
    const char *names[FIELD_TOTAL];
    char hint[320];
    for (size_t i = 0; i < FIELD_TOTAL; i++)
        names[i] = FIELDS[i].name;
    nearest_hint(key, names, FIELD_TOTAL, hint, sizeof hint);
    return error_field(error, ERR_USAGE, key, "%.48s is not a known field%s", key, hint);
}

static int is_field(const char *key)
{
    for (size_t i = 0; i < FIELD_TOTAL; i++)
        if (strcmp(FIELDS[i].name, key) == 0)
            return 1;
    return 0;
}

int cluster_filter_from_json(const char *json, size_t length, cluster_filter_t *out, error_t *error)
{
    json_t *source;
    const char *key;
    json_t *value;
    cluster_filter_init(out);
    int code = json_body_parse(json, length, &source, error);
    if (code != OK)
        return code;
    out->source = source;
    json_object_foreach(source, key, value)
    {
        if (!is_field(key))
            return unknown(key, error);
    }
    return decode(out, source, error);
}
