#include "worker/tasks/probe_rows.h"

#include "worker/tasks/probe_own.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CACHE_LINE 64
#define PROBE_WORDS (PROBE_ROWS / 64)
#define ONE_BY_ONE 2u /* so few rows meet a panel without packing it */

struct probe_rows {
    const probe_setting_t *setting;
    probe_block_t block;
    cell_columns_t columns;
    probe_own_t *own;
    uint64_t *bits; /* cells of the partition x PROBE_WORDS */
    uint32_t *some; /* numbers of the rows that meet the present cell */
    int8_t *some_code;
    int32_t *some_sum;
    int32_t *limit;
    double *reach;
    uint64_t *mask;
    uint8_t *panel;
};

/* ---- memory ---- */

static void *aligned(size_t count, size_t size)
{
    return aligned_alloc(CACHE_LINE, (count * size / CACHE_LINE + 1) * CACHE_LINE);
}

static int scratch_init(probe_rows_t *self, error_t *error)
{
    const probe_setting_t *setting = self->setting;
    const codes_t *codes = &setting->view->codes;
    self->bits = aligned(setting->cells_at_most * PROBE_WORDS, sizeof *self->bits);
    self->some = aligned(PROBE_ROWS, sizeof *self->some);
    self->some_code = aligned(PROBE_ROWS, codes->width);
    self->some_sum = aligned(PROBE_ROWS, sizeof *self->some_sum);
    self->limit = aligned(PROBE_ROWS, sizeof *self->limit);
    self->reach = aligned(PROBE_ROWS, sizeof *self->reach);
    self->mask = aligned(PROBE_ROWS, sizeof *self->mask);
    self->panel = aligned(1, INT8_PANEL_BYTES(codes->head));
    if (self->bits && self->some && self->some_code && self->some_sum && self->limit &&
        self->reach && self->mask && self->panel)
        return OK;
    return error_set(error, ERR_MEMORY, "no memory to search %zu cells", setting->cells_at_most);
}

int probe_rows_new(const probe_setting_t *setting, probe_rows_t **out, error_t *error)
{
    probe_rows_t *self = calloc(1, sizeof *self);
    *out = self;
    if (!self)
        return error_set(error, ERR_MEMORY, "no memory to search cells");
    self->setting = setting;
    int code = probe_block_init(&self->block, setting, error);
    if (!code)
        code = cell_columns_init(&self->columns, setting, error);
    if (!code)
        code = probe_own_new(&self->block, &self->columns, &self->own, error);
    if (!code)
        code = scratch_init(self, error);
    if (code)
        probe_rows_destroy(out);
    return code;
}

void probe_rows_destroy(probe_rows_t **self_pointer)
{
    probe_rows_t *self = *self_pointer;
    if (!self)
        return;
    probe_block_clear(&self->block);
    cell_columns_clear(&self->columns);
    probe_own_destroy(&self->own);
    free(self->bits);
    free(self->some);
    free(self->some_code);
    free(self->some_sum);
    free(self->limit);
    free(self->reach);
    free(self->mask);
    free(self->panel);
    free(self);
    *self_pointer = NULL;
}

/* ---- a cell that is not the rows' own ---- */

/* The rows of self->some, side by side. */
static int8_rows_t gather(probe_rows_t *self, size_t count)
{
    size_t width = self->setting->view->codes.width;
    for (size_t i = 0; i < count; i++) {
        uint32_t row = self->some[i];
        memcpy(self->some_code + i * width, self->block.code + row * width, width);
        self->some_sum[i] = self->block.sum[row];
    }
    return (int8_rows_t){self->some_code, width, count, width, self->some_sum};
}

static void screen_one_by_one(probe_rows_t *self, const int8_rows_t *rows, size_t first)
{
    const codes_view_t *view = self->setting->view;
    const cell_columns_t *columns = &self->columns;
    for (size_t i = 0; i < rows->count; i++) {
        self->mask[i] = 0;
        for (size_t c = 0; c < cell_columns_width(columns, first); c++) {
            int32_t product = self->setting->kernel->dot(
                rows->codes + i * rows->stride,
                view->code + (size_t)columns->place[first + c] * rows->width, rows->width);
            self->mask[i] |= (uint64_t)(product + columns->start[first + c] >= self->limit[i]) << c;
        }
    }
}

