/* coded_centres.h - the nearest centre of each row of a block, by way of codes.
 *
 * Centres get codes of the job's rotation, as rows have; what those prove of two vectors they prove
 * of a vector and a centre (docs/algorithms.md, 9). The answer is that of measuring all pairs: the
 * smallest canonical d2, of equals the smaller number. */
#ifndef STAGE4_WORKER_TASKS_CODED_CENTRES_H
#define STAGE4_WORKER_TASKS_CODED_CENTRES_H

#include "worker/tasks/sweep.h"

/* Of all partitions: those of partition p are begin[p] .. begin[p + 1]. Borrowed. */
typedef struct {
    const float *values;
    const uint32_t *begin;
} centre_list_t;

typedef struct coded_centres coded_centres_t;

/* Needs the inputs "codes", "order" and "rotation"; takes first guesses from "assigned" where the
 * task has that. */
int coded_centres_new(const task_state_t *state, const centre_list_t *centres, size_t rows,
                      coded_centres_t **out, error_t *error);
void coded_centres_destroy(coded_centres_t **self);

/* `count` slots from `begin` on, at most BLOCK_ROWS, all of the partition. A label is a
 * number within the partition; SLOT_NONE when no centre is at a finite distance. */
int coded_centres_find(coded_centres_t *self, uint32_t partition, uint32_t begin, size_t count,
                       uint32_t *label, float *d2, error_t *error);
/* Where the vectors of the rows of the last find are. */
const float *const *coded_centres_rows(const coded_centres_t *self);

#endif
