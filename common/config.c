#include "common/config.h"

#include "common/config_yaml.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* GIVEN by a flag or the environment: the file does not reach it. */
typedef enum { NOT_GIVEN, GIVEN, GIVEN_BY_FILE } given_t;

typedef struct {
    char **values; /* one, or several for a list */
    size_t count;
    given_t given;
} setting_t;

struct config {
    unsigned role;
    setting_t *settings; /* beside config_keys() */
    size_t setting_count;
    char **positional;
    size_t positional_count;
};

static size_t key_count(void)
{
    size_t count = 0;
    while (config_keys()[count].name)
        count++;
    return count;
}

/* "window-days" and "window_days" are the same name. */
static int same_name(const char *given, size_t length, const char *name)
{
    if (strlen(name) != length)
        return 0;
    for (size_t i = 0; i < length; i++)
        if ((given[i] == '-' ? '_' : given[i]) != name[i])
            return 0;
    return 1;
}

static int find_key(const char *name, size_t length, size_t *out)
{
    for (size_t i = 0; i < key_count(); i++) {
        if (same_name(name, length, config_keys()[i].name)) {
            *out = i;
            return 1;
        }
    }
    return 0;
}

/* Levenshtein distance of short names, for "did you mean". */
static size_t edit_distance(const char *a, size_t a_length, const char *b)
{
    size_t row[64];
    size_t b_length = strlen(b);
    if (a_length >= 64 || b_length >= 64)
        return 64;
    for (size_t j = 0; j <= b_length; j++)
        row[j] = j;
    for (size_t i = 1; i <= a_length; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            size_t keep = diagonal + ((a[i - 1] == '-' ? '_' : a[i - 1]) != b[j - 1]);
            size_t best = row[j - 1] + 1 < row[j] + 1 ? row[j - 1] + 1 : row[j] + 1;
            diagonal = row[j];
            row[j] = keep < best ? keep : best;
        }
    }
    return row[b_length];
}

/* A name of which more than a third is wrong is no slip of the keyboard. */
static const char *nearest_key(unsigned role, const char *name, size_t length)
{
    const char *nearest = NULL;
    size_t best = length / 3 + 2 < 5 ? length / 3 + 2 : 5;
    for (const config_key_t *key = config_keys(); key->name; key++) {
        size_t distance = edit_distance(name, length, key->name);
        if ((key->roles & role) && distance < best) {
            best = distance;
            nearest = key->name;
        }
    }
    return nearest;
}

static int unknown_flag(unsigned role, const char *name, size_t length, error_t *error)
{
    const char *nearest = nearest_key(role, name, length);
    char field[64];
    char flag[64];
    snprintf(field, sizeof field, "%.*s", (int)(length < 60 ? length : 60), name);
    if (!nearest)
        return error_field(error, ERR_USAGE, field,
                           "option --%s is not known here; --help lists what is", field);
    snprintf(flag, sizeof flag, "%s", nearest);
    for (char *c = flag; *c; c++)
        *c = *c == '_' ? '-' : *c;
    return error_field(error, ERR_USAGE, field, "option --%s is not known here; did you mean --%s?",
                       field, flag);
}

static int unknown_setting(const char *name, error_t *error)
{
    const char *nearest = nearest_key(~0u, name, strlen(name));
    return error_field(error, ERR_USAGE, name, "setting '%s' is not known%s%s%s", name,
                       nearest ? "; did you mean '" : "", nearest ? nearest : "",
                       nearest ? "'?" : "");
}

static int parse_switch(const char *text, int *out)
{
    static const char *const WORDS[] = {"false", "true", "no", "yes", "0", "1", "off", "on"};
    for (int i = 0; i < 8; i++) {
        if (!strcasecmp(text, WORDS[i])) {
            *out = i & 1;
            return 1;
        }
    }
    return 0;
}

static int check_value(const config_key_t *key, const char *text, error_t *error)
{
    char *end = NULL;
    int truth;
    errno = 0;
    switch (key->type) {
    case CONFIG_INTEGER: {
        long long value = strtoll(text, &end, 10);
        if (end == text || *end || errno || value < key->low || value > key->high)
            return error_field(error, ERR_USAGE, key->name,
                               "%s: '%s' is no whole number from %lld to %lld", key->name, text,
                               (long long)key->low, (long long)key->high);
        return OK;
    }
    case CONFIG_REAL: {
        double value = strtod(text, &end);
        if (end == text || *end || errno || value != value)
            return error_field(error, ERR_USAGE, key->name, "%s: '%s' is no number", key->name,
                               text);
        return OK;
    }
    case CONFIG_SWITCH:
        if (!parse_switch(text, &truth))
            return error_field(error, ERR_USAGE, key->name, "%s: '%s' is not true or false",
                               key->name, text);
        return OK;
    case CONFIG_TEXT:
    case CONFIG_LIST:
        break;
    }
    return OK;
}

