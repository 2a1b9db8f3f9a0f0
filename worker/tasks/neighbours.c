#include "worker/tasks/neighbours.h"

#include "worker/tasks/nearest.h"
#include "worker/tasks/select.h"

#include <math.h>
#include <string.h>

void neighbours_reset(neighbours_t *self)
{
    for (size_t i = 0; i < self->rows->count * self->k; i++) {
        self->slot[i] = SLOT_NONE;
        self->d2[i] = INFINITY;
    }
}

/* Columns rise from tile to tile, so a full list of duplicates has nothing left to gain: nothing is
 * nearer than 0, and equals come later. */
static int settled(const neighbours_t *self, size_t row, const vectors_t *tile)
{
    size_t last = row * self->k + self->k - 1;
    return self->d2[last] == 0 && self->slot[last] < tile->slots[0];
}

int neighbours_wants(const neighbours_t *self, size_t begin, size_t end, const vectors_t *tile)
{
    for (size_t row = begin; row < end; row++) {
        range_t range = vectors_range(tile, self->band[row]);
        if (range.begin < range.end && !settled(self, row, tile))
            return 1;
    }
    return 0;
}

/* A bound on the k-th nearest from this tile alone, so that a list that is still filling does not
 * let everything through: the k + 1 best by product (one may be the row itself) are at most this
 * far away. INFINITY when the tile has too few columns. */
static float bound_of_tile(const neighbours_t *self, size_t row, const vectors_t *tile,
                           range_t range, const sweep_row_t *scratch)
{
    size_t count = range.end - range.begin;
    if (count < self->k + 1 || self->state->decay.count)
        return INFINITY; /* products say nothing of days */
    for (size_t i = 0; i < count; i++) {
        float key = tile->bound[range.begin + i] - scratch->product[range.begin + i];
        scratch->keys[i] = isnan(key) ? INFINITY : key;
    }
    float key = select_rank(scratch->keys, count, self->k);
    return screen_upper(&self->state->screen, self->rows->norm2[row], tile->bound_max, key);
}

/* The columns of the range that the product does not rule out, as positions in the range. */
static size_t survivors_of(const neighbours_t *self, const vectors_t *tile, range_t range,
                           float row_bound, const sweep_row_t *scratch)
{
    size_t count = range.end - range.begin;
    if (scratch->product)
        return compute_survivors(self->state->context->compute)(
            scratch->product + range.begin, tile->bound + range.begin, row_bound, count,
            scratch->survivors);
    for (size_t i = 0; i < count; i++)
        scratch->survivors[i] = (uint32_t)i;
    return count;
}

void neighbours_visit(neighbours_t *self, size_t row, const vectors_t *tile,
                      const sweep_row_t *scratch)
{
    range_t range = vectors_range(tile, self->band[row]);
    if (range.begin == range.end || settled(self, row, tile))
        return;
    const screen_t *screen = &self->state->screen;
    dist2_fn dist2 = compute_dist2(self->state->context->compute)->one;
    size_t dimension = self->rows->dimension;
    const float *farthest = self->d2 + row * self->k + self->k - 1;
    float limit = *farthest;
    if (isinf(limit) && scratch->product)
        limit = bound_of_tile(self, row, tile, range, scratch);
    float row_bound = screen_row_bound(screen, self->rows->norm2[row], limit);
    size_t count = survivors_of(self, tile, range, row_bound, scratch);
    for (size_t i = 0; i < count; i++) {
        size_t column = range.begin + scratch->survivors[i];
        uint32_t slot = tile->slots[column];
        if (self->without_self && slot == self->rows->slots[row])
            continue;
        if (scratch->product && scratch->product[column] < tile->bound[column] + row_bound)
            continue; /* the list has become better since the row was screened */
        float d2 = task_state_decayed(self->state,
                                      dist2(self->rows->values + row * dimension,
                                            tile->values + column * dimension, dimension),
                                      self->rows->slots[row], slot);
        if (nearest_offer(self->d2 + row * self->k, self->slot + row * self->k, self->k, d2,
                          slot) &&
            *farthest < limit) {
            limit = *farthest;
            row_bound = screen_row_bound(screen, self->rows->norm2[row], limit);
        }
    }
}
