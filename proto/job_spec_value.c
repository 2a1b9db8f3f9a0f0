/* job_spec_value.c - one setter and one writer for each kind of field. */
#include "proto/job_spec_fields.h"

#include "common/clock.h"
#include "proto/json_body.h"

#include <stdlib.h>
#include <string.h>

#define FILTER_KEY_LIMIT 128
#define FILTER_VALUE_LIMIT 1024
#define DATE_ALONE_LENGTH 10 /* YYYY-MM-DD */
#define DAY_MS 86400000

/* What of the spec a field is about. Enums are unsigned to this compiler, as are counts. */
#define MEMBER(self, field, type) ((type *)(void *)((char *)(self) + (field)->offset))
#define MEMBER_OF(self, field, type)                                                               \
    ((const type *)(const void *)((const char *)(self) + (field)->offset))

/* "params.k is "x"; it must be <what>". */
static int wrong(const field_t *field, const json_t *value, error_t *error, const char *what)
{
    char given[80];
    json_quote(value, given, sizeof given);
    return error_field(error, ERR_USAGE, field->path, "%s is %s; it must be %s", field->path, given,
                       what);
}

static void list_choices(const field_t *field, char *out, size_t size)
{
    size_t used = 0;
    for (size_t i = 0; field->choices[i] && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s\"%s\"",
                                 i == 0 ? "" : (field->choices[i + 1] ? ", " : " or "),
                                 field->choices[i]);
}

/* The position of a string among the choices; -1 when it is none of them. */
static int choice_of(const field_t *field, const json_t *value)
{
    const char *text = json_string_value(value);
    for (int i = 0; text && field->choices[i]; i++)
        if (strcmp(field->choices[i], text) == 0)
            return i;
    return -1;
}

static int wrong_choice(const field_t *field, const json_t *value, error_t *error)
{
    char choices[128], what[160];
    list_choices(field, choices, sizeof choices);
    snprintf(what, sizeof what, "one of %s", choices);
    return wrong(field, value, error, what);
}

static int set_choice(job_spec_t *self, const field_t *field, const json_t *value, error_t *error)
{
    int choice = choice_of(field, value);
    if (choice < 0)
        return wrong_choice(field, value, error);
    *MEMBER(self, field, unsigned) = (unsigned)choice;
    return OK;
}

static int set_level(job_spec_t *self, const field_t *field, const json_t *value, error_t *error)
{
    level_t level;
    if (!json_is_string(value) || !level_parse(json_string_value(value), &level))
        return wrong_choice(field, value, error);
    *MEMBER(self, field, unsigned) = (unsigned)level;
    return OK;
}

static int set_set(job_spec_t *self, const field_t *field, const json_t *value, error_t *error)
{
    unsigned set = 0;
    char choices[128], what[192];
    list_choices(field, choices, sizeof choices);
    snprintf(what, sizeof what, "an array of %s, each once", choices);
    if (!json_is_array(value))
        return wrong(field, value, error, what);
    for (size_t i = 0; i < json_array_size(value); i++) {
        int choice = choice_of(field, json_array_get(value, i));
        if (choice < 0 || set & 1u << choice)
            return wrong(field, value, error, what);
        set |= 1u << choice;
    }
    *MEMBER(self, field, unsigned) = set;
    return OK;
}

/* A whole number inside the row's range. */
static int read_whole(const field_t *field, const json_t *value, int64_t *out, error_t *error)
{
    char what[96];
    json_int_t number = json_integer_value(value);
    if (json_is_integer(value) && number >= (json_int_t)field->low &&
        number <= (json_int_t)field->high) {
        *out = number;
        return OK;
    }
    snprintf(what, sizeof what, "a whole number from %.0f to %.0f", field->low, field->high);
    return wrong(field, value, error, what);
}

static int set_count(job_spec_t *self, const field_t *field, const json_t *value, error_t *error)
{
    int64_t number = 0;
    int code = read_whole(field, value, &number, error);
    if (code == OK)
        *MEMBER(self, field, uint32_t) = (uint32_t)number;
    return code;
}

