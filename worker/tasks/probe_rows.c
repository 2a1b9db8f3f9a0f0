#include "worker/tasks/probe_rows.h"

#include "worker/tasks/cell_columns.h"
#include "worker/tasks/nearest.h"
#include "worker/tasks/select.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CACHE_LINE 64
#define CHUNK 64      /* rows whose products with all of their own cell are kept */
#define ONE_BY_ONE 4u /* so few rows meet a panel without packing it */
#define MORE_THAN_K 8u

/* Up to PROBE_ROWS rows with all that is asked of them. */
typedef struct {
    size_t count;
    uint32_t *slot;
    uint32_t *row; /* of the index */
    uint32_t *place;
    uint32_t *cell; /* its own */
    int8_t *head;   /* codes of the head, one row after another */
    int32_t *sum;
    int32_t *square;
    int32_t *whole;
    int32_t *limit;
    double *reach;
    float *own; /* d2 of the own cell's centre */
    float *room;
    const float **vector;
} rows_t;

struct probe_rows {
    const probe_setting_t *setting;
    rows_t rows;
    cell_columns_t columns;
    uint64_t *bits; /* cells of the partition x PROBE_WORDS */
    uint32_t *some; /* numbers of the rows that meet the present cell */
    int8_t *some_head;
    int32_t *some_sum;
    int32_t *some_limit;
    uint64_t *mask;
    int8_t *panel_codes; /* INT8_COLUMNS heads */
    uint8_t *panel;
    int32_t *scores; /* panels of the cell x CHUNK x INT8_COLUMNS */
    float *ranked;
    float *apart;
    uint32_t *neighbour; /* the caller's */
    float *d2;
};

/* ---- memory ---- */

static void *aligned(size_t count, size_t size)
{
    return aligned_alloc(CACHE_LINE, (count * size / CACHE_LINE + 1) * CACHE_LINE);
}

static int rows_init(rows_t *self, const codes_t *codes)
{
    self->slot = aligned(PROBE_ROWS, sizeof *self->slot);
    self->row = aligned(PROBE_ROWS, sizeof *self->row);
    self->place = aligned(PROBE_ROWS, sizeof *self->place);
    self->cell = aligned(PROBE_ROWS, sizeof *self->cell);
    self->head = aligned(PROBE_ROWS, codes->head);
    self->sum = aligned(PROBE_ROWS, sizeof *self->sum);
    self->square = aligned(PROBE_ROWS, sizeof *self->square);
    self->whole = aligned(PROBE_ROWS, sizeof *self->whole);
    self->limit = aligned(PROBE_ROWS, sizeof *self->limit);
    self->reach = aligned(PROBE_ROWS, sizeof *self->reach);
    self->own = aligned(PROBE_ROWS, sizeof *self->own);
    self->room = aligned(PROBE_ROWS * codes->dimension, sizeof *self->room);
    self->vector = aligned(PROBE_ROWS, sizeof *self->vector);
    return self->slot && self->row && self->place && self->cell && self->head && self->sum &&
           self->square && self->whole && self->limit && self->reach && self->own && self->room &&
           self->vector;
}

static void rows_clear(rows_t *self)
{
    free(self->slot);
    free(self->row);
    free(self->place);
    free(self->cell);
    free(self->head);
    free(self->sum);
    free(self->square);
    free(self->whole);
    free(self->limit);
    free(self->reach);
    free(self->own);
    free(self->room);
    free(self->vector);
}

