/* vector_check.h - which rows of an index may be clustered: finite, and of unit length. */
#ifndef STAGE4_COMMON_INPUT_VECTOR_CHECK_H
#define STAGE4_COMMON_INPUT_VECTOR_CHECK_H

#include "common/input/flat_index.h"

#define NORM_TOLERANCE 1e-3

typedef enum { VECTOR_OK, VECTOR_NOT_FINITE, VECTOR_NORM } vector_state_t;

/* Streams rows [first, first + count) once, into states[0 .. count). Several threads may. */
int vector_check_rows(const flat_index_t *index, uint32_t first, uint32_t count, uint8_t *states,
                      error_t *error);

/* Streams the whole index once. `states` holds one vector_state_t a row. Memory: a few MB. */
int vector_check(const flat_index_t *index, uint8_t *states, error_t *error);

#endif
