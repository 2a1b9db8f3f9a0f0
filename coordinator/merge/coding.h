/* coding.h - the two stages before knn that make it fast: a rotation, and everybody's int8 codes.
 *
 * plan -> rotate (one task, from a sample) -> encode (blocks of slots) -> knn, or seed. The results
 * are brought into an order in which likely neighbours stand together. No answer depends on any of
 * it; what the codes prove is in worker/compute/codes.h. */
#ifndef STAGE4_COORDINATOR_MERGE_CODING_H
#define STAGE4_COORDINATOR_MERGE_CODING_H

#include "coordinator/merge/steps.h"

/* Inputs of the stages that compare by codes. */
typedef struct {
    sha256_t order;
    sha256_t codes;
    sha256_t rotation; /* for stages that make codes of something else */
} coding_t;

/* Whether the comparisons saved are worth the two stages. */
int coding_pays(const job_spec_t *spec, const plan_t *plan, uint32_t neighbours);
/* The same for comparing rows with k centres, again and again. */
int coding_pays_centres(const plan_t *plan, uint32_t k);

/* What codes cannot serve at all: longer lists, shorter vectors. */
uint32_t coding_neighbours_limit(void);
uint32_t coding_dimension_least(void);

int coding_begin(step_t *self, advance_output_t *out, error_t *error);
int coding_after_rotate(step_t *self, advance_output_t *out, error_t *error);
int coding_after_encode(step_t *self, coding_t *out, error_t *error);

/* The inputs of the finished stage; 0 when it had none. */
int coding_of(const step_t *self, coding_t *out);
/* Makes them inputs of the next one. */
void coding_put(const coding_t *self, task_cutter_t *cutter);

#endif
