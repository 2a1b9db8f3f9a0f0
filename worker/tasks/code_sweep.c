#include "worker/tasks/code_sweep.h"

#include <math.h>
#include <stdlib.h>

#define CACHE_LINE 64
#define ITEM_ROWS 96
#define TILE_PANELS (CODE_TILE / INT8_COLUMNS)
#define ITEMS ((CODE_BLOCK_ROWS + ITEM_ROWS - 1) / ITEM_ROWS)
#define PAIRS_AT_ONCE 2048
#define PAIRS_WORTH_A_VISIT 256 /* what they find makes the next panels' limits tighter */
#define PAIRS_AHEAD 6           /* codes that are asked for before their turn */

/* What one side of the pairs wants, in steps of the codes' scale. */
typedef struct {
    float wants;
    int32_t limit;
    int32_t start;
    double reach; /* negative: wants nothing */
} side_t;

typedef struct {
    coded_t columns;
    uint8_t *panels;
    int32_t limit[CODE_TILE];
    int32_t start[CODE_TILE];
    double reach[CODE_TILE];
} tile_t;

struct code_sweep {
    const task_state_t *state;
    const codes_view_t *view;
    const int8_kernel_t *kernel;
    size_t panel_bytes;
    tile_t tiles[2];
    /* of the current code_sweep_run */
    const coded_t *rows;
    const band_t *bands;
    band_t item_band[ITEMS]; /* what an item's rows may meet */
    side_t side[CODE_BLOCK_ROWS];
    code_farthest_t farthest;
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

/* ---- what is wanted ---- */

double code_sweep_radius(const codes_view_t *view, uint32_t place, float wants)
{
    double radius = codes_reach(&view->codes, wants) + (double)view->residual_head[place];
    return wants >= 0 && radius < INFINITY ? radius : 0;
}

/* Limit and reach; codes_start has made room for radii up to `farthest`, no more. */
static void want(const code_sweep_t *self, const coded_t *of, size_t i, float wants,
                 double farthest, side_t *side)
{
    const codes_t *codes = &self->view->codes;
    float residual = of->residual_head[i];
    side->wants = wants;
    side->reach = -1;
    side->limit = INT8_ROOM;
    if (wants < 0)
        return;
    side->reach = codes_reach(codes, wants);
    side->limit = side->reach + (double)residual <= farthest
                      ? codes_limit(codes, of->square[i], side->reach, residual, self->view->usual)
                      : -INT8_ROOM;
}

/* `farthest` of those that it meets. */
static int32_t start_of(const code_sweep_t *self, const coded_t *of, size_t i, double farthest)
{
    return codes_start(&self->view->codes, of->square[i], of->residual_head[i], self->view->usual,
                       farthest);
}

static void begin_rows(code_sweep_t *self)
{
    for (size_t row = 0; row < self->rows->count; row++) {
        band_t *band = &self->item_band[row / ITEM_ROWS];
        if (row % ITEM_ROWS == 0)
            *band = self->bands[row];
        band->begin = self->bands[row].begin < band->begin ? self->bands[row].begin : band->begin;
        band->end = self->bands[row].end > band->end ? self->bands[row].end : band->end;
        self->side[row].start = start_of(self, self->rows, row, self->farthest.column);
        want(self, self->rows, row, self->visitor->row_wants(self->visitor->context, row),
             self->farthest.row, &self->side[row]);
    }
}

/* ---- tiles ---- */

static void pack(const code_sweep_t *self, tile_t *tile)
{
    const codes_t *codes = &self->view->codes;
    size_t count = tile->columns.count;
    for (size_t first = 0; first < count; first += INT8_COLUMNS) {
        const int8_rows_t panel = {tile->columns.codes + first * codes->width, codes->width,
                                   count - first < INT8_COLUMNS ? count - first : INT8_COLUMNS,
                                   codes->head, NULL};
        self->kernel->pack(&panel, tile->panels + first / INT8_COLUMNS * self->panel_bytes);
    }
}

static int fill(code_sweep_t *self, tile_t *tile, error_t *error)
{
    coded_t *columns = &tile->columns;
    self->visitor->next(self->visitor->context, columns);
    int code = columns->count ? coded_read(columns, self->view, self->state, error) : OK;
    if (code)
        return code;
    if (self->visitor->widen)
        self->visitor->widen(self->visitor->context, columns);
    for (size_t i = 0; i < columns->count; i++) {
        const code_visitor_t *visitor = self->visitor;
        side_t side;
        want(self, columns, i,
             visitor->column_wants ? visitor->column_wants(visitor->context, columns, i)
                                   : CODE_WANTS_NONE,
             self->farthest.column, &side);
        tile->limit[i] = side.limit;
        tile->reach[i] = side.reach;
        tile->start[i] = start_of(self, columns, i, self->farthest.row);
    }
    for (size_t i = columns->count; i < CODE_TILE; i++) {
        tile->limit[i] = INT8_ROOM;
        tile->start[i] = 0;
    }
    pack(self, tile);
    return OK;
}

/* ---- pairs ---- */

typedef struct {
    code_sweep_t *self;
    uint32_t thread;
    int visited; /* the limits below may be old */
    int idle;    /* nobody wants anything */
    int32_t limit[ITEM_ROWS];
    int32_t start[ITEM_ROWS];
    size_t count;
    code_pair_t pairs[PAIRS_AT_ONCE];
} batch_t;

static const int8_t *codes_at(const coded_t *of, size_t i) { return of->codes + i * of->width; }

static void ask_for_codes(const coded_t *of, size_t i)
{
    for (size_t at = 0; at < of->width; at += CACHE_LINE)
        __builtin_prefetch(codes_at(of, i) + at);
}

/* Keeps the pairs that whole codes do not rule out either. */
static size_t sift(const code_sweep_t *self, code_pair_t *pairs, size_t count)
{
    const coded_t *rows = self->rows, *columns = &self->tile->columns;
    const codes_t codes = self->view->codes;
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (i + PAIRS_AHEAD < count)
            ask_for_codes(columns, pairs[i + PAIRS_AHEAD].column);
        uint32_t row = pairs[i].row, column = pairs[i].column;
        double of_row = self->side[row].reach, of_column = self->tile->reach[column];
        int32_t squares =
            rows->whole[row] + columns->whole[column] -
            2 * self->kernel->dot(codes_at(rows, row), codes_at(columns, column), rows->width);
        pairs[kept] = pairs[i];
        kept += !codes_apart(&codes, squares, of_row > of_column ? of_row : of_column,
                             rows->residual[row], columns->residual[column]);
    }
    return kept;
}

