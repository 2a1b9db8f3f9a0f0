#include "model.h"

#include "rng.h"

#include <string.h>

void model_init(model_t *self, uint64_t seed)
{
    rng_t rng;
    rng_seed(&rng, seed);
    self->seed = rng_next(&rng);
    self->stage_count = rng_below(&rng, MODEL_STAGES + 1);
    for (uint32_t stage = 0; stage < MODEL_STAGES; stage++)
        self->task_count[stage] = 1 + rng_below(&rng, MODEL_TASKS);
    self->memory = 1 + rng_below(&rng, 100);
}

uint64_t model_first_state(const model_t *self) { return mix64(self->seed); }

uint64_t model_result(const model_t *self, uint32_t stage, uint32_t task, uint64_t state)
{
    return mix64(mix64(self->seed ^ state) + ((uint64_t)stage << 32) + task);
}

uint64_t model_fold(uint64_t state, const uint64_t *results, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        state = mix64(state ^ mix64(results[i] + i));
    return state;
}

uint64_t model_outcome(const model_t *self)
{
    uint64_t state = model_first_state(self);
    for (uint32_t stage = 0; stage < self->stage_count; stage++) {
        uint64_t results[MODEL_TASKS];
        for (uint32_t task = 0; task < self->task_count[stage]; task++)
            results[task] = model_result(self, stage, task, state);
        state = model_fold(state, results, self->task_count[stage]);
    }
    return state;
}

sha256_t model_sha(uint64_t value)
{
    sha256_t sha = {{0}};
    memcpy(sha.bytes, &value, sizeof value);
    return sha;
}

uint64_t model_value(const sha256_t *sha)
{
    uint64_t value;
    memcpy(&value, sha->bytes, sizeof value);
    return value;
}
