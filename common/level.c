#include "common/level.h"

#include <string.h>

static const struct {
    const char *plural;
    const char *singular;
} NAMES[LEVEL_COUNT] = {
    {"documents", "document"},
    {"events", "event"},
    {"entities", "entity"},
    {"storylines", "storyline"},
};

const char *level_plural(level_t level) { return NAMES[level].plural; }
const char *level_singular(level_t level) { return NAMES[level].singular; }

int level_parse(const char *name, level_t *out)
{
    for (int i = 0; i < LEVEL_COUNT; i++) {
        if (!strcmp(name, NAMES[i].plural) || !strcmp(name, NAMES[i].singular)) {
            *out = (level_t)i;
            return 1;
        }
    }
    return 0;
}
