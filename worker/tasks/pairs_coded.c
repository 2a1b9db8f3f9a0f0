/* pairs_coded.c - pairs by way of codes: the same pairs as pairs_plain.c, sooner. Segments count
 * places. */
#include "worker/tasks/pairs.h"

#include <math.h>
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

static float row_wants(void *context, size_t row)
{
    (void)row;
    return ((const coded_pairs_t *)context)->pairs->threshold;
}

static float column_wants(void *context, const coded_t *tile, size_t column)
{
    (void)context;
    (void)tile;
    (void)column;
    return CODE_WANTS_NONE;
}

static int may_want(void *context, size_t row, const coded_t *tile, size_t column)
{
    return tile->place[column] != ((const coded_pairs_t *)context)->rows.place[row];
}

static void visit(void *context, const coded_t *tile, const code_pair_t *found, size_t count,
                  uint32_t thread)
{
    coded_pairs_t *self = context;
    (void)thread;
    for (size_t i = 0; i < count && !pairs_over(self->pairs); i++) {
        size_t row = found[i].row, column = found[i].column;
        pairs_offer(self->pairs, row, self->rows.slot[row], tile->slot[column],
                    self->rows.vector[row], tile->vector[column]);
    }
}

static int run_block(coded_pairs_t *self, error_t *error)
{
    const code_visitor_t visitor = {next,         NULL,     NULL,  row_wants,
                                    column_wants, may_want, visit, self};
    pairs_t *pairs = self->pairs;
    double farthest = 0;
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
    for (size_t row = 0; row < pairs->rows; row++)
        farthest =
            fmax(farthest, code_sweep_radius(&self->view, self->rows.place[row], pairs->threshold));
    code = code_sweep_run(self->sweep, &self->rows, self->bands,
                          (code_farthest_t){farthest, farthest}, &visitor, error);
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
