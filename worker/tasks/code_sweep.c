#include "worker/tasks/code_sweep.h"

#include <math.h>
#include <stdlib.h>

#define CACHE_LINE 64
#define ITEM_ROWS 96
#define TILE_PANELS (CODE_TILE / INT8_COLUMNS)

typedef struct {
    coded_t columns;
    uint8_t *panels;
    int32_t start[CODE_TILE];
} tile_t;

struct code_sweep {
    const task_state_t *state;
    const codes_view_t *view;
    const int8_kernel_t *kernel;
    size_t panel_bytes;
    tile_t tiles[2];
    /* of the rows */
    const coded_t *rows;
    band_t item_band[(CODE_BLOCK_ROWS + ITEM_ROWS - 1) / ITEM_ROWS]; /* what its rows may meet */
    int32_t limit[CODE_BLOCK_ROWS];
    double reach[CODE_BLOCK_ROWS];
    double farthest;
    /* of the current code_sweep_run */
    const code_visitor_t *visitor;
    const tile_t *tile;
    tile_t *next;
    int next_code;
    error_t *error;
};

int code_sweep_new(const task_state_t *state, const codes_view_t *view, int with_values,
                   code_sweep_t **out, error_t *error)
{
    code_sweep_t *self = calloc(1, sizeof *self);
    *out = self;
    if (!self)
        return error_set(error, ERR_MEMORY, "no memory to compare codes");
    self->state = state;
    self->view = view;
    self->kernel = compute_int8(state->context->compute);
    self->panel_bytes = INT8_PANEL_BYTES(view->codes.head);
    int code = OK;
    for (int i = 0; i < 2 && !code; i++) {
        code = coded_init(&self->tiles[i].columns, CODE_TILE, view, with_values, error);
        self->tiles[i].panels = aligned_alloc(CACHE_LINE, TILE_PANELS * self->panel_bytes);
        if (!code && !self->tiles[i].panels)
            code = error_set(error, ERR_MEMORY, "no memory for %d columns", CODE_TILE);
    }
    if (code)
        code_sweep_destroy(out);
    return code;
}

void code_sweep_destroy(code_sweep_t **self_pointer)
{
    code_sweep_t *self = *self_pointer;
    if (!self)
        return;
    for (int i = 0; i < 2; i++) {
        coded_clear(&self->tiles[i].columns);
        free(self->tiles[i].panels);
    }
    free(self);
    *self_pointer = NULL;
}

void code_sweep_rows(code_sweep_t *self, const coded_t *rows, const band_t *bands)
{
    self->rows = rows;
    for (size_t row = 0; row < rows->count; row++) {
        band_t *item = &self->item_band[row / ITEM_ROWS];
        if (row % ITEM_ROWS == 0)
            *item = bands[row];
        item->begin = bands[row].begin < item->begin ? bands[row].begin : item->begin;
        item->end = bands[row].end > item->end ? bands[row].end : item->end;
        self->reach[row] = INFINITY;
        self->limit[row] = INT32_MIN;
    }
}

void code_sweep_settle(code_sweep_t *self, size_t row, float threshold)
{
    const codes_t *codes = &self->view->codes;
    self->reach[row] = codes_reach(codes, threshold);
    self->limit[row] = codes_limit(codes, self->rows->square[row], self->reach[row],
                                   self->rows->residual_head[row], self->view->usual);
}

int code_sweep_apart(const code_sweep_t *self, size_t row, const coded_t *tile, size_t column)
{
    const codes_t *codes = &self->view->codes;
    const int8_t *a = self->rows->codes + row * codes->width;
    const int8_t *b = tile->codes + column * codes->width;
    int32_t squares =
        self->rows->whole[row] + tile->whole[column] - 2 * self->kernel->dot(a, b, codes->width);
    return codes_apart(codes, squares, self->reach[row], self->rows->residual[row],
                       tile->residual[column]);
}

