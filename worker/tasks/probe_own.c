#include "worker/tasks/probe_own.h"

#include <stdlib.h>
#include <string.h>

#define CACHE_LINE 64
#define CHUNK 64      /* rows whose products with many members are kept */
#define FIRST_MOST 16 /* panels in which a row looks for the nearest by codes */
#define FIRST_COLUMNS (FIRST_MOST * INT8_COLUMNS)
#define CUTS 16 /* of the range in which a rank is looked for */

struct probe_own {
    probe_block_t *block;
    cell_columns_t *columns;
    const uint32_t *some;
    size_t count;
    uint32_t *row_of; /* by column: the row of the block that it is; ROW_NONE */
    int8_t *code;     /* of the rows, side by side */
    int32_t *sum;     /* and what else the kernels ask of them */
    int32_t *start;
    int32_t *limit;
    uint64_t *mask;
    int32_t *scores; /* FIRST_MOST x CHUNK x INT8_COLUMNS */
    int32_t near[FIRST_COLUMNS];
};

static void *aligned(size_t count, size_t size)
{
    return aligned_alloc(CACHE_LINE, (count * size / CACHE_LINE + 1) * CACHE_LINE);
}

int probe_own_new(probe_block_t *block, cell_columns_t *columns, probe_own_t **out, error_t *error)
{
    const probe_setting_t *setting = block->setting;
    probe_own_t *self = calloc(1, sizeof *self);
    *out = self;
    if (!self)
        return error_set(error, ERR_MEMORY, "no memory to search cells");
    self->block = block;
    self->columns = columns;
    self->row_of = aligned(setting->largest + 1, sizeof *self->row_of);
    self->code = aligned(PROBE_ROWS, setting->view->codes.width);
    self->sum = aligned(PROBE_ROWS, sizeof *self->sum);
    self->start = aligned(PROBE_ROWS, sizeof *self->start);
    self->limit = aligned(PROBE_ROWS, sizeof *self->limit);
    self->mask = aligned(PROBE_ROWS, sizeof *self->mask);
    self->scores = aligned(FIRST_COLUMNS * CHUNK, sizeof *self->scores);
    if (self->row_of && self->code && self->sum && self->start && self->limit && self->mask &&
        self->scores)
        return OK;
    probe_own_destroy(out);
    return error_set(error, ERR_MEMORY, "no memory to search cells of up to %zu members",
                     setting->largest);
}

void probe_own_destroy(probe_own_t **self_pointer)
{
    probe_own_t *self = *self_pointer;
    if (!self)
        return;
    free(self->row_of);
    free(self->code);
    free(self->sum);
    free(self->start);
    free(self->limit);
    free(self->mask);
    free(self->scores);
    free(self);
    *self_pointer = NULL;
}

/* ---- who is who ---- */

/* Which column of the open cell the row is; ROW_NONE when it is none. */
static uint32_t column_of(const probe_own_t *self, uint32_t row)
{
    uint32_t column = self->block->setting->column_of[self->block->slot[row]];
    return column < self->columns->count && self->columns->slot[column] == self->block->slot[row]
               ? column
               : ROW_NONE;
}

/* Of rows of one slot the last stands for the column; the others meet it as strangers. */
static void introduce(probe_own_t *self)
{
    const probe_block_t *block = self->block;
    size_t width = block->setting->view->codes.width;
    memset(self->row_of, 0xff, self->columns->count * sizeof *self->row_of); /* to ROW_NONE */
    for (size_t i = 0; i < self->count; i++) {
        uint32_t row = self->some[i], column = column_of(self, row);
        memcpy(self->code + i * width, block->code + row * width, width);
        self->sum[i] = block->sum[row];
        self->start[i] = codes_start(&block->setting->view->codes, block->whole[row],
                                     block->setting->view->residual[block->place[row]],
                                     block->setting->usual, 0);
        if (column == ROW_NONE)
            continue;
        self->row_of[column] = row;
        cell_columns_lend(self->columns, column, block->vector[row]);
    }
}

static int is_itself(const probe_own_t *self, uint32_t row, size_t column)
{
    return self->columns->slot[column] == self->block->slot[row];
}

/* The row that takes a pair with this one, by the column's side. */
static uint32_t other_of(const probe_own_t *self, uint32_t row, uint32_t own, size_t column)
{
    return own != ROW_NONE && self->row_of[own] == row ? self->row_of[column] : ROW_NONE;
}

static int meet(probe_own_t *self, uint32_t row, uint32_t other, size_t column, error_t *error)
{
    probe_block_t *block = self->block;
    uint32_t slot = self->columns->slot[column];
    const float *vector;
    if (!probe_block_may_take(block, row, slot) &&
        (other == ROW_NONE || !probe_block_may_take(block, other, block->slot[row])))
        return OK;
    /* what one of the two holds has been measured, and offered to both */
    if (probe_block_holds(block, row, slot) ||
        (other != ROW_NONE && probe_block_holds(block, other, block->slot[row])))
        return OK;
    int code = cell_columns_find(self->columns, column, &vector, error);
    if (!code)
        probe_block_meet(block, row, other, slot, vector);
    return code;
}

static int8_rows_t rows_from(const probe_own_t *self, size_t begin, size_t count)
{
    size_t width = self->block->setting->view->codes.width;
    return (int8_rows_t){self->code + begin * width, width, count, width, self->sum + begin};
}

/* ---- the nearest by codes ---- */