static int scratch_init(probe_rows_t *self)
{
    const probe_setting_t *setting = self->setting;
    const codes_t *codes = &setting->view->codes;
    size_t panels = setting->largest / INT8_COLUMNS + 1;
    self->bits = aligned(setting->cells_at_most * PROBE_WORDS, sizeof *self->bits);
    self->some = aligned(PROBE_ROWS, sizeof *self->some);
    self->some_head = aligned(PROBE_ROWS, codes->head);
    self->some_sum = aligned(PROBE_ROWS, sizeof *self->some_sum);
    self->some_limit = aligned(PROBE_ROWS, sizeof *self->some_limit);
    self->mask = aligned(PROBE_ROWS, sizeof *self->mask);
    self->panel_codes = aligned(INT8_COLUMNS, codes->head);
    self->panel = aligned(1, INT8_PANEL_BYTES(codes->head));
    self->scores = aligned(panels * CHUNK * INT8_COLUMNS, sizeof *self->scores);
    self->ranked = aligned(setting->largest + 1, sizeof *self->ranked);
    self->apart = aligned(setting->largest + 1, sizeof *self->apart);
    return self->bits && self->some && self->some_head && self->some_sum && self->some_limit &&
           self->mask && self->panel_codes && self->panel && self->scores && self->ranked &&
           self->apart;
}

int probe_rows_new(const probe_setting_t *setting, probe_rows_t **out, error_t *error)
{
    probe_rows_t *self = calloc(1, sizeof *self);
    *out = self;
    if (self)
        self->setting = setting;
    if (self && rows_init(&self->rows, &setting->view->codes) &&
        !cell_columns_init(&self->columns, setting->state, setting->largest, NULL) &&
        scratch_init(self))
        return OK;
    probe_rows_destroy(out);
    return error_set(error, ERR_MEMORY, "no memory to search cells of up to %zu members",
                     setting->largest);
}

void probe_rows_destroy(probe_rows_t **self_pointer)
{
    probe_rows_t *self = *self_pointer;
    if (!self)
        return;
    rows_clear(&self->rows);
    cell_columns_clear(&self->columns);
    free(self->bits);
    free(self->some);
    free(self->some_head);
    free(self->some_sum);
    free(self->some_limit);
    free(self->mask);
    free(self->panel_codes);
    free(self->panel);
    free(self->scores);
    free(self->ranked);
    free(self->apart);
    free(self);
    *self_pointer = NULL;
}

/* ---- a pair ---- */

static float farthest(const probe_rows_t *self, size_t row)
{
    return self->d2[row * self->setting->k + self->setting->k - 1];
}

static void settle(probe_rows_t *self, size_t row)
{
    const codes_t *codes = &self->setting->view->codes;
    self->rows.reach[row] = codes_reach(codes, farthest(self, row));
    self->rows.limit[row] = codes_limit(codes, self->rows.square[row], self->rows.reach[row],
                                        self->setting->view->residual_head[self->rows.place[row]],
                                        self->setting->usual);
}

/* After the heads have said that it may be: do all codes? */
static int wanted(const probe_rows_t *self, size_t row, size_t column)
{
    const probe_setting_t *setting = self->setting;
    const codes_t *codes = &setting->view->codes;
    uint32_t a = self->rows.place[row], b = self->columns.place[column];
    const size_t last = row * setting->k + setting->k - 1;
    if (a == b || (self->d2[last] == 0 && self->columns.slot[column] > self->neighbour[last]))
        return 0; /* nothing is nearer than 0: a list of duplicates takes smaller slots only */
    int32_t product =
        setting->kernel->dot(setting->view->code + (size_t)a * codes->width,
                             setting->view->code + (size_t)b * codes->width, codes->width);
    return !codes_apart(codes, setting->whole[a] + setting->whole[b] - 2 * product,
                        self->rows.reach[row], setting->view->residual[a],
                        setting->view->residual[b]);
}

static void measure(probe_rows_t *self, size_t row, size_t column)
{
    const probe_setting_t *setting = self->setting;
    float d2 = compute_dist2(setting->state->context->compute)
                   ->one(self->rows.vector[row], cell_columns_at(&self->columns, column),
                         setting->state->dimension);
    nearest_offer(self->d2 + row * setting->k, self->neighbour + row * setting->k, setting->k, d2,
                  self->columns.slot[column]);
}

/* ---- the members of a cell ---- */