/* Of the rows that have settled: the others take everything anyway. */
static double farthest_of(const code_sweep_t *self)
{
    double farthest = 0;
    for (size_t row = 0; row < self->rows->count; row++) {
        double reach = self->reach[row] + (double)self->rows->residual_head[row];
        if (reach < INFINITY && reach > farthest)
            farthest = reach;
    }
    return farthest;
}

static int fill(code_sweep_t *self, tile_t *tile, error_t *error)
{
    const codes_t *codes = &self->view->codes;
    coded_t *columns = &tile->columns;
    self->visitor->next(self->visitor->context, columns);
    int code = columns->count ? coded_read(columns, self->view, self->state, error) : OK;
    if (code)
        return code;
    for (size_t i = 0; i < columns->count; i++)
        tile->start[i] = codes_start(codes, columns->square[i], columns->residual_head[i],
                                     self->view->usual, self->farthest);
    for (size_t i = columns->count; i < CODE_TILE; i++)
        tile->start[i] = 0;
    for (size_t first = 0; first < columns->count; first += INT8_COLUMNS) {
        size_t left = columns->count - first;
        const int8_rows_t panel = {columns->codes + first * codes->width, codes->width,
                                   left < INT8_COLUMNS ? left : INT8_COLUMNS, codes->head, NULL};
        self->kernel->pack(&panel, tile->panels + first / INT8_COLUMNS * self->panel_bytes);
    }
    return OK;
}

static void compare(code_sweep_t *self, size_t begin, size_t end, uint32_t thread)
{
    const codes_t *codes = &self->view->codes;
    const coded_t *columns = &self->tile->columns;
    const int8_rows_t rows = {self->rows->codes + begin * codes->width, codes->width, end - begin,
                              codes->head, self->rows->sum + begin};
    const band_t band = self->item_band[begin / ITEM_ROWS];
    uint64_t mask[ITEM_ROWS];
    for (size_t first = 0; first < columns->count; first += INT8_COLUMNS) {
        size_t width = columns->count - first;
        uint64_t there = width < INT8_COLUMNS ? ((uint64_t)1 << width) - 1 : UINT64_MAX;
        size_t last = width < INT8_COLUMNS ? columns->count - 1 : first + INT8_COLUMNS - 1;
        if (columns->place[last] < band.begin || columns->place[first] >= band.end)
            continue;
        self->kernel->screen(&rows, self->tile->panels + first / INT8_COLUMNS * self->panel_bytes,
                             self->tile->start + first, self->limit + begin, mask);
        for (size_t row = begin; row < end; row++) {
            if (mask[row - begin] & there)
                self->visitor->visit(self->visitor->context, row, columns, first,
                                     mask[row - begin] & there, thread);
        }
    }
}

/* Item 0 fills the next tile; the others are groups of rows against this one. */
static void run_item(void *context, size_t item, uint32_t thread)
{
    code_sweep_t *self = context;
    if (task_state_stopped(self->state))
        return;
    if (item == 0) {
        self->next_code = fill(self, self->next, self->error);
        return;
    }
    size_t begin = (item - 1) * ITEM_ROWS;
    size_t end = begin + ITEM_ROWS;
    if (end > self->rows->count)
        end = self->rows->count;
    compare(self, begin, end, thread);
    task_state_advance(self->state, (uint64_t)(end - begin) * self->tile->columns.count);
}

int code_sweep_run(code_sweep_t *self, const code_visitor_t *visitor, error_t *error)
{
    size_t items = 1 + (self->rows->count + ITEM_ROWS - 1) / ITEM_ROWS;
    int current = 0;
    self->visitor = visitor;
    self->error = error;
    self->farthest = farthest_of(self);
    self->next_code = fill(self, &self->tiles[0], error);
    while (!self->next_code && self->tiles[current].columns.count) {
        self->tile = &self->tiles[current];
        self->next = &self->tiles[!current];
        pool_run(compute_pool(self->state->context->compute), items, run_item, self);
        int code = task_state_check_stop(self->state, error);
        if (code)
            return code;
        current = !current;
    }
    return self->next_code;
}