/* Sets, or for a list adds, one value. */
static int put(config_t *self, size_t i, const char *text, given_t given, error_t *error)
{
    const config_key_t *key = &config_keys()[i];
    setting_t *setting = &self->settings[i];
    int code = check_value(key, text, error);
    if (code)
        return code;
    size_t keep = key->type == CONFIG_LIST ? setting->count : 0;
    char *copy = strdup(text);
    char **values = calloc(keep + 1, sizeof *values);
    if (!copy || !values) {
        free(copy);
        free(values);
        return error_set(error, ERR_MEMORY, "no memory for the setting '%s'", key->name);
    }
    for (size_t j = 0; j < keep; j++)
        values[j] = setting->values[j];
    for (size_t j = keep; j < setting->count; j++)
        free(setting->values[j]);
    free(setting->values);
    values[keep] = copy;
    *setting = (setting_t){values, keep + 1, given};
    return OK;
}

static int add_positional(config_t *self, const char *text, error_t *error)
{
    char **values = realloc(self->positional, (self->positional_count + 1) * sizeof *values);
    if (values)
        self->positional = values;
    char *copy = values ? strdup(text) : NULL;
    if (!copy)
        return error_set(error, ERR_MEMORY, "no memory for an argument");
    self->positional[self->positional_count++] = copy;
    return OK;
}

static int put_flag(config_t *self, size_t i, const char *text, error_t *error)
{
    const config_key_t *key = &config_keys()[i];
    if (!*text)
        return error_field(error, ERR_USAGE, key->name, "%s: the value is empty; %s is wanted",
                           key->name, key->argument ? key->argument : "true or false");
    return put(self, i, text, GIVEN, error);
}

static int read_flag(config_t *self, int argc, char *const *argv, int *at, error_t *error)
{
    const char *name = argv[*at] + 2;
    const char *equals = strchr(name, '=');
    size_t length = equals ? (size_t)(equals - name) : strlen(name);
    size_t i;
    if (!find_key(name, length, &i) || !(config_keys()[i].roles & self->role))
        return unknown_flag(self->role, name, length, error);
    if (equals)
        return put_flag(self, i, equals + 1, error);
    if (config_keys()[i].type == CONFIG_SWITCH)
        return put(self, i, "true", GIVEN, error);
    if (*at + 1 >= argc)
        return error_field(error, ERR_USAGE, config_keys()[i].name, "option --%s needs %s", name,
                           config_keys()[i].argument);
    return put_flag(self, i, argv[++*at], error);
}

static int read_flags(config_t *self, int argc, char *const *argv, error_t *error)
{
    int only_positional = 0;
    for (int at = 0; at < argc; at++) {
        int code;
        if (!only_positional && !strcmp(argv[at], "--"))
            only_positional = 1;
        else if (!only_positional && !strncmp(argv[at], "--", 2)) {
            if ((code = read_flag(self, argc, argv, &at, error)))
                return code;
        } else if (!only_positional && argv[at][0] == '-' && argv[at][1])
            return error_field(error, ERR_USAGE, argv[at],
                               "option %s is not known; options begin with --", argv[at]);
        else if ((code = add_positional(self, argv[at], error)))
            return code;
    }
    return OK;
}

static const char *from_environment(const config_key_t *key)
{
    char name[80] = "STAGE4_";
    size_t used = strlen(name);
    for (const char *c = key->name; *c && used + 1 < sizeof name; c++)
        name[used++] = (char)toupper((unsigned char)*c);
    name[used] = 0;
    const char *value = getenv(name);
    if ((!value || !*value) && key->also)
        value = getenv(key->also);
    return value && *value ? value : NULL;
}

static int read_environment(config_t *self, error_t *error)
{
    for (size_t i = 0; i < self->setting_count; i++) {
        const config_key_t *key = &config_keys()[i];
        if (!(key->roles & self->role) || self->settings[i].count)
            continue;
        const char *value = from_environment(key);
        int code = value ? put(self, i, value, GIVEN, error) : OK;
        if (code)
            return error_wrap(error, "environment");
    }
    return OK;
}

