/* inspect_level.h - what one level holds, counted. */
#ifndef STAGE4_CLI_INSPECT_LEVEL_H
#define STAGE4_CLI_INSPECT_LEVEL_H

#include "common/error.h"
#include "common/input/catalog.h"
#include "common/input/flat_index.h"
#include "common/level.h"

#define PROBLEM_EXAMPLES 5

typedef struct {
    string_view_t name; /* inside the catalog */
    uint64_t count;
} tally_t;

typedef struct {
    tally_t *rows; /* most frequent first, then by name */
    size_t count;
} tallies_t;

typedef struct {
    uint64_t count;
    problem_t examples[PROBLEM_EXAMPLES];
    size_t example_count;
} problem_facts_t;

typedef struct {
    level_t level;
    int missing; /* there is no index file */
    int code;    /* not OK: `error` says why the level cannot be read */
    error_t error;
    flat_index_t *index;
    catalog_t *catalog;
    uint64_t valid; /* rows that may be clustered */
    problem_facts_t problems[PROBLEM_KIND_COUNT];
    int64_t first_ms, last_ms; /* of the dated rows; TIME_NONE when there are none */
    uint64_t undated;
    uint64_t documents; /* distinct */
    tallies_t domains;  /* in their long form */
    tallies_t types;
} level_facts_t;

/* Reads the level and counts. What went wrong stands in `out`. */
void level_facts_read(const char *folder, level_t level, uint32_t dimension, level_facts_t *out);
void level_facts_free(level_facts_t *self);

#endif