static void open_cell(probe_rows_t *self, uint32_t cell)
{
    const probe_setting_t *setting = self->setting;
    cell_columns_t *columns = &self->columns;
    const uint32_t *begin = setting->probes->cell_begin + cell;
    cell_columns_open(columns, setting->probes->member + begin[0], begin[1] - begin[0]);
    for (size_t i = 0; i < columns->count; i++) {
        uint32_t place = setting->view->place_of[columns->slot[i]];
        columns->place[i] = place;
        columns->start[i] = codes_start(&setting->view->codes, setting->square[place],
                                        setting->view->residual_head[place], setting->usual, 0);
    }
    for (size_t i = columns->count; i % INT8_COLUMNS; i++)
        columns->start[i] = 0;
}

static size_t panel_width(const probe_rows_t *self, size_t first)
{
    size_t left = self->columns.count - first;
    return left < INT8_COLUMNS ? left : INT8_COLUMNS;
}

static void pack(probe_rows_t *self, size_t first)
{
    const probe_setting_t *setting = self->setting;
    size_t head = setting->view->codes.head, count = panel_width(self, first);
    for (size_t i = 0; i < count; i++)
        memcpy(self->panel_codes + i * head,
               setting->view->code +
                   (size_t)self->columns.place[first + i] * setting->view->codes.width,
               head);
    const int8_rows_t columns = {self->panel_codes, head, count, head, NULL};
    setting->kernel->pack(&columns, self->panel);
}

/* The rows of self->some, side by side. */
static int8_rows_t gather(probe_rows_t *self, size_t begin, size_t count)
{
    size_t head = self->setting->view->codes.head;
    for (size_t i = 0; i < count; i++) {
        uint32_t row = self->some[begin + i];
        memcpy(self->some_head + i * head, self->rows.head + row * head, head);
        self->some_sum[i] = self->rows.sum[row];
        self->some_limit[i] = self->rows.limit[row];
    }
    return (int8_rows_t){self->some_head, head, count, head, self->some_sum};
}

/* ---- a cell that is not the rows' own ---- */

static void screen_one_by_one(probe_rows_t *self, size_t first, size_t count)
{
    const probe_setting_t *setting = self->setting;
    const codes_t *codes = &setting->view->codes;
    size_t width = panel_width(self, first);
    for (size_t i = 0; i < count; i++) {
        self->mask[i] = 0;
        for (size_t c = 0; c < width; c++) {
            int32_t product = setting->kernel->dot(
                self->some_head + i * codes->head,
                setting->view->code + (size_t)self->columns.place[first + c] * codes->width,
                codes->head);
            self->mask[i] |=
                (uint64_t)(product + self->columns.start[first + c] >= self->some_limit[i]) << c;
        }
    }
}

static void screen(probe_rows_t *self, const int8_rows_t *rows, size_t first)
{
    size_t width = panel_width(self, first);
    uint64_t there = width < INT8_COLUMNS ? ((uint64_t)1 << width) - 1 : UINT64_MAX;
    if (rows->count <= ONE_BY_ONE) {
        screen_one_by_one(self, first, rows->count);
        return;
    }
    const int8_bounds_t bounds = {self->some_limit, NULL, NULL, self->columns.start + first};
    pack(self, first);
    self->setting->kernel->screen(rows, self->panel, &bounds, self->mask);
    for (size_t i = 0; i < rows->count; i++)
        self->mask[i] &= there;
}

static void visit(probe_rows_t *self, size_t i, size_t first)
{
    size_t row = self->some[i];
    float before = farthest(self, row);
    for (uint64_t mask = self->mask[i]; mask; mask &= mask - 1)
        measure(self, row, first + (size_t)__builtin_ctzll(mask));
    if (farthest(self, row) < before) {
        settle(self, row);
        self->some_limit[i] = self->rows.limit[row];
    }
}

