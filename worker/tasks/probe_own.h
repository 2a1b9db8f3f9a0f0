/* probe_own.h - rows of a block search the cell that they are members of.
 *
 * Each pair of members is measured once and serves both. First every row meets those that are nearest
 * by codes; what its list then holds rules out most of the others. */
#ifndef STAGE4_WORKER_TASKS_PROBE_OWN_H
#define STAGE4_WORKER_TASKS_PROBE_OWN_H

#include "worker/tasks/cell_columns.h"

typedef struct probe_own probe_own_t;

/* `block` and `columns` are borrowed. ERR_MEMORY. */
int probe_own_new(probe_block_t *block, cell_columns_t *columns, probe_own_t **out, error_t *error);
void probe_own_destroy(probe_own_t **self);

/* `some`: numbers of rows of the block, of the cell that is open. */
int probe_own_search(probe_own_t *self, const uint32_t *some, size_t count, error_t *error);

#endif