static size_t count_over(const int32_t *values, size_t count, int32_t bar)
{
    size_t over = 0;
    for (size_t i = 0; i < count; i++)
        over += values[i] >= bar;
    return over;
}

/* A bar that `wanted` values reach, and hardly more: any would do. */
static int32_t bar_for(const int32_t *values, size_t count, size_t wanted)
{
    int32_t low = -INT8_ROOM, high = INT8_ROOM;
    for (size_t i = 0; i < count && wanted < count; i++) {
        low = i == 0 || values[i] < low ? values[i] : low;
        high = i == 0 || values[i] > high ? values[i] : high;
    }
    for (int cut = 0; cut < CUTS && wanted < count && low + 1 < high; cut++) {
        int32_t middle = low + (high - low) / 2;
        size_t over = count_over(values, count, middle);
        if (over >= wanted)
            low = middle;
        else
            high = middle;
        if (over >= wanted && over <= wanted + wanted / 4)
            break;
    }
    return low;
}

/* Row begin + i meets the nearest of `columns` columns from `first` on. */
static int meet_nearest(probe_own_t *self, size_t begin, size_t i, size_t first, size_t columns,
                        error_t *error)
{
    const probe_block_t *block = self->block;
    uint32_t row = self->some[begin + i], own = column_of(self, row);
    int code = OK;
    for (size_t c = 0; c < columns; c++)
        self->near[c] =
            2 * self->scores[(c / INT8_COLUMNS * CHUNK + i) * INT8_COLUMNS + c % INT8_COLUMNS] -
            block->setting->whole[self->columns->place[first + c]];
    int32_t bar = bar_for(self->near, columns, block->setting->k + 1); /* itself is one */
    for (size_t c = 0; c < columns && !code; c++)
        if (self->near[c] >= bar && !is_itself(self, row, first + c))
            code = meet(self, row, other_of(self, row, own, first + c), first + c, error);
    probe_block_flush(self->block); /* whom it has met knows it */
    return code;
}

/* In large cells only those around the rows. */
static int first_round(probe_own_t *self, error_t *error)
{
    const int8_kernel_t *kernel = self->block->setting->kernel;
    size_t members = self->columns->count;
    int code = OK;
    for (size_t begin = 0; begin < self->count && !code; begin += CHUNK) {
        size_t chunk = self->count - begin < CHUNK ? self->count - begin : CHUNK;
        uint32_t own = column_of(self, self->some[begin]);
        size_t first = own == ROW_NONE || own < FIRST_COLUMNS / 2 ? 0 : own - FIRST_COLUMNS / 2;
        first -= first % INT8_COLUMNS;
        size_t columns = members - first < FIRST_COLUMNS ? members - first : FIRST_COLUMNS;
        const int8_rows_t rows = rows_from(self, begin, chunk);
        for (size_t c = 0; c < columns; c += INT8_COLUMNS) {
            cell_columns_pack(self->columns, first + c);
            kernel->scores(&rows, self->columns->panel, self->scores + c * CHUNK);
        }
        for (size_t i = 0; i < chunk && !code; i++)
            code = meet_nearest(self, begin, i, first, columns, error);
    }
    return code;
}

/* ---- all others that codes do not rule out ---- */

/* From either side. */
static void screen(probe_own_t *self, size_t first)
{
    probe_block_t *block = self->block;
    size_t width = cell_columns_width(self->columns, first);
    int32_t column_limit[INT8_COLUMNS];
    for (size_t c = 0; c < INT8_COLUMNS; c++) {
        uint32_t other = c < width ? self->row_of[first + c] : ROW_NONE;
        column_limit[c] = other == ROW_NONE ? INT8_ROOM : probe_block_limit(block, other);
    }
    for (size_t i = 0; i < self->count; i++)
        self->limit[i] = probe_block_limit(block, self->some[i]);
    const int8_rows_t rows = rows_from(self, 0, self->count);
    const int8_bounds_t bounds = {self->limit, self->start, column_limit,
                                  self->columns->start + first};
    cell_columns_pack(self->columns, first);
    block->setting->kernel->screen(&rows, self->columns->panel, &bounds, self->mask);
    uint64_t there = width < INT8_COLUMNS ? ((uint64_t)1 << width) - 1 : UINT64_MAX;
    for (size_t i = 0; i < self->count; i++)
        self->mask[i] &= there;
}

/* Of two members the one with the smaller column meets the other. */
static int second_round(probe_own_t *self, error_t *error)
{
    int code = OK;
    for (size_t first = 0; first < self->columns->count && !code; first += INT8_COLUMNS) {
        screen(self, first);
        for (size_t i = 0; i < self->count && !code; i++) {
            uint32_t row = self->some[i], own = self->mask[i] ? column_of(self, row) : 0;
            for (uint64_t mask = self->mask[i]; mask && !code; mask &= mask - 1) {
                size_t column = first + (size_t)__builtin_ctzll(mask);
                uint32_t other = other_of(self, row, own, column);
                if (!is_itself(self, row, column) && (other == ROW_NONE || own < column))
                    code = meet(self, row, other, column, error);
            }
        }
        probe_block_flush(self->block); /* while the vectors stay */
    }
    return code;
}

int probe_own_search(probe_own_t *self, const uint32_t *some, size_t count, error_t *error)
{
    self->some = some;
    self->count = count;
    introduce(self);
    int code = first_round(self, error);
    return code ? code : second_round(self, error);
}
