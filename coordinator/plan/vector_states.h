/* vector_states.h - which vectors of an index may be clustered: all are looked at, by threads that read
 * beside the caller, up to four in all with it. */
#ifndef STAGE4_COORDINATOR_PLAN_VECTOR_STATES_H
#define STAGE4_COORDINATOR_PLAN_VECTOR_STATES_H

#include "common/input/flat_index.h"

typedef struct vector_states vector_states_t;

/* Begins, and returns at once. `index` is borrowed. */
int vector_states_new(const flat_index_t *index, vector_states_t **out, error_t *error);
/* Reads no further, and waits for what is being read. */
void vector_states_destroy(vector_states_t **self);

/* Takes part in what is left and gives a vector_state_t (common/input/vector_check.h) a row. */
int vector_states_find(vector_states_t *self, const uint8_t **states, error_t *error);

#endif