static int set_days(job_spec_t *self, const field_t *field, const json_t *value, error_t *error)
{
    int64_t number = -1;
    int code = json_is_null(value) ? OK : read_whole(field, value, &number, error);
    if (code == OK)
        *MEMBER(self, field, int32_t) = (int32_t)number;
    return code;
}

static int set_seed(job_spec_t *self, const field_t *field, const json_t *value, error_t *error)
{
    int64_t number = 0;
    int code = read_whole(field, value, &number, error);
    if (code == OK)
        *MEMBER(self, field, uint64_t) = (uint64_t)number;
    return code;
}

static int set_real(job_spec_t *self, const field_t *field, const json_t *value, error_t *error)
{
    char what[96];
    double number = json_number_value(value);
    if (json_is_number(value) && number >= field->low && number <= field->high) {
        *MEMBER(self, field, double) = number + 0.0; /* a negative zero loses its sign */
        return OK;
    }
    snprintf(what, sizeof what, "a number from %g to %g", field->low, field->high);
    return wrong(field, value, error, what);
}

static int set_real_none(job_spec_t *self, const field_t *field, const json_t *value,
                         error_t *error)
{
    if (!json_is_null(value))
        return set_real(self, field, value, error);
    *MEMBER(self, field, double) = -1;
    return OK;
}

static int set_flag(job_spec_t *self, const field_t *field, const json_t *value, error_t *error)
{
    if (!json_is_boolean(value))
        return wrong(field, value, error, "true or false");
    *MEMBER(self, field, int) = json_is_true(value);
    return OK;
}

static int read_date(const field_t *field, const json_t *value, int64_t end_of_day, int64_t *out,
                     error_t *error)
{
    size_t length = json_string_length(value);
    if (json_is_null(value)) {
        *out = TIME_NONE;
        return OK;
    }
    if (!json_is_string(value) || !time_parse(json_string_value(value), length, out))
        return wrong(field, value, error,
                     "null, a date (\"2015-09-12\") or a date-time (\"2015-09-12T08:00:00Z\")");
    if (length == DATE_ALONE_LENGTH)
        *out += end_of_day;
    return OK;
}

static int set_date_from(job_spec_t *self, const field_t *field, const json_t *value,
                         error_t *error)
{
    return read_date(field, value, 0, MEMBER(self, field, int64_t), error);
}

static int set_date_to(job_spec_t *self, const field_t *field, const json_t *value, error_t *error)
{
    return read_date(field, value, DAY_MS - 1, MEMBER(self, field, int64_t), error);
}

