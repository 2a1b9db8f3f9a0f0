/* cells.h - a partition of the slots into cells, and an order in which near ones stand together. */
#ifndef STAGE4_COORDINATOR_MERGE_CELLS_H
#define STAGE4_COORDINATOR_MERGE_CELLS_H

#include "coordinator/merge/centres.h"

/* Cell c of partition p has the number centres->begin[p] + c. */
typedef struct {
    const plan_t *plan; /* borrowed, as centres */
    const centres_t *centres;
    uint32_t count;
    uint32_t *cell_of;   /* by slot */
    uint32_t *begin;     /* count + 1 */
    uint32_t *member;    /* slots, rising in a cell */
    uint32_t *partition; /* of each cell */
} cells_t;

/* `label`: of each slot, within its partition. ERR_SHAPE when one names no centre; clear in any
 * case. */
int cells_init(cells_t *self, const plan_t *plan, const centres_t *centres, const uint32_t *label,
               error_t *error);
void cells_clear(cells_t *self);

/* All cells, partition by partition, each followed by the nearest (canonical d2 of the centres) that
 * is left. `out` has room for all. ERR_MEMORY. */
int cells_tour(const cells_t *self, uint32_t *out, error_t *error);

#endif