static void screen(probe_rows_t *self, const int8_rows_t *rows, size_t first)
{
    size_t width = cell_columns_width(&self->columns, first);
    uint64_t there = width < INT8_COLUMNS ? ((uint64_t)1 << width) - 1 : UINT64_MAX;
    for (size_t i = 0; i < rows->count; i++)
        self->limit[i] = probe_block_limit(&self->block, self->some[i]);
    if (rows->count <= ONE_BY_ONE) {
        screen_one_by_one(self, rows, first);
        return;
    }
    const int8_bounds_t bounds = {self->limit, NULL, NULL, self->columns.start + first};
    cell_columns_pack(&self->columns, first);
    self->setting->kernel->screen(rows, self->columns.panel, &bounds, self->mask);
    for (size_t i = 0; i < rows->count; i++)
        self->mask[i] &= there;
}

static int visit(probe_rows_t *self, uint32_t row, size_t column, error_t *error)
{
    uint32_t slot = self->columns.slot[column];
    const float *vector;
    if (slot == self->block.slot[row] || !probe_block_may_take(&self->block, row, slot))
        return OK;
    int code = cell_columns_find(&self->columns, column, &vector, error);
    if (!code)
        probe_block_meet(&self->block, row, ROW_NONE, slot, vector);
    return code;
}

static int search_other(probe_rows_t *self, uint32_t cell, size_t count, error_t *error)
{
    int code = OK;
    cell_columns_open(&self->columns, cell);
    const int8_rows_t rows = gather(self, count);
    for (size_t first = 0; first < self->columns.count && !code; first += INT8_COLUMNS) {
        screen(self, &rows, first);
        for (size_t i = 0; i < count; i++)
            for (uint64_t mask = self->mask[i]; mask && !code; mask &= mask - 1)
                code = visit(self, self->some[i], first + (size_t)__builtin_ctzll(mask), error);
        probe_block_flush(&self->block); /* while the vectors stay */
    }
    return code;
}

/* ---- all of it ---- */

static void choose_cells(probe_rows_t *self, uint32_t partition)
{
    const probe_setting_t *setting = self->setting;
    const codes_t *codes = &setting->view->codes;
    const uint32_t *begin = setting->cells->begin + partition;
    const probe_block_t *block = &self->block;
    size_t cells = begin[1] - begin[0];
    memset(self->bits, isinf(setting->margin) ? 0xff : 0, cells * PROBE_WORDS * 8);
    if (isinf(setting->margin))
        return;
    const int8_rows_t heads = {block->code, codes->width, block->count, codes->head,
                               block->head_sum};
    const cell_rows_t some = {block->count, &heads,        block->place, block->vector,
                              block->own,   block->square, block->whole, self->limit,
                              self->reach,  self->mask,    self->panel};
    cell_centres_choose(setting->cells, &some, partition, setting->margin, self->bits, PROBE_WORDS);
}

/* Which rows meet the cell: those whose own it is, or those that look there besides. */
static size_t list_rows(probe_rows_t *self, uint32_t cell, const uint64_t *bits, int own)
{
    size_t found = 0;
    for (size_t w = 0; w * 64 < self->block.count; w++)
        for (uint64_t word = own ? UINT64_MAX : bits[w]; word; word &= word - 1) {
            size_t row = w * 64 + (size_t)__builtin_ctzll(word);
            if (row < self->block.count && (self->block.cell[row] == cell) == own)
                self->some[found++] = (uint32_t)row;
        }
    return found;
}

static int search_own(probe_rows_t *self, uint32_t cell, size_t count, error_t *error)
{
    cell_columns_open(&self->columns, cell);
    return probe_own_search(self->own, self->some, count, error);
}

static int search_cells(probe_rows_t *self, uint32_t partition, uint32_t *searched, error_t *error)
{
    const uint32_t *begin = self->setting->cells->begin + partition;
    int code = OK;
    for (int own = 1; own >= 0; own--)
        for (uint32_t cell = begin[0]; cell < begin[1] && !code; cell++) {
            const uint64_t *bits = self->bits + (size_t)(cell - begin[0]) * PROBE_WORDS;
            size_t rows = list_rows(self, cell, bits, own);
            for (size_t i = 0; i < rows; i++)
                searched[self->some[i]]++;
            code = task_state_check_stop(self->setting->state, error);
            if (rows > 0 && !code)
                code = (own ? search_own : search_other)(self, cell, rows, error);
        }
    return code;
}

int probe_rows_search(probe_rows_t *self, uint32_t partition, const uint32_t *slots, size_t count,
                      uint32_t *neighbour, float *d2, uint32_t *searched, error_t *error)
{
    memset(searched, 0, count * sizeof *searched);
    int code = probe_block_read(&self->block, partition, slots, count, neighbour, d2, error);
    if (code)
        return code;
    choose_cells(self, partition);
    return search_cells(self, partition, searched, error);
}
