/* shared_lists.h - the k nearest of many places, offered to by several threads at once.
 *
 * A list is ordered by (d2, slot), a total order, so it is the same whoever offered first: the k
 * best of all that was offered and is not over the list's bound. */
#ifndef STAGE4_WORKER_TASKS_SHARED_LISTS_H
#define STAGE4_WORKER_TASKS_SHARED_LISTS_H

#include "common/error.h"

#include <stddef.h>
#include <stdint.h>

typedef struct shared_lists shared_lists_t;

/* `count` empty lists of at most k entries that take every finite distance. ERR_MEMORY. */
int shared_lists_new(size_t count, size_t k, shared_lists_t **out, error_t *error);
void shared_lists_destroy(shared_lists_t **self);

/* Before anything is offered: nothing over the bound is taken. */
void shared_lists_bound(shared_lists_t *self, size_t list, float bound);

/* Nothing over that is taken any more. */
float shared_lists_wants(const shared_lists_t *self, size_t list);
/* Would the list take such an entry? NaN never. */
int shared_lists_would_take(const shared_lists_t *self, size_t list, float d2, uint32_t slot);
void shared_lists_offer(shared_lists_t *self, size_t list, float d2, uint32_t slot);

/* When all threads are done: the number of entries, and the i-th in order. */
uint32_t shared_lists_count(const shared_lists_t *self, size_t list);
void shared_lists_entry(const shared_lists_t *self, size_t list, size_t i, float *d2,
                        uint32_t *slot);

#endif
