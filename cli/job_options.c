#include "cli/job_options.h"

#include "proto/json_body.h"

#include <stdlib.h>
#include <string.h>

/* The options that are a job's field each, under the same name; the algorithm before its params. */
static const char *const TEXT_FIELDS[] = {"embedding_type", "algorithm", "metric", "partition_by",
                                          "date_from",      "date_to",   "as_of",  "quality"};
static const char *const INTEGER_FIELDS[] = {"window_days", "priority", "retention_days",
                                             "dimension"};

static int set_texts(const config_t *config, job_spec_t *out, error_t *error)
{
    for (size_t i = 0; i < sizeof TEXT_FIELDS / sizeof *TEXT_FIELDS; i++) {
        const char *text = config_text(config, TEXT_FIELDS[i]);
        int code = text ? job_spec_set_field(out, TEXT_FIELDS[i], text, error) : OK;
        if (code)
            return code;
    }
    return OK;
}

static int set_numbers(const config_t *config, job_spec_t *out, error_t *error)
{
    char text[40];
    for (size_t i = 0; i < sizeof INTEGER_FIELDS / sizeof *INTEGER_FIELDS; i++) {
        int64_t value = config_integer(config, INTEGER_FIELDS[i]);
        snprintf(text, sizeof text, "%lld", (long long)value);
        int code = value >= 0 ? job_spec_set_field(out, INTEGER_FIELDS[i], text, error) : OK;
        if (code)
            return code;
    }
    snprintf(text, sizeof text, "%.17g", config_real(config, "max_bad_fraction"));
    int code = job_spec_set_field(out, "max_bad_fraction", text, error);
    if (!code && config_switch(config, "include_metadata"))
        code = job_spec_set_field(out, "include_metadata", "true", error);
    return code;
}

/* "name=value" cut at the first '='; ERR_USAGE when there is none. */
static int split(const char *option, const char *pair, char name[128], const char **value,
                 error_t *error)
{
    const char *equals = strchr(pair, '=');
    if (!equals || equals == pair || equals - pair > 127)
        return error_field(error, ERR_USAGE, option, "option --%s: '%s' is not NAME=VALUE", option,
                           pair);
    memcpy(name, pair, (size_t)(equals - pair));
    name[equals - pair] = 0;
    *value = equals + 1;
    return OK;
}

/* 1 when one of the first `count` pairs has that name. */
static int named_before(const char *const *pairs, size_t count, const char *name)
{
    size_t length = strlen(name);
    for (size_t i = 0; i < count; i++)
        if (!strncmp(pairs[i], name, length) && pairs[i][length] == '=')
            return 1;
    return 0;
}

static int set_params(const config_t *config, job_spec_t *out, error_t *error)
{
    const char *const *pairs;
    size_t count = config_list(config, "param", &pairs);
    for (size_t i = 0; i < count; i++) {
        char name[128];
        const char *value = NULL;
        int code = split("param", pairs[i], name, &value, error);
        if (!code && named_before(pairs, i, name))
            code =
                error_field(error, ERR_USAGE, "param", "option --param: '%s' is given twice", name);
        if (!code)
            code = job_spec_set_param(out, name, value, error);
        if (code)
            return code;
    }
    return OK;
}

/* A value that reads as a JSON scalar is one; everything else is a text. */
static int add_filter(json_t *filter, const char *pair, error_t *error)
{
    char name[128];
    const char *text = NULL;
    int code = split("filter", pair, name, &text, error);
    if (code)
        return code;
    json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
    if (!value || json_is_object(value) || json_is_array(value)) {
        json_decref(value);
        value = json_string(text);
    }
    if (json_object_get(filter, name)) {
        json_decref(value);
        return error_field(error, ERR_USAGE, "filter", "option --filter: '%s' is given twice",
                           name);
    }
    if (!value || json_object_set_new(filter, name, value))
        return error_field(error, ERR_USAGE, "filter", "option --filter: '%s' is not valid UTF-8",
                           name);
    return OK;
}

static int set_filter(const config_t *config, job_spec_t *out, error_t *error)
{
    const char *const *pairs;
    size_t count = config_list(config, "filter", &pairs);
    json_t *filter = json_object();
    int code = filter ? OK : error_set(error, ERR_MEMORY, "no memory for the filter");
    for (size_t i = 0; i < count && !code; i++)
        code = add_filter(filter, pairs[i], error);
    char *text = !code && count ? json_dumps(filter, JSON_COMPACT) : NULL;
    if (text)
        code = job_spec_set_field(out, "filter", text, error);
    free(text);
    json_decref(filter);
    return code;
}

int job_options_read(const config_t *config, job_spec_t *out, error_t *error)
{
    job_spec_init(out);
    if (!config_text(config, "embedding_type"))
        return error_field(error, ERR_USAGE, "embedding_type",
                           "option --embedding-type is missing: documents, events, entities or "
                           "storylines");
    int code = set_texts(config, out, error);
    if (!code)
        code = set_numbers(config, out, error);
    if (!code)
        code = set_params(config, out, error);
    if (!code)
        code = set_filter(config, out, error);
    if (!code)
        code = job_spec_validate(out, error);
    return code;
}
