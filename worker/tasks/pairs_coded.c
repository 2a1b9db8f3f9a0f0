/* pairs_coded.c - pairs by way of codes: the same pairs as pairs_plain.c, sooner. Segments count
 * places. */
#include "worker/tasks/pairs.h"

#include <stdlib.h>

typedef struct {
    pairs_t *pairs;
    codes_view_t view;
    coded_t rows;
    band_t bands[CODE_BLOCK_ROWS];
    band_t columns; /* what is left to read for this block */
    code_sweep_t *sweep;
} coded_pairs_t;

static void next(void *context, coded_t *tile)
{
    coded_pairs_t *self = context;
    size_t left = self->columns.end - self->columns.begin;
    tile->count = pairs_over(self->pairs) ? 0 : left < CODE_TILE ? left : CODE_TILE;
    for (size_t i = 0; i < tile->count; i++)
        tile->place[i] = self->columns.begin++;
}

static void visit(void *context, size_t row, const coded_t *tile, size_t first, uint64_t mask,
                  uint32_t thread)
{
    coded_pairs_t *self = context;
    size_t dimension = self->rows.dimension;
    (void)thread;
    for (; mask && !pairs_over(self->pairs); mask &= mask - 1) {
        size_t column = first + (size_t)__builtin_ctzll(mask);
        uint32_t place = tile->place[column];
        if (place < self->bands[row].begin || place >= self->bands[row].end ||
            place == self->rows.place[row] || code_sweep_apart(self->sweep, row, tile, column))
            continue;
        pairs_offer(self->pairs, row, self->rows.slot[row], tile->slot[column],
                    self->rows.values + row * dimension, tile->values + column * dimension);
    }
}

static int run_block(coded_pairs_t *self, error_t *error)
{
    const code_visitor_t visitor = {next, visit, self};
    pairs_t *pairs = self->pairs;
    self->rows.count = pairs->rows;
    for (size_t i = 0; i < pairs->rows; i++) {
        self->bands[i] = plan_view_band(&pairs->state->plan, pairs->partition, self->rows.place[i]);
        if (!pairs->counting)
            self->bands[i].begin = self->rows.place[i] + 1;
    }
    int code = coded_read(&self->rows, &self->view, pairs->state, error);
    if (code)
        return code;
    coded_sum(&self->rows, &self->view);
    self->columns = (band_t){self->bands[0].begin, self->bands[pairs->rows - 1].end};
    code_sweep_rows(self->sweep, &self->rows, self->bands);
    for (size_t row = 0; row < pairs->rows; row++)
        code_sweep_settle(self->sweep, row, pairs->threshold);
    code = code_sweep_run(self->sweep, &visitor, error);
    return code ? code : pairs_end_block(pairs, error);
}

static size_t rows_of(const task_t *task)
{
    size_t rows = 1;
    for (uint32_t s = 0; s < task->segment_count; s++)
        rows += task->segments[s].end - task->segments[s].begin;
    return rows < CODE_BLOCK_ROWS ? rows : CODE_BLOCK_ROWS;
}

int pairs_coded(pairs_t *pairs, error_t *error)
{
    coded_pairs_t *self = calloc(1, sizeof *self);
    size_t rows = rows_of(pairs->state->task);
    uint32_t segment = 0, at = 0;
    if (!self)
        return error_set(error, ERR_MEMORY, "no memory for a pairs task");
    self->pairs = pairs;
    int code = pairs_prepare(pairs, rows, error);
    if (!code)
        code = codes_view_open(&self->view, pairs->state, error);
    if (!code)
        code = code_sweep_new(pairs->state, &self->view, 1, &self->sweep, error);
    if (!code)
        code = coded_init(&self->rows, rows, &self->view, 1, error);
    while (!code && pairs_next_rows(pairs, rows, &segment, &at, self->rows.place))
        code = run_block(self, error);
    coded_clear(&self->rows);
    code_sweep_destroy(&self->sweep);
    codes_view_close(&self->view);
    free(self);
    return code;
}
