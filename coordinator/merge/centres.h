/* centres.h - the centres of k-means, and their next position from ordered partial sums. */
#ifndef STAGE4_COORDINATOR_MERGE_CENTRES_H
#define STAGE4_COORDINATOR_MERGE_CENTRES_H

#include "coordinator/merge/payload_io.h"
#include "coordinator/plan/plan.h"

/* Payload kind "centres" in memory, with the sums of the members under way. */
typedef struct {
    uint32_t partition_count;
    uint32_t *begin; /* partition_count + 1 */
    uint32_t total;  /* begin[partition_count] */
    uint32_t dimension;
    float *centre;   /* total x dimension */
    double *sum;     /* total x dimension */
    uint64_t *count; /* total */
} centres_t;

/* min(k, size) centres for each partition, values unset, sums zero. ERR_MEMORY. Clear in any case.
 */
int centres_init(centres_t *self, const plan_t *plan, uint32_t k, error_t *error);
void centres_clear(centres_t *self);

int centres_save(const centres_t *self, const advance_input_t *input, sha256_t *out,
                 error_t *error);
/* Makes and reads what centres_save has written for that plan. */
int centres_load(centres_t *self, const plan_t *plan, const advance_input_t *input,
                 const sha256_t *sha256, error_t *error);

/* Drops every centre that another, of a smaller number and the same partition, equals: of equal
 * centres only one would ever have members. ERR_MEMORY. */
int centres_distinct(centres_t *self, error_t *error);

/* Adds the partial sums of one "assign" result; called in task order. ERR_SHAPE. */
int centres_add(centres_t *self, const payload_t *result, error_t *error);

/* Moves every centre that has members to their mean, for the cosine metric scaled to unit length.
 * 1 when in every partition the summed squared move is at most tolerance times the mean over the
 * dimensions of the variance of its (unit) vectors, else 0. */
int centres_move(centres_t *self, metric_t metric, double tolerance);

#endif
