/* select.h - the value of a given rank, without sorting. */
#ifndef STAGE4_WORKER_TASKS_SELECT_H
#define STAGE4_WORKER_TASKS_SELECT_H

#include <stddef.h>

/* The value that would stand at `rank` (from 0, below `count`) if the values were sorted rising.
 * Rearranges them. They must not be NaN. */
float select_rank(float *values, size_t count, size_t rank);

#endif
