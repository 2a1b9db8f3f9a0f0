/* neighbours.h - the k nearest columns of each row of a block, kept in the order (d2, slot).
 *
 * The order is total, so the lists do not depend on the order in which columns are seen. Serves
 * knn (columns are slots) and assign (k = 1, columns are centres). */
#ifndef STAGE4_WORKER_TASKS_NEIGHBOURS_H
#define STAGE4_WORKER_TASKS_NEIGHBOURS_H

#include "worker/tasks/sweep.h"

typedef struct {
    const task_state_t *state;
    const vectors_t *rows;
    size_t k;
    uint32_t *slot;     /* rows x k, SLOT_NONE pads */
    float *d2;          /* rows x k, INFINITY pads */
    const band_t *band; /* of each row: the columns that count */
    int without_self;   /* a column with the row's own slot is not a neighbour */
} neighbours_t;

/* Sets the lists of all rows to pads. */
void neighbours_reset(neighbours_t *self);

/* For visitor_t, whose context is or begins with a neighbours_t. */
int neighbours_wants(const neighbours_t *self, size_t begin, size_t end, const vectors_t *tile);
void neighbours_visit(neighbours_t *self, size_t row, const vectors_t *tile,
                      const sweep_row_t *scratch);

#endif