/* A key may belong to another program: one file can serve all of them. An empty value sets
 * nothing, as in the environment. */
static int take_pair(void *context, const char *name, const char *value, error_t *error)
{
    config_t *self = context;
    size_t i;
    if (!find_key(name, strlen(name), &i))
        return unknown_setting(name, error);
    setting_t *setting = &self->settings[i];
    if (!*value || !(config_keys()[i].roles & self->role) || setting->given == GIVEN)
        return OK;
    if (setting->given == GIVEN_BY_FILE && config_keys()[i].type != CONFIG_LIST)
        return error_field(error, ERR_USAGE, name, "%s: there is a second value", name);
    return put(self, i, value, GIVEN_BY_FILE, error);
}

static int read_file(config_t *self, error_t *error)
{
    const char *path = config_text(self, "config");
    if (!path)
        return OK;
    return config_yaml_read(path, take_pair, self, error);
}

static int fill_defaults(config_t *self, error_t *error)
{
    for (size_t i = 0; i < self->setting_count; i++) {
        const config_key_t *key = &config_keys()[i];
        if (self->settings[i].count || !key->fallback)
            continue;
        int code = put(self, i, key->fallback, NOT_GIVEN, error);
        if (code)
            return code;
    }
    return OK;
}

int config_help_wanted(int argc, char *const *argv)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--"); i++)
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
            return 1;
    return 0;
}

int config_load(unsigned role, int argc, char *const *argv, config_t **out, error_t *error)
{
    config_t *self = calloc(1, sizeof *self);
    int code = ERR_MEMORY;
    if (!self)
        return error_set(error, ERR_MEMORY, "no memory for the settings");
    self->role = role;
    self->setting_count = key_count();
    self->settings = calloc(self->setting_count, sizeof *self->settings);
    if (!self->settings) {
        error_set(error, ERR_MEMORY, "no memory for the settings");
        goto fail;
    }
    if ((code = read_flags(self, argc, argv, error)) || (code = read_environment(self, error)) ||
        (code = read_file(self, error)) || (code = fill_defaults(self, error)))
        goto fail;
    *out = self;
    return OK;
fail:
    config_destroy(&self);
    return code;
}

void config_destroy(config_t **config)
{
    config_t *self = *config;
    if (!self)
        return;
    for (size_t i = 0; self->settings && i < self->setting_count; i++) {
        for (size_t j = 0; j < self->settings[i].count; j++)
            free(self->settings[i].values[j]);
        free(self->settings[i].values);
    }
    for (size_t i = 0; i < self->positional_count; i++)
        free(self->positional[i]);
    free(self->positional);
    free(self->settings);
    free(self);
    *config = NULL;
}

static const setting_t *setting_of(const config_t *self, const char *name, config_type_t type)
{
    size_t i;
    if (!find_key(name, strlen(name), &i) || config_keys()[i].type != type) {
        fprintf(stderr, "the program asks for the setting '%s', which its table has not\n", name);
        abort();
    }
    return &self->settings[i];
}

const char *config_text(const config_t *self, const char *name)
{
    const setting_t *setting = setting_of(self, name, CONFIG_TEXT);
    return setting->count ? setting->values[0] : NULL;
}

int64_t config_integer(const config_t *self, const char *name)
{
    const setting_t *setting = setting_of(self, name, CONFIG_INTEGER);
    return setting->count ? strtoll(setting->values[0], NULL, 10) : -1;
}

double config_real(const config_t *self, const char *name)
{
    const setting_t *setting = setting_of(self, name, CONFIG_REAL);
    return setting->count ? strtod(setting->values[0], NULL) : 0;
}

int config_switch(const config_t *self, const char *name)
{
    const setting_t *setting = setting_of(self, name, CONFIG_SWITCH);
    int truth = 0;
    if (setting->count)
        parse_switch(setting->values[0], &truth);
    return truth;
}

size_t config_list(const config_t *self, const char *name, const char *const **values)
{
    const setting_t *setting = setting_of(self, name, CONFIG_LIST);
    *values = (const char *const *)setting->values;
    return setting->count;
}

int config_given(const config_t *self, const char *name)
{
    size_t i;
    return find_key(name, strlen(name), &i) && self->settings[i].given != NOT_GIVEN;
}

size_t config_positional(const config_t *self, const char *const **values)
{
    *values = (const char *const *)self->positional;
    return self->positional_count;
}