static int search_panel(probe_rows_t *self, const int8_rows_t *rows, size_t first, error_t *error)
{
    uint64_t needed = 0;
    screen(self, rows, first);
    for (size_t i = 0; i < rows->count; i++) {
        uint64_t kept = 0;
        for (uint64_t mask = self->mask[i]; mask; mask &= mask - 1)
            if (wanted(self, self->some[i], first + (size_t)__builtin_ctzll(mask)))
                kept |= mask & -mask;
        self->mask[i] = kept;
        needed |= kept;
    }
    int code = needed ? cell_columns_need(&self->columns, first, needed, error) : OK;
    for (size_t i = 0; i < rows->count && !code; i++)
        if (self->mask[i])
            visit(self, i, first);
    return code;
}

static int search_other(probe_rows_t *self, uint32_t cell, size_t count, error_t *error)
{
    int code = OK;
    open_cell(self, cell);
    const int8_rows_t rows = gather(self, 0, count);
    for (size_t first = 0; first < self->columns.count && !code; first += INT8_COLUMNS)
        code = search_panel(self, &rows, first, error);
    return code;
}

/* ---- the rows' own cell ---- */

static int32_t *score_of(probe_rows_t *self, size_t i, size_t column)
{
    return self->scores + (column / INT8_COLUMNS * CHUNK + i) * INT8_COLUMNS +
           column % INT8_COLUMNS;
}

/* The squared distance up to which, by codes, k members and a few more lie. */
static float near_by_codes(probe_rows_t *self, size_t i, size_t row)
{
    size_t count = self->columns.count, rank = self->setting->k + MORE_THAN_K;
    for (size_t c = 0; c < count; c++)
        self->apart[c] = (float)(self->setting->square[self->columns.place[c]] +
                                 self->rows.square[row] - 2 * *score_of(self, i, c));
    memcpy(self->ranked, self->apart, count * sizeof *self->ranked);
    return rank < count ? select_rank(self->ranked, count, rank) : INFINITY;
}

/* The columns of a panel that a row of the chunk must measure; `near` of the first round, when
 * nothing is known, and of the second all others that the screen lets pass. */
static uint64_t panel_mask(probe_rows_t *self, size_t i, size_t first, float near, int second)
{
    size_t row = self->some[i], width = panel_width(self, first);
    uint64_t mask = 0;
    for (size_t c = 0; c < width; c++) {
        int close = self->apart[first + c] < near;
        int32_t score = *score_of(self, i, first + c) + self->columns.start[first + c];
        mask |= (uint64_t)(second ? !close && score >= self->rows.limit[row] : close) << c;
    }
    uint64_t kept = 0;
    for (; mask; mask &= mask - 1)
        if (wanted(self, row, first + (size_t)__builtin_ctzll(mask)))
            kept |= mask & -mask;
    return kept;
}

/* The nearest by codes first: what they measure rules out most of the others. */
static int search_row(probe_rows_t *self, size_t i, error_t *error)
{
    size_t row = self->some[i];
    float near = near_by_codes(self, i, row);
    int code = OK;
    for (int second = 0; second < 2; second++) {
        for (size_t first = 0; first < self->columns.count && !code; first += INT8_COLUMNS) {
            uint64_t mask = panel_mask(self, i, first, near, second);
            float before = farthest(self, row);
            code = mask ? cell_columns_need(&self->columns, first, mask, error) : OK;
            for (; mask && !code; mask &= mask - 1)
                measure(self, row, first + (size_t)__builtin_ctzll(mask));
            if (second && farthest(self, row) < before)
                settle(self, row);
        }
        settle(self, row);
    }
    return code;
}

static int search_own(probe_rows_t *self, uint32_t cell, size_t count, error_t *error)
{
    int code = OK;
    open_cell(self, cell);
    for (size_t begin = 0; begin < count && !code; begin += CHUNK) {
        size_t chunk = count - begin < CHUNK ? count - begin : CHUNK;
        const int8_rows_t rows = gather(self, begin, chunk);
        for (size_t first = 0; first < self->columns.count; first += INT8_COLUMNS) {
            pack(self, first);
            self->setting->kernel->scores(&rows, self->panel, score_of(self, 0, first));
        }
        memmove(self->some, self->some + begin, chunk * sizeof *self->some);
        for (size_t i = 0; i < chunk && !code; i++)
            code = search_row(self, i, error);
    }
    return code;
}

