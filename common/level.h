/* level.h - the four levels of embeddings that Stage 3 writes, and their names.
 *
 * The plural names an index ("events"), the singular a member ("event"); both are accepted. */
#ifndef STAGE4_COMMON_LEVEL_H
#define STAGE4_COMMON_LEVEL_H

typedef enum {
    LEVEL_DOCUMENTS,
    LEVEL_EVENTS,
    LEVEL_ENTITIES,
    LEVEL_STORYLINES,
    LEVEL_COUNT
} level_t;

const char *level_plural(level_t level);   /* "events" */
const char *level_singular(level_t level); /* "event" */

/* Reads a plural or singular name. 1 when known, else 0 and `out` untouched. */
int level_parse(const char *name, level_t *out);

#endif
