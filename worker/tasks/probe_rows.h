/* probe_rows.h - some rows of one partition with their lists, and the cells they search.
 *
 * Of what is searched the lists are exact, in the order (d2, slot): codes rule pairs out, what is
 * left is measured. A thread's own. */
#ifndef STAGE4_WORKER_TASKS_PROBE_ROWS_H
#define STAGE4_WORKER_TASKS_PROBE_ROWS_H

#include "worker/tasks/probe_block.h"

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
