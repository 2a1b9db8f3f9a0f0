/* left_out.h - which rows of an index cannot be clustered, and why. */
#ifndef STAGE4_COORDINATOR_PLAN_LEFT_OUT_H
#define STAGE4_COORDINATOR_PLAN_LEFT_OUT_H

#include "common/input/catalog.h"

#include <jansson.h>

typedef struct {
    uint32_t *rows; /* those that can be, ascending */
    uint32_t count;
    uint64_t lost; /* rows left out, and metadata entries that have no row */
    uint64_t counts[PROBLEM_KIND_COUNT];
    json_t *list; /* the first PROBLEM_LIST_LIMIT: {"kind", "row", "vector_id"} */
} left_out_t;

/* `states`: of every row of the index (vector_states.h). */
int left_out_find(const uint8_t *states, const catalog_t *catalog, left_out_t *out, error_t *error);
void left_out_clear(left_out_t *self);

/* ERR_INPUT when more than `fraction` of the index's rows are lost: names the counts, the commonest
 * problem and an example of it. */
int left_out_judge(const left_out_t *self, const catalog_t *catalog, double fraction,
                   const char *index_path, error_t *error);

/* {"no_metadata": 3, ...}: the kinds that occur. New reference. */
json_t *left_out_counts(const left_out_t *self);

#endif
