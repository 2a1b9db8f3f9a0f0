/* model.h - the work that simulated jobs do: small pure functions, so that one number tells whether
 * a run gave what the fault-free run gives.
 *
 * result(stage, task) = H(job, stage, task, state), state' = fold of H over the results in order.
 */
#ifndef STAGE4_TESTS_SIM_MODEL_H
#define STAGE4_TESTS_SIM_MODEL_H

#include "common/sha256.h"

#include <stdint.h>

#define MODEL_STAGES 4 /* at most */
#define MODEL_TASKS 12 /* in one stage, at most */

typedef struct {
    uint64_t seed;
    uint32_t stage_count; /* 0: nothing to compute, straight to writing */
    uint32_t task_count[MODEL_STAGES];
    uint32_t memory; /* what its plan says that it needs */
} model_t;

void model_init(model_t *self, uint64_t seed);
uint64_t model_first_state(const model_t *self);
uint64_t model_result(const model_t *self, uint32_t stage, uint32_t task, uint64_t state);
uint64_t model_fold(uint64_t state, const uint64_t *results, uint32_t count);
uint64_t model_outcome(const model_t *self); /* of the run without faults */

sha256_t model_sha(uint64_t value); /* any injection will do: nobody hashes here */
uint64_t model_value(const sha256_t *sha);

#endif
