/* cells.h - a partition of the slots into cells, and which cells are near which. */
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

/* The cells of the same partition, `cell` itself first, then by (canonical d2 of the centres,
 * number). `out` has room for all cells. ERR_MEMORY. */
int cells_near(const cells_t *self, uint32_t cell, uint32_t *out, uint32_t *count, error_t *error);

#endif