static void flush(batch_t *batch)
{
    const code_sweep_t *self = batch->self;
    size_t count = sift(self, batch->pairs, batch->count);
    batch->count = 0;
    batch->visited = 1;
    if (count)
        self->visitor->visit(self->visitor->context, &self->tile->columns, batch->pairs, count,
                             batch->thread);
}

static void add_pairs(batch_t *batch, size_t row, size_t first, uint64_t mask)
{
    const code_sweep_t *self = batch->self;
    const coded_t *columns = &self->tile->columns;
    const code_visitor_t *visitor = self->visitor;
    const band_t band = self->bands[row];
    if (batch->count + INT8_COLUMNS > PAIRS_AT_ONCE)
        flush(batch);
    for (; mask; mask &= mask - 1) {
        size_t column = first + (size_t)__builtin_ctzll(mask);
        batch->pairs[batch->count] = (code_pair_t){(uint32_t)row, (uint32_t)column};
        batch->count +=
            columns->place[column] >= band.begin && columns->place[column] < band.end &&
            (!visitor->may_want || visitor->may_want(visitor->context, row, columns, column));
    }
}

/* Rows [begin, begin + rows->count) against the panel of columns from `first` on. */
static void compare_panel(batch_t *batch, const int8_rows_t *rows, size_t begin, size_t first)
{
    const code_sweep_t *self = batch->self;
    const int8_bounds_t bounds = {batch->limit, batch->start, self->tile->limit + first,
                                  self->tile->start + first};
    size_t width = self->tile->columns.count - first;
    uint64_t there = width < INT8_COLUMNS ? ((uint64_t)1 << width) - 1 : UINT64_MAX;
    uint64_t mask[ITEM_ROWS];
    self->kernel->screen(rows, self->tile->panels + first / INT8_COLUMNS * self->panel_bytes,
                         &bounds, mask);
    for (size_t row = 0; row < rows->count; row++)
        if (mask[row] & there)
            add_pairs(batch, begin + row, first, mask[row] & there);
}

static void renew_limits(batch_t *batch, size_t begin, size_t end)
{
    code_sweep_t *self = batch->self;
    batch->idle = self->visitor->column_wants == NULL;
    for (size_t row = begin; row < end; row++) {
        float wants = self->visitor->row_wants(self->visitor->context, row);
        batch->idle &= wants < 0;
        if (wants != self->side[row].wants)
            want(self, self->rows, row, wants, self->farthest.row, &self->side[row]);
        batch->limit[row - begin] = self->side[row].limit;
        batch->start[row - begin] = self->side[row].start;
    }
    batch->visited = 0;
}

static void compare(code_sweep_t *self, size_t begin, size_t end, uint32_t thread)
{
    const coded_t *columns = &self->tile->columns;
    const band_t band = self->item_band[begin / ITEM_ROWS];
    const int8_rows_t rows = {codes_at(self->rows, begin), self->rows->width, end - begin,
                              self->view->codes.head, self->rows->sum + begin};
    batch_t batch = {.self = self, .thread = thread, .visited = 1};
    for (size_t first = 0; first < columns->count; first += INT8_COLUMNS) {
        size_t last =
            first + INT8_COLUMNS < columns->count ? first + INT8_COLUMNS - 1 : columns->count - 1;
        if (columns->place[last] < band.begin || columns->place[first] >= band.end)
            continue;
        if (batch.visited)
            renew_limits(&batch, begin, end);
        if (batch.idle)
            break;
        compare_panel(&batch, &rows, begin, first);
        if (batch.count >= PAIRS_WORTH_A_VISIT)
            flush(&batch);
    }
    flush(&batch);
}

/* ---- the run ---- */

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

int code_sweep_run(code_sweep_t *self, const coded_t *rows, const band_t *bands,
                   code_farthest_t farthest, const code_visitor_t *visitor, error_t *error)
{
    size_t items = 1 + (rows->count + ITEM_ROWS - 1) / ITEM_ROWS;
    int current = 0;
    self->rows = rows;
    self->bands = bands;
    self->farthest = farthest;
    self->visitor = visitor;
    self->error = error;
    begin_rows(self);
    self->next_code = fill(self, &self->tiles[0], error);
    while (!self->next_code && self->tiles[current].columns.count) {
        self->tile = &self->tiles[current];
        self->next = &self->tiles[!current];
        int code =
            visitor->begin ? visitor->begin(visitor->context, &self->tile->columns, error) : OK;
        if (code)
            return code;
        pool_run(compute_pool(self->state->context->compute), items, run_item, self);
        code = task_state_check_stop(self->state, error);
        if (code)
            return code;
        current = !current;
    }
    return self->next_code;
}