/* The value's canonical text, malloc'd; NULL when out of memory. */
static char *scalar_text(const json_t *value)
{
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    if (!stream)
        return NULL;
    json_write_scalar(stream, value);
    if (fclose(stream) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

static int add_filter(job_spec_t *self, const char *key, const json_t *value, error_t *error)
{
    char path[64];
    snprintf(path, sizeof path, "filter.%.48s", key);
    if (key[0] == '\0' || strlen(key) > FILTER_KEY_LIMIT)
        return error_field(error, ERR_USAGE, path, "a key of filter has 1 to %d bytes",
                           FILTER_KEY_LIMIT);
    if (json_is_object(value) || json_is_array(value))
        return error_field(error, ERR_USAGE, path,
                           "%s must be a string, a number, true, false or null", path);
    if (json_string_length(value) > FILTER_VALUE_LIMIT)
        return error_field(error, ERR_USAGE, path, "%s has more than %d bytes", path,
                           FILTER_VALUE_LIMIT);
    metadata_filter_t entry = {strdup(key), scalar_text(value)};
    if (!entry.key || !entry.value) {
        free(entry.key);
        free(entry.value);
        return error_set(error, ERR_MEMORY, "out of memory while reading filter");
    }
    self->filter[self->filter_count++] = entry;
    return OK;
}

static void clear_filter(job_spec_t *self)
{
    for (size_t i = 0; i < self->filter_count; i++) {
        free(self->filter[i].key);
        free(self->filter[i].value);
    }
    self->filter_count = 0;
}

static int by_key(const void *a, const void *b)
{
    const metadata_filter_t *left = a, *right = b;
    return strcmp(left->key, right->key);
}

static int set_filter(job_spec_t *self, const field_t *field, const json_t *value, error_t *error)
{
    const char *key;
    json_t *entry;
    if (!json_is_object(value))
        return wrong(field, value, error, "an object of metadata keys and values");
    if (json_object_size(value) > FILTER_LIMIT)
        return error_field(error, ERR_USAGE, field->path,
                           "filter has %zu keys; at most %d are read", json_object_size(value),
                           FILTER_LIMIT);
    clear_filter(self);
    json_object_foreach((json_t *)value, key, entry)
    {
        int code = add_filter(self, key, entry, error);
        if (code != OK)
            return code;
    }
    qsort(self->filter, self->filter_count, sizeof self->filter[0], by_key);
    return OK;
}

/* The writers: canonical JSON of one member. */

static void write_choice(FILE *stream, const job_spec_t *self, const field_t *field)
{
    json_write_string(stream, field->choices[*MEMBER_OF(self, field, unsigned)]);
}

static void write_set(FILE *stream, const job_spec_t *self, const field_t *field)
{
    unsigned set = *MEMBER_OF(self, field, unsigned);
    const char *separator = "";
    fputc('[', stream);
    for (size_t i = 0; field->choices[i]; i++) {
        if (set & 1u << i) {
            fputs(separator, stream);
            json_write_string(stream, field->choices[i]);
            separator = ",";
        }
    }
    fputc(']', stream);
}

static void write_count(FILE *stream, const job_spec_t *self, const field_t *field)
{
    fprintf(stream, "%u", (unsigned)*MEMBER_OF(self, field, uint32_t));
}

static void write_days(FILE *stream, const job_spec_t *self, const field_t *field)
{
    int32_t days = *MEMBER_OF(self, field, int32_t);
    if (days < 0)
        fputs("null", stream);
    else
        fprintf(stream, "%d", (int)days);
}

static void write_seed(FILE *stream, const job_spec_t *self, const field_t *field)
{
    fprintf(stream, "%llu", (unsigned long long)*MEMBER_OF(self, field, uint64_t));
}

static void write_real(FILE *stream, const job_spec_t *self, const field_t *field)
{
    json_write_real(stream, *MEMBER_OF(self, field, double));
}

static void write_real_none(FILE *stream, const job_spec_t *self, const field_t *field)
{
    if (*MEMBER_OF(self, field, double) < 0)
        fputs("null", stream);
    else
        write_real(stream, self, field);
}

static void write_flag(FILE *stream, const job_spec_t *self, const field_t *field)
{
    fputs(*MEMBER_OF(self, field, int) ? "true" : "false", stream);
}

static void write_date(FILE *stream, const job_spec_t *self, const field_t *field)
{
    int64_t time_ms = *MEMBER_OF(self, field, int64_t);
    char text[32];
    if (time_ms == TIME_NONE) {
        fputs("null", stream);
        return;
    }
    time_format(time_ms, text);
    json_write_string(stream, text);
}

static void write_filter(FILE *stream, const job_spec_t *self, const field_t *field)
{
    (void)field;
    fputc('{', stream);
    for (size_t i = 0; i < self->filter_count; i++) {
        fputs(i ? "," : "", stream);
        json_write_string(stream, self->filter[i].key);
        fprintf(stream, ":%s", self->filter[i].value);
    }
    fputc('}', stream);
}

/* A row of weights that do not fall, as many as in the first. */
static int set_row(weight_table_t *table, const field_t *field, const json_t *row, error_t *error)
{
    size_t count = json_array_size(row); /* 0 when it is none */
    double before = 0;
    if (count < 2 || count > WEIGHT_COLUMNS || (table->rows > 0 && count != table->columns))
        return error_field(error, ERR_USAGE, field->path,
                           "row %u of %s has %zu numbers; every row has as many, 2 to %d",
                           table->rows, field->path, count, WEIGHT_COLUMNS);
    table->columns = (uint32_t)count;
    for (size_t i = 0; i < count; i++) {
        const json_t *number = json_array_get(row, i);
        double weight = json_is_number(number) ? json_number_value(number) : -1;
        if (!(weight >= before && weight <= 1))
            return error_field(
                error, ERR_USAGE, field->path,
                "number %zu in row %u of %s must be from %g, the one before it, to 1", i,
                table->rows, field->path, before);
        table->value[table->rows * count + i] = before = weight;
    }
    table->rows++;
    return OK;
}

static int set_table(job_spec_t *self, const field_t *field, const json_t *value, error_t *error)
{
    weight_table_t *table = MEMBER(self, field, weight_table_t);
    *table = (weight_table_t){0};
    if (json_is_null(value))
        return OK;
    if (json_array_size(value) < 1 || json_array_size(value) > WEIGHT_ROWS)
        return wrong(field, value, error, "an array of 1 to 16 rows of weights, or null");
    int code = OK;
    for (size_t i = 0; i < json_array_size(value) && code == OK; i++)
        code = set_row(table, field, json_array_get(value, i), error);
    return code;
}

static void write_table(FILE *stream, const job_spec_t *self, const field_t *field)
{
    const weight_table_t *table = &self->weight_table;
    (void)field;
    for (uint32_t r = 0; r < table->rows; r++)
        for (uint32_t c = 0; c < table->columns; c++) {
            fputs(c > 0 ? "," : r > 0 ? ",[" : "[[", stream);
            json_write_real(stream, table->value[r * table->columns + c]);
            fputs(c + 1 < table->columns ? "" : "]", stream);
        }
    fputs(table->rows > 0 ? "]" : "null", stream);
}

static void write_params(FILE *stream, const job_spec_t *self, const field_t *field)
{
    field_table_t table = algorithm_fields(self->algorithm);
    (void)field;
    fputc('{', stream);
    for (size_t i = 0; i < table.count; i++) {
        fprintf(stream, "%s\"%s\":", i ? "," : "", table.fields[i].name);
        field_write(stream, self, &table.fields[i]);
    }
    fputc('}', stream);
}

static int set_params(job_spec_t *self, const field_t *field, const json_t *value, error_t *error)
{
    if (!json_is_object(value))
        return wrong(field, value, error, "an object");
    return fields_set_all(self, algorithm_fields(self->algorithm), "params.", value, error);
}

static const struct {
    int (*set)(job_spec_t *self, const field_t *field, const json_t *value, error_t *error);
    void (*write)(FILE *stream, const job_spec_t *self, const field_t *field);
} KINDS[FIELD_KIND_COUNT] = {
    [FIELD_CHOICE] = {set_choice, write_choice},
    [FIELD_LEVEL] = {set_level, write_choice},
    [FIELD_SET] = {set_set, write_set},
    [FIELD_COUNT] = {set_count, write_count},
    [FIELD_DAYS] = {set_days, write_days},
    [FIELD_SEED] = {set_seed, write_seed},
    [FIELD_REAL] = {set_real, write_real},
    [FIELD_REAL_NONE] = {set_real_none, write_real_none},
    [FIELD_FLAG] = {set_flag, write_flag},
    [FIELD_DATE_FROM] = {set_date_from, write_date},
    [FIELD_DATE_TO] = {set_date_to, write_date},
    [FIELD_FILTER] = {set_filter, write_filter},
    [FIELD_TABLE] = {set_table, write_table},
    [FIELD_PARAMS] = {set_params, write_params},
};

int field_set(job_spec_t *self, const field_t *field, const json_t *value, error_t *error)
{
    return KINDS[field->kind].set(self, field, value, error);
}

void field_write(FILE *stream, const job_spec_t *self, const field_t *field)
{
    KINDS[field->kind].write(stream, self, field);
}

int fields_set_all(job_spec_t *self, field_table_t table, const char *prefix, const json_t *object,
                   error_t *error)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value)
    {
        if (!field_find(table, key))
            return field_unknown(table, prefix, key, error);
    }
    for (size_t i = 0; i < table.count; i++) {
        const field_t *field = &table.fields[i];
        value = json_object_get(object, field->name);
        int code = value ? field_set(self, field, value, error) : OK;
        if (code != OK)
            return code;
        if (!value && field->flags & FIELD_REQUIRED)
            return error_field(error, ERR_USAGE, field->path, "%s is missing: %s", field->path,
                               field->words);
    }
    return OK;
}
