/* probe_rows.h - some rows of one partition with their lists so far, and the cells they search.
 *
 * A thread's own: nothing is shared, so neither threads nor SIMD width can show. Of what is searched
 * the lists are exact, in the order (d2, slot): codes rule pairs out, what is left is measured. */
#ifndef STAGE4_WORKER_TASKS_PROBE_ROWS_H
#define STAGE4_WORKER_TASKS_PROBE_ROWS_H

#include "worker/tasks/cell_centres.h"
#include "worker/tasks/probes.h"

#define PROBE_ROWS 2048 /* at once */
#define PROBE_WORDS (PROBE_ROWS / 64)

/* What all threads of a task read. */
typedef struct {
    const task_state_t *state;
    const probes_t *probes;
    const codes_view_t *view;
    const cell_centres_t *cells;
    const int8_kernel_t *kernel;
    const int32_t *square; /* by place: of the head's codes */
    const int32_t *whole;  /* by place: of all codes */
    float usual;           /* the largest residual of a head that is finite */
    size_t k;
    size_t largest;       /* members of a cell */
    size_t cells_at_most; /* of a partition */
    float margin;         /* INFINITY: all cells */
} probe_setting_t;

typedef struct probe_rows probe_rows_t;

/* `setting` is borrowed. ERR_MEMORY. */
int probe_rows_new(const probe_setting_t *setting, probe_rows_t **out, error_t *error);
void probe_rows_destroy(probe_rows_t **self);

/* Searches for `count` slots, at most PROBE_ROWS, of the partition: first in each row's own cell,
 * then in those whose excess is at most the margin. neighbour and d2: count x k, written;
 * searched[i]: in how many cells row i has looked. */
int probe_rows_search(probe_rows_t *self, uint32_t partition, const uint32_t *slots, size_t count,
                      uint32_t *neighbour, float *d2, uint32_t *searched, error_t *error);

#endif
