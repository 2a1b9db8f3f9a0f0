/* kept_vectors.h - the vectors of one index, read once and kept: the first rows, as many as fit.
 *
 * Several tasks of a job look at the same vectors. Any thread may ask; what it gets stays where it
 * is as long as the struct. Nothing is read before it is asked for. Whoever opens the index makes
 * one for it, and drops both when the file is no longer what it was. */
#ifndef STAGE4_WORKER_TASKS_KEPT_VECTORS_H
#define STAGE4_WORKER_TASKS_KEPT_VECTORS_H

#include "common/error.h"
#include "common/input/flat_index.h"

#include <stddef.h>
#include <stdint.h>

typedef struct kept_vectors kept_vectors_t;

/* At most `limit` bytes of the index (borrowed). NULL when that is no row, or there is no memory:
 * every function below takes that, and reads. */
kept_vectors_t *kept_vectors_new(const flat_index_t *index, size_t limit);
void kept_vectors_destroy(kept_vectors_t **self);
/* Rows below that are kept, or will be: kept_vectors_find needs no room for them. */
size_t kept_vectors_rows(const kept_vectors_t *self);

/* Where the listed rows' vectors are, 64-byte aligned where the dimension is a multiple of 16. Those
 * that are not kept are read into `room` (count x dimension), which must be as aligned. What
 * flat_index_read_list returns. */
int kept_vectors_find(kept_vectors_t *self, const flat_index_t *index, const uint32_t *rows,
                      size_t count, float *room, const float **out, error_t *error);

/* The same, copied into `out` one after another. */
int kept_vectors_copy(kept_vectors_t *self, const flat_index_t *index, const uint32_t *rows,
                      size_t count, float *out, error_t *error);

#endif
