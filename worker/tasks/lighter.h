/* lighter.h - a forest that gets lighter as edges are found that its ways are heavier than.
 *
 * Threads offer what they find. Now and then, while no thread works, what was found goes into the
 * forest, so that later ways are no heavier than they have to be. What is left in the end is the
 * lightest forest of the first one and all that was offered: the same in whatever order. */
#ifndef STAGE4_WORKER_TASKS_LIGHTER_H
#define STAGE4_WORKER_TASKS_LIGHTER_H

#include "common/graph/bottleneck.h"
#include "common/graph/lightest.h"

typedef struct lighter lighter_t;

/* `edges`: the first forest, sorted, and `ways` of it; both borrowed. */
int lighter_new(uint32_t nodes, const edge_t *edges, size_t count, const bottleneck_t *ways,
                uint32_t threads, lighter_t **out, error_t *error);
void lighter_destroy(lighter_t **self);

/* Of the forest as it was renewed last. */
const bottleneck_t *lighter_ways(const lighter_t *self);
edge_t lighter_way(const lighter_t *self, uint32_t slot, uint32_t other);

/* By any thread, but each under its own number. Out of memory is kept for lighter_renew. */
void lighter_offer(lighter_t *self, uint32_t thread, const edge_t *edge);
/* By one thread while no other works: takes in what was found when that is worth it. */
int lighter_renew(lighter_t *self, error_t *error);
/* The edges of the last forest that the first did not have, sorted; borrowed. */
int lighter_finish(lighter_t *self, const edge_t **edges, size_t *count, error_t *error);

#endif
