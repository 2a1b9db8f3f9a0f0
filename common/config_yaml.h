/* config_yaml.h - the settings file: a flat YAML mapping, by libyaml; this file pair alone knows
 * it.
 *
 * "name: value" calls `pair` once, "name: [a, b]" once a value. Anything deeper is ERR_USAGE with
 * the line. */
#ifndef STAGE4_COMMON_CONFIG_YAML_H
#define STAGE4_COMMON_CONFIG_YAML_H

#include "common/error.h"

typedef int (*config_pair_fn)(void *context, const char *name, const char *value, error_t *error);

int config_yaml_read(const char *path, config_pair_fn pair, void *context, error_t *error);

#endif
