/* reach_plain.c - the search over vectors. */
#include "worker/tasks/reach.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    reach_t *reach;
    sweep_t *sweep;
    vectors_t rows;
} plain_t;

static int fill(void *context, vectors_t *tile, error_t *error)
{
    plain_t *self = context;
    reach_t *reach = self->reach;
    const task_state_t *state = reach->state;
    tile->count = 0;
    while (reach->columns.begin < reach->columns.end && tile->count < TILE_COLUMNS) {
        uint32_t slot = reach->columns.begin++;
        if (reach_eligible(reach, slot))
            tile->slots[tile->count++] = slot;
    }
    return vectors_read(tile, &state->plan, state->context->index, &state->screen, error);
}

/* No edge is lighter than the row's own core, and equals come with larger slots. */
static int settled(const reach_t *self, size_t row, const vectors_t *tile)
{
    return self->best_slot[row] < tile->slots[0] &&
           self->best[row] == self->in.core[self->slots[row]];
}

static int wants(const void *context, size_t begin, size_t end, const vectors_t *tile)
{
    const reach_t *self = ((const plain_t *)context)->reach;
    for (size_t row = begin; row < end; row++) {
        range_t range = vectors_range(tile, self->bands[row]);
        if (range.begin < range.end && !settled(self, row, tile))
            return 1;
    }
    return 0;
}

/* Measures the edge from the row to a column, unless component or core already rule it out. */
static void consider(plain_t *self, size_t row, const vectors_t *tile, size_t column)
{
    reach_t *reach = self->reach;
    const reach_in_t *in = &reach->in;
    uint32_t slot = tile->slots[column];
    uint32_t query = reach->slots[row];
    float least = fmaxf(in->core[slot], in->core[query]);
    if (in->component[slot] == in->component[query] || !reach_better(reach, row, least, slot))
        return;
    size_t dimension = self->rows.dimension;
    float weight = compute_dist2(reach->state->context->compute)
                       ->one(self->rows.values + row * dimension, tile->values + column * dimension,
                             dimension);
    weight = fmaxf(task_state_decayed(reach->state, weight, query, slot), least);
    if (!reach_better(reach, row, weight, slot))
        return;
    reach->best[row] = weight;
    reach->best_slot[row] = slot;
}

/* While a row would take anything, the column that looks nearest is measured first: its weight
 * rules most others out. */
static void consider_nearest(plain_t *self, size_t row, const vectors_t *tile, range_t range,
                             const float *product)
{
    const reach_in_t *in = &self->reach->in;
    uint32_t component = in->component[self->reach->slots[row]];
    size_t nearest = range.end;
    float least = INFINITY;
    for (size_t column = range.begin; column < range.end; column++) {
        float half = tile->bound[column] - product[column];
        uint32_t slot = tile->slots[column];
        if (half < least && in->component[slot] != component && isfinite(in->core[slot])) {
            least = half;
            nearest = column;
        }
    }
    if (nearest < range.end)
        consider(self, row, tile, nearest);
}

static void visit(void *context, size_t row, const vectors_t *tile, const sweep_row_t *scratch)
{
    plain_t *self = context;
    reach_t *reach = self->reach;
    range_t range = vectors_range(tile, reach->bands[row]);
    const float *product = scratch->product;
    if (range.begin == range.end || settled(reach, row, tile))
        return;
    if (!product) {
        for (size_t column = range.begin; column < range.end; column++)
            consider(self, row, tile, column);
        return;
    }
    if (isinf(reach->best[row]))
        consider_nearest(self, row, tile, range, product);
    const screen_t *screen = &reach->state->screen;
    float limit = reach->best[row];
    float row_bound = screen_row_bound(screen, self->rows.norm2[row], limit);
    size_t count = compute_survivors(reach->state->context->compute)(
        product + range.begin, tile->bound + range.begin, row_bound, range.end - range.begin,
        scratch->survivors);
    for (size_t i = 0; i < count; i++) {
        size_t column = range.begin + scratch->survivors[i];
        if (product[column] < tile->bound[column] + row_bound)
            continue; /* a lighter edge was found since the row was screened */
        consider(self, row, tile, column);
        if (reach->best[row] < limit) {
            limit = reach->best[row];
            row_bound = screen_row_bound(screen, self->rows.norm2[row], limit);
        }
    }
}

static void plain_close(void **search)
{
    plain_t *self = *search;
    if (!self)
        return;
    sweep_destroy(&self->sweep);
    vectors_clear(&self->rows);
    free(self);
    *search = NULL;
}

static int plain_open(reach_t *reach, void **search, error_t *error)
{
    plain_t *self = calloc(1, sizeof *self);
    *search = self;
    if (!self)
        return error_set(error, ERR_MEMORY, "no memory for a reach task");
    self->reach = reach;
    int code = vectors_init(&self->rows, BLOCK_ROWS, reach->state->dimension, error);
    return code ? code : sweep_new(reach->state, &self->sweep, error);
}

static int plain_block(void *search, error_t *error)
{
    plain_t *self = search;
    const task_state_t *state = self->reach->state;
    const visitor_t visitor = {fill, wants, visit, self};
    self->rows.count = self->reach->count;
    memcpy(self->rows.slots, self->reach->slots, self->rows.count * sizeof *self->rows.slots);
    int code =
        vectors_read(&self->rows, &state->plan, state->context->index, &state->screen, error);
    return code ? code : sweep_run(self->sweep, &self->rows, &visitor, error);
}

const reach_search_t reach_plain = {plain_open, plain_block, plain_close};
