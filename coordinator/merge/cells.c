#include "coordinator/merge/cells.h"

#include "common/dist2.h"

#include <math.h>
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

/* Of those not yet in the tour the one nearest to `from`, of equals the smaller number. */
static uint32_t nearest_left(const cells_t *self, uint32_t from, const uint32_t *left,
                             uint32_t count)
{
    size_t d = self->centres->dimension;
    const float *centre = self->centres->centre;
    uint32_t best = 0;
    float least = INFINITY;
    for (uint32_t i = 0; i < count; i++) {
        float d2 = dist2_best()->one(centre + from * d, centre + left[i] * d, d);
        if (d2 < least || (d2 == least && left[i] < left[best])) {
            least = d2;
            best = i;
        }
    }
    return best;
}

int cells_tour(const cells_t *self, uint32_t *out, error_t *error)
{
    const centres_t *centres = self->centres;
    uint32_t *left = malloc(((size_t)self->count + 1) * sizeof *left);
    if (left == NULL)
        return error_set(error, ERR_MEMORY, "out of memory to order %u cells", self->count);
    for (uint32_t p = 0; p < centres->partition_count; p++) {
        uint32_t begin = centres->begin[p], count = centres->begin[p + 1] - begin, next = 0;
        for (uint32_t i = 0; i < count; i++)
            left[i] = begin + i;
        for (uint32_t i = 0; i < count; i++) {
            if (i > 0)
                next = nearest_left(self, out[begin + i - 1], left, count - i);
            out[begin + i] = left[next];
            left[next] = left[count - i - 1];
        }
    }
    free(left);
    return OK;
}
