/* pairs_plain.c - pairs by way of float32 products: what jobs too small for codes take. */
#include "worker/tasks/pairs.h"

#include <stdlib.h>

typedef struct {
    pairs_t *pairs;
    vectors_t rows;
    band_t bands[BLOCK_ROWS];
    band_t columns; /* what is left to read for this block */
    sweep_t *sweep;
} plain_t;

static int fill(void *context, vectors_t *tile, error_t *error)
{
    plain_t *self = context;
    const task_state_t *state = self->pairs->state;
    size_t left = self->columns.end - self->columns.begin;
    tile->count = left < TILE_COLUMNS ? left : TILE_COLUMNS;
    for (size_t i = 0; i < tile->count; i++)
        tile->slots[i] = self->columns.begin++;
    return vectors_read(tile, &state->plan, state->context->index, &state->screen, error);
}

static int wants(const void *context, size_t begin, size_t end, const vectors_t *tile)
{
    const plain_t *self = context;
    for (size_t row = begin; row < end && !pairs_over(self->pairs); row++) {
        range_t range = vectors_range(tile, self->bands[row]);
        if (range.begin < range.end)
            return 1;
    }
    return 0;
}

static void visit(void *context, size_t row, const vectors_t *tile, const sweep_row_t *scratch)
{
    plain_t *self = context;
    const task_state_t *state = self->pairs->state;
    range_t range = vectors_range(tile, self->bands[row]);
    size_t count = range.end - range.begin, dimension = self->rows.dimension;
    if (scratch->product && count) {
        float bound =
            screen_row_bound(&state->screen, self->rows.norm2[row], self->pairs->threshold);
        count = compute_survivors(state->context->compute)(scratch->product + range.begin,
                                                           tile->bound + range.begin, bound, count,
                                                           scratch->survivors);
    }
    for (size_t i = 0; i < count; i++) {
        size_t column = range.begin + (scratch->product ? scratch->survivors[i] : i);
        if (tile->slots[column] != self->rows.slots[row])
            pairs_offer(self->pairs, row, self->rows.slots[row], tile->slots[column],
                        self->rows.values + row * dimension, tile->values + column * dimension);
    }
}

/* Rows meet the slots after them; when only counting, all. */
static int run_block(plain_t *self, error_t *error)
{
    const visitor_t visitor = {fill, wants, visit, self};
    pairs_t *pairs = self->pairs;
    const plan_view_t *plan = &pairs->state->plan;
    self->rows.count = pairs->rows;
    for (size_t i = 0; i < pairs->rows; i++) {
        self->bands[i] = plan_view_band(plan, pairs->partition, self->rows.slots[i]);
        if (!pairs->counting)
            self->bands[i].begin = self->rows.slots[i] + 1;
    }
    int code =
        vectors_read(&self->rows, plan, pairs->state->context->index, &pairs->state->screen, error);
    if (code)
        return code;
    self->columns = (band_t){self->bands[0].begin, self->bands[pairs->rows - 1].end};
    code = sweep_run(self->sweep, &self->rows, &visitor, error);
    return code ? code : pairs_end_block(pairs, error);
}

int pairs_plain(pairs_t *pairs, error_t *error)
{
    plain_t *self = calloc(1, sizeof *self);
    uint32_t segment = 0, at = 0;
    if (!self)
        return error_set(error, ERR_MEMORY, "no memory for a pairs task");
    self->pairs = pairs;
    int code = pairs_prepare(pairs, BLOCK_ROWS, error);
    if (!code)
        code = sweep_new(pairs->state, &self->sweep, error);
    if (!code)
        code = vectors_init(&self->rows, BLOCK_ROWS, pairs->state->dimension, error);
    while (!code && pairs_next_rows(pairs, BLOCK_ROWS, &segment, &at, self->rows.slots))
        code = run_block(self, error);
    sweep_destroy(&self->sweep);
    vectors_clear(&self->rows);
    free(self);
    return code;
}
