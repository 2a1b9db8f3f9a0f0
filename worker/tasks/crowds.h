/* crowds.h - columns that stand for others too: places whose codes are near to one of them.
 *
 * A column's residual says how far its vector's image is from its codes at most. With the distance
 * between codes added it says the same of other places, so a pair that the first of a crowd is ruled
 * out with is ruled out with all of it (docs/algorithms.md, 9). */
#ifndef STAGE4_WORKER_TASKS_CROWDS_H
#define STAGE4_WORKER_TASKS_CROWDS_H

#include "worker/tasks/code_sweep.h"

#define CROWD_MOST 64 /* places */

/* Crowds of one tile. */
typedef struct {
    const codes_view_t *view;
    const int8_kernel_t *kernel;
    double radius; /* places farther from a crowd's first are not of it; 0: each is alone */
    size_t recent; /* a place joins one of so many last crowds */
    size_t count;
    uint32_t size[CODE_TILE];
    uint32_t *place;                 /* of crowd i from i * CROWD_MOST on, its first in front */
    int32_t *square;                 /* beside it: of the whole code */
    int32_t first_square[CODE_TILE]; /* of the head of a crowd's first */
    float residual_head[CODE_TILE];  /* of a first, for its whole crowd */
    float residual[CODE_TILE];
} crowds_t;

int crowds_init(crowds_t *self, const codes_view_t *view, const int8_kernel_t *kernel,
                error_t *error);
void crowds_clear(crowds_t *self);

void crowds_begin(crowds_t *self, double radius, size_t recent);
/* 0 when that would be a crowd too many; the place goes into the next tile. `alone`: it joins none,
 * and none joins it. */
int crowds_add(crowds_t *self, uint32_t place, int alone);

/* Places of crowd i. */
static inline const uint32_t *crowds_places(const crowds_t *self, size_t i)
{
    return self->place + i * CROWD_MOST;
}

#endif