/* ---- all of it ---- */

static int read_rows(probe_rows_t *self, uint32_t partition, const uint32_t *slots, size_t count,
                     error_t *error)
{
    const probe_setting_t *setting = self->setting;
    const codes_t *codes = &setting->view->codes;
    rows_t *rows = &self->rows;
    rows->count = count;
    for (size_t i = 0; i < count; i++) {
        uint32_t place = setting->view->place_of[slots[i]];
        rows->slot[i] = slots[i];
        rows->row[i] = setting->state->plan.rows[slots[i]];
        rows->place[i] = place;
        rows->cell[i] = cell_centres_own(setting->cells, partition, slots[i]);
        rows->square[i] = setting->square[place];
        rows->whole[i] = setting->whole[place];
        memcpy(rows->head + i * codes->head, setting->view->code + (size_t)place * codes->width,
               codes->head);
    }
    const int8_rows_t heads = {rows->head, codes->head, count, codes->head, NULL};
    int8_sums(&heads, rows->sum);
    int code = task_state_find(setting->state, rows->row, count, rows->room, rows->vector, error);
    for (size_t i = 0; i < count && !code; i++)
        rows->own[i] = compute_dist2(setting->state->context->compute)
                           ->one(rows->vector[i], cell_centres_at(setting->cells, rows->cell[i]),
                                 codes->dimension);
    return code;
}

static void choose_cells(probe_rows_t *self, uint32_t partition)
{
    const probe_setting_t *setting = self->setting;
    const uint32_t *begin = setting->cells->begin + partition;
    size_t cells = begin[1] - begin[0], head = setting->view->codes.head;
    rows_t *rows = &self->rows;
    memset(self->bits, isinf(setting->margin) ? 0xff : 0, cells * PROBE_WORDS * 8);
    if (isinf(setting->margin))
        return;
    const int8_rows_t heads = {rows->head, head, rows->count, head, rows->sum};
    const cell_rows_t some = {rows->count, &heads,       rows->place, rows->vector,
                              rows->own,   rows->square, rows->whole, rows->limit,
                              rows->reach, self->mask,   self->panel};
    cell_centres_choose(setting->cells, &some, partition, setting->margin, self->bits, PROBE_WORDS);
}

/* Which rows meet the cell: those whose own it is, or those that look there besides. */
static size_t list_rows(probe_rows_t *self, uint32_t cell, const uint64_t *bits, int own)
{
    size_t found = 0;
    for (size_t w = 0; w * 64 < self->rows.count; w++)
        for (uint64_t word = own ? UINT64_MAX : bits[w]; word; word &= word - 1) {
            size_t row = w * 64 + (size_t)__builtin_ctzll(word);
            if (row < self->rows.count && (self->rows.cell[row] == cell) == own)
                self->some[found++] = (uint32_t)row;
        }
    return found;
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
                code = own ? search_own(self, cell, rows, error)
                           : search_other(self, cell, rows, error);
        }
    return code;
}

int probe_rows_search(probe_rows_t *self, uint32_t partition, const uint32_t *slots, size_t count,
                      uint32_t *neighbour, float *d2, uint32_t *searched, error_t *error)
{
    self->neighbour = neighbour;
    self->d2 = d2;
    for (size_t i = 0; i < count * self->setting->k; i++) {
        neighbour[i] = SLOT_NONE;
        d2[i] = INFINITY;
    }
    memset(searched, 0, count * sizeof *searched);
    int code = read_rows(self, partition, slots, count, error);
    if (code)
        return code;
    choose_cells(self, partition);
    for (size_t row = 0; row < count; row++)
        settle(self, row);
    return search_cells(self, partition, searched, error);
}
