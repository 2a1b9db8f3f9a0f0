/* cell_centres.h - in which cells a row looks: those whose centres are hardly farther from it than
 * its own cell's.
 *
 * The *excess* of a centre is what its canonical d2 from a row is over that of the row's own centre,
 * in float32. A row near the border of two cells has a small excess in the other one. Inputs of the
 * task: "centres", "assigned", and with them "codes", "order" and "rotation". */
#ifndef STAGE4_WORKER_TASKS_CELL_CENTRES_H
#define STAGE4_WORKER_TASKS_CELL_CENTRES_H

#include "worker/tasks/codes_view.h"
#include "worker/tasks/rotation_view.h"

/* Cell c of partition p has the number begin[p] + c. */
typedef struct {
    const task_state_t *state;
    const codes_view_t *view; /* borrowed */
    const int8_kernel_t *kernel;
    rotation_view_t rotation;
    columns_t *centres;
    columns_t *assigned;
    const float *centre;
    const uint32_t *begin; /* partitions + 1 */
    const uint32_t *label; /* by slot, within its partition */
    size_t count;
    /* by number; a centre has codes as rows have */
    int8_t *code;
    int32_t *square;
    int32_t *whole;
    residual_t *residual;
    float usual; /* the largest residual of a head that is finite */
} cell_centres_t;

/* Zeroes first; close in any case. */
int cell_centres_open(cell_centres_t *self, const task_state_t *state, const codes_view_t *view,
                      error_t *error);
void cell_centres_close(cell_centres_t *self);

uint32_t cell_centres_own(const cell_centres_t *self, uint32_t partition, uint32_t slot);
const float *cell_centres_at(const cell_centres_t *self, uint32_t cell);

/* Some rows of one partition, all arrays by row; `bits` has a row of `stride` words for each cell of
 * the partition, and bit r of it is set when row r has an excess of at most `margin` there. Codes rule
 * out; what is left is measured. */
typedef struct {
    size_t count;
    const int8_rows_t *heads;
    const uint32_t *place;
    const float *const *vector;
    const float *own; /* d2 of the own centre */
    const int32_t *square;
    const int32_t *whole;
    int32_t *limit; /* scratch */
    double *reach;  /* scratch */
    uint64_t *mask; /* scratch */
    uint8_t *panel; /* scratch */
} cell_rows_t;

void cell_centres_choose(const cell_centres_t *self, const cell_rows_t *rows, uint32_t partition,
                         float margin, uint64_t *bits, size_t stride);

#endif
