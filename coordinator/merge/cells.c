#include "coordinator/merge/cells.h"

#include "common/dist2.h"

#include <stdlib.h>

static int allocate(cells_t *self, error_t *error)
{
    size_t slots = (size_t)self->plan->count + 1, cells = (size_t)self->count + 1;
    self->cell_of = calloc(slots, sizeof *self->cell_of);
    self->begin = calloc(cells, sizeof *self->begin);
    self->member = malloc(slots * sizeof *self->member);
    self->partition = malloc(cells * sizeof *self->partition);
    if (self->cell_of && self->begin && self->member && self->partition)
        return OK;
    error_set(error, ERR_MEMORY, "out of memory for %u cells", self->count);
    return ERR_MEMORY;
}

static void list_members(cells_t *self)
{
    uint32_t slots = self->plan->count;
    for (uint32_t i = 0; i < slots; i++)
        self->begin[self->cell_of[i] + 1]++;
    for (uint32_t c = 0; c < self->count; c++)
        self->begin[c + 1] += self->begin[c];
    for (uint32_t i = 0; i < slots; i++)
        self->member[self->begin[self->cell_of[i]]++] = i;
    for (uint32_t c = self->count; c > 0; c--) /* each has moved on to the end of its cell */
        self->begin[c] = self->begin[c - 1];
    self->begin[0] = 0;
}

int cells_init(cells_t *self, const plan_t *plan, const centres_t *centres, const uint32_t *label,
               error_t *error)
{
    *self = (cells_t){.plan = plan, .centres = centres, .count = centres->total};
    int code = allocate(self, error);
    for (uint32_t p = 0; p < plan->partition_count && code == OK; p++) {
        uint32_t first = centres->begin[p], cells = centres->begin[p + 1] - first;
        for (uint32_t c = 0; c < cells; c++)
            self->partition[first + c] = p;
        for (uint32_t i = plan->partition_begin[p]; i < plan->partition_begin[p + 1]; i++) {
            if (label[i] >= cells)
                return error_set(error, ERR_SHAPE, "slot %u is in cell %u of %u", i, label[i],
                                 cells);
            self->cell_of[i] = first + label[i];
        }
    }
    if (code == OK)
        list_members(self);
    return code;
}

void cells_clear(cells_t *self)
{
    free(self->cell_of);
    free(self->begin);
    free(self->member);
    free(self->partition);
    *self = (cells_t){0};
}

typedef struct {
    float d2;
    uint32_t cell;
} distant_t;

static int compare(const void *x, const void *y)
{
    const distant_t *a = x, *b = y;
    if (a->d2 != b->d2)
        return a->d2 < b->d2 ? -1 : 1;
    return a->cell < b->cell ? -1 : a->cell > b->cell;
}

int cells_near(const cells_t *self, uint32_t cell, uint32_t *out, uint32_t *count, error_t *error)
{
    const centres_t *centres = self->centres;
    size_t d = centres->dimension;
    uint32_t p = self->partition[cell];
    uint32_t first = centres->begin[p];
    *count = centres->begin[p + 1] - first;
    distant_t *all = malloc(*count * sizeof *all);
    if (all == NULL)
        return error_set(error, ERR_MEMORY, "out of memory to compare %u cells", *count);
    for (uint32_t c = 0; c < *count; c++) {
        float d2 =
            dist2_best()->one(centres->centre + cell * d, centres->centre + (first + c) * d, d);
        all[c] = (distant_t){first + c == cell ? -1 : d2, first + c};
    }
    qsort(all, *count, sizeof *all, compare);
    for (uint32_t c = 0; c < *count; c++)
        out[c] = all[c].cell;
    free(all);
    return OK;
}
