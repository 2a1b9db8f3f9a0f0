/* probe.c - the k nearest of groups of rows among the members of some cells: inverted lists.
 *
 * Of what is probed the lists are exact, in the order (d2, slot): codes rule pairs out, what is left
 * is measured. A thread takes some rows of a group and streams the group's cells by them; nothing is
 * shared, so neither threads nor SIMD width can show. */
#include "worker/tasks/probes.h"

#include "proto/worker_message.h"
#include "worker/compute/int8.h"
#include "worker/tasks/codes_view.h"
#include "worker/tasks/nearest.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CACHE_LINE 64
#define ITEM_ROWS 768
#define TILE 256 /* columns */
#define K_LIMIT 4096

/* Some slots with all that is asked of them. */
typedef struct {
    size_t count;
    uint32_t *slot;
    uint32_t *row; /* of the index */
    int8_t *code;
    int32_t *sum;
    int32_t *square; /* of the head's codes */
    int32_t *whole;  /* of all codes */
    residual_t *residual;
    float *room; /* for vectors that are not kept elsewhere */
    const float **vector;
} slots_t;

typedef struct {
    slots_t rows;
    slots_t columns;
    uint8_t *panels;
    int32_t start[TILE];
    int32_t limit[ITEM_ROWS];
    double reach[ITEM_ROWS];
    uint64_t mask[ITEM_ROWS];
    uint32_t *neighbour; /* of the item's rows */
    float *d2;
    error_t error;
} thread_t;

typedef struct {
    uint32_t group;
    uint32_t begin; /* in probes.row */
    uint32_t end;
    size_t at; /* rows of the task before these */
} item_t;

typedef struct {
    const task_state_t *state;
    probes_t probes;
    codes_view_t view;
    const int8_kernel_t *kernel;
    float usual; /* the largest residual of a head that is finite: no column needs more room */
    uint64_t k;
    item_t *items;
    size_t item_count;
    size_t rows;
    uint32_t *neighbour;
    float *d2;
    thread_t *threads;
    atomic_int failed;
} probe_t;

/* ---- slots ---- */

static void *aligned(size_t count, size_t size)
{
    return aligned_alloc(CACHE_LINE, (count * size / CACHE_LINE + 1) * CACHE_LINE);
}

static int slots_init(slots_t *self, size_t room, const codes_t *codes)
{
    self->slot = aligned(room, sizeof *self->slot);
    self->row = aligned(room, sizeof *self->row);
    self->code = aligned(room, codes->width);
    self->sum = aligned(room, sizeof *self->sum);
    self->square = aligned(room, sizeof *self->square);
    self->whole = aligned(room, sizeof *self->whole);
    self->residual = aligned(room, sizeof *self->residual);
    self->room = aligned(room * codes->dimension, sizeof *self->room);
    self->vector = aligned(room, sizeof *self->vector);
    return self->slot && self->row && self->code && self->sum && self->square && self->whole &&
           self->residual && self->room && self->vector;
}

static void slots_clear(slots_t *self)
{
    free(self->slot);
    free(self->row);
    free(self->code);
    free(self->sum);
    free(self->square);
    free(self->whole);
    free(self->residual);
    free(self->room);
    free(self->vector);
}

/* Fills in what belongs to slot[0 .. count). */
static int slots_read(const probe_t *task, slots_t *self, error_t *error)
{
    const codes_view_t *view = &task->view;
    const codes_t *codes = &view->codes;
    for (size_t i = 0; i < self->count; i++) {
        uint32_t place = view->place_of[self->slot[i]];
        int8_t *code = self->code + i * codes->width;
        memcpy(code, view->code + (size_t)place * codes->width, codes->width);
        self->square[i] = task->kernel->dot(code, code, codes->head);
        self->whole[i] = task->kernel->dot(code, code, codes->width);
        self->residual[i] = (residual_t){view->residual_head[place], view->residual[place]};
        self->row[i] = task->state->plan.rows[self->slot[i]];
    }
    return task_state_find(task->state, self->row, self->count, self->room, self->vector, error);
}

static int8_rows_t heads_of(const probe_t *task, const slots_t *slots, size_t first, size_t count)
{
    const codes_t *codes = &task->view.codes;
    return (int8_rows_t){slots->code + first * codes->width, codes->width, count, codes->head,
                         slots->sum + first};
}

/* ---- rows against a tile of columns ---- */

static void settle(const probe_t *task, thread_t *self, size_t row, float threshold)
{
    const codes_t *codes = &task->view.codes;
    self->reach[row] = codes_reach(codes, threshold);
    self->limit[row] = codes_limit(codes, self->rows.square[row], self->reach[row],
                                   self->rows.residual[row].head, task->usual);
}

static int wanted(const probe_t *task, const thread_t *self, size_t row, size_t column)
{
    const codes_t *codes = &task->view.codes;
    const slots_t *rows = &self->rows, *columns = &self->columns;
    const size_t last = row * task->k + task->k - 1;
    if (columns->slot[column] == rows->slot[row] ||
        (self->d2[last] == 0 && columns->slot[column] > self->neighbour[last]))
        return 0; /* nothing is nearer than 0: a list of duplicates takes smaller slots only */
    int32_t product = task->kernel->dot(rows->code + row * codes->width,
                                        columns->code + column * codes->width, codes->width);
    return !codes_apart(codes, rows->whole[row] + columns->whole[column] - 2 * product,
                        self->reach[row], rows->residual[row].whole,
                        columns->residual[column].whole);
}

static void visit(const probe_t *task, thread_t *self, size_t row, size_t first, uint64_t mask)
{
    size_t dimension = task->state->dimension;
    dist2_fn dist2 = compute_dist2(task->state->context->compute)->one;
    float *d2 = self->d2 + row * task->k;
    float before = d2[task->k - 1];
    for (; mask; mask &= mask - 1) {
        size_t column = first + (size_t)__builtin_ctzll(mask);
        if (!wanted(task, self, row, column))
            continue;
        float distance = dist2(self->rows.vector[row], self->columns.vector[column], dimension);
        nearest_offer(d2, self->neighbour + row * task->k, task->k, distance,
                      self->columns.slot[column]);
    }
    if (d2[task->k - 1] < before)
        settle(task, self, row, d2[task->k - 1]);
}

static void compare(const probe_t *task, thread_t *self)
{
    const int8_rows_t rows = heads_of(task, &self->rows, 0, self->rows.count);
    for (size_t first = 0; first < self->columns.count; first += INT8_COLUMNS) {
        size_t width = self->columns.count - first;
        uint64_t there = width < INT8_COLUMNS ? ((uint64_t)1 << width) - 1 : UINT64_MAX;
        const int8_rows_t columns =
            heads_of(task, &self->columns, first, width < INT8_COLUMNS ? width : INT8_COLUMNS);
        task->kernel->pack(&columns, self->panels);
        const int8_bounds_t bounds = {self->limit, NULL, NULL, self->start + first};
        task->kernel->screen(&rows, self->panels, &bounds, self->mask);
        for (size_t row = 0; row < self->rows.count; row++)
            if (self->mask[row] & there)
                visit(task, self, row, first, self->mask[row] & there);
    }
}

/* ---- a few rows of a group ---- */

static int run_tile(const probe_t *task, thread_t *self)
{
    const codes_t *codes = &task->view.codes;
    int code = task_state_check_stop(task->state, &self->error);
    if (!code)
        code = slots_read(task, &self->columns, &self->error);
    if (code)
        return code;
    for (size_t i = 0; i < self->columns.count; i++)
        self->start[i] = codes_start(codes, self->columns.square[i], self->columns.residual[i].head,
                                     task->usual, 0);
    for (size_t i = self->columns.count; i < TILE; i++)
        self->start[i] = 0;
    compare(task, self);
    task_state_advance(task->state, (uint64_t)self->rows.count * self->columns.count);
    self->columns.count = 0;
    return OK;
}

static int read_rows(const probe_t *task, thread_t *self, const item_t *item)
{
    self->rows.count = item->end - item->begin;
    memcpy(self->rows.slot, task->probes.row + item->begin,
           self->rows.count * sizeof *self->rows.slot);
    int code = slots_read(task, &self->rows, &self->error);
    if (code)
        return code;
    const int8_rows_t rows = heads_of(task, &self->rows, 0, self->rows.count);
    int8_sums(&rows, self->rows.sum);
    self->neighbour = task->neighbour + item->at * task->k;
    self->d2 = task->d2 + item->at * task->k;
    for (size_t i = 0; i < self->rows.count * task->k; i++) {
        self->neighbour[i] = SLOT_NONE;
        self->d2[i] = INFINITY;
    }
    for (size_t row = 0; row < self->rows.count; row++)
        settle(task, self, row, INFINITY);
    return OK;
}

static int probe_item(const probe_t *task, thread_t *self, const item_t *item)
{
    const probes_t *probes = &task->probes;
    int code = read_rows(task, self, item);
    self->columns.count = 0;
    for (uint32_t p = probes->probe_begin[item->group]; p < probes->probe_begin[item->group + 1];
         p++) {
        uint32_t cell = probes->probe[p];
        for (uint32_t m = probes->cell_begin[cell]; m < probes->cell_begin[cell + 1] && !code;
             m++) {
            self->columns.slot[self->columns.count++] = probes->member[m];
            if (self->columns.count == TILE)
                code = run_tile(task, self);
        }
    }
    return code || !self->columns.count ? code : run_tile(task, self);
}

static void run_item(void *context, size_t number, uint32_t thread)
{
    probe_t *self = context;
    if (!atomic_load(&self->failed) &&
        probe_item(self, &self->threads[thread], &self->items[number]))
        atomic_store(&self->failed, 1);
}

/* ---- a task ---- */

static int list_items(probe_t *self, error_t *error)
{
    const task_t *task = self->state->task;
    size_t room = 0;
    for (uint32_t s = 0; s < task->segment_count; s++) {
        const segment_t *segment = &task->segments[s];
        if (segment->begin > segment->end || segment->end > self->probes.groups)
            return error_set(error, ERR_PROTOCOL, "segment of groups %u to %u: there are %zu",
                             segment->begin, segment->end, self->probes.groups);
        for (uint32_t g = segment->begin; g < segment->end; g++)
            room += (self->probes.group_begin[g + 1] - self->probes.group_begin[g]) / ITEM_ROWS + 1;
    }
    self->items = malloc((room + 1) * sizeof *self->items);
    if (!self->items)
        return error_set(error, ERR_MEMORY, "no memory for %zu groups of rows", room);
    for (uint32_t s = 0; s < task->segment_count; s++)
        for (uint32_t g = task->segments[s].begin; g < task->segments[s].end; g++) {
            uint32_t end = self->probes.group_begin[g + 1];
            for (uint32_t i = self->probes.group_begin[g]; i < end; i += ITEM_ROWS) {
                uint32_t last = end - i < ITEM_ROWS ? end : i + ITEM_ROWS;
                self->items[self->item_count++] = (item_t){g, i, last, self->rows};
                self->rows += last - i;
            }
        }
    return OK;
}

static int prepare_threads(probe_t *self, error_t *error)
{
    size_t threads = compute_threads(self->state->context->compute);
    const codes_t *codes = &self->view.codes;
    int good = (self->threads = calloc(threads, sizeof *self->threads)) != NULL;
    for (size_t t = 0; t < threads && good; t++) {
        thread_t *thread = &self->threads[t];
        thread->panels = aligned_alloc(CACHE_LINE, INT8_PANEL_BYTES(codes->head));
        good = thread->panels && slots_init(&thread->rows, ITEM_ROWS, codes) &&
               slots_init(&thread->columns, TILE, codes);
    }
    return good ? OK : error_set(error, ERR_MEMORY, "no memory for %zu threads", threads);
}

static int prepare(probe_t *self, error_t *error)
{
    int code = list_items(self, error);
    if (!code &&
        self->rows > WORKER_PAYLOAD_LIMIT / (sizeof *self->neighbour + sizeof *self->d2) / self->k)
        code =
            error_set(error, ERR_TOO_LARGE, "%llu neighbours of %zu slots are too many for a task",
                      (unsigned long long)self->k, self->rows);
    if (code)
        return code;
    self->neighbour = malloc((self->rows * self->k + 1) * sizeof *self->neighbour);
    self->d2 = malloc((self->rows * self->k + 1) * sizeof *self->d2);
    if (!self->neighbour || !self->d2)
        return error_set(error, ERR_MEMORY, "no memory for the neighbours of %zu slots",
                         self->rows);
    for (uint32_t i = 0; i < self->view.places; i++) {
        float residual = self->view.residual_head[i];
        if (residual < INFINITY && residual > self->usual)
            self->usual = residual;
    }
    return prepare_threads(self, error);
}

static int run_all(probe_t *self, error_t *error)
{
    compute_t *compute = self->state->context->compute;
    pool_run(compute_pool(compute), self->item_count, run_item, self);
    for (uint32_t t = 0; t < compute_threads(compute); t++) {
        if (!self->threads[t].error.code)
            continue;
        if (error)
            *error = self->threads[t].error;
        return self->threads[t].error.code;
    }
    return OK;
}

static void release(probe_t *self)
{
    size_t threads = compute_threads(self->state->context->compute);
    for (size_t t = 0; self->threads && t < threads; t++) {
        slots_clear(&self->threads[t].rows);
        slots_clear(&self->threads[t].columns);
        free(self->threads[t].panels);
    }
    free(self->threads);
    free(self->items);
    free(self->neighbour);
    free(self->d2);
    probes_close(&self->probes);
    codes_view_close(&self->view);
}

int task_probe(task_state_t *state, uint8_t **payload, size_t *length, error_t *error)
{
    probe_t self = {.state = state, .kernel = compute_int8(state->context->compute)};
    int code = task_state_whole(state, "k", 1, K_LIMIT, &self.k, error);
    if (!code)
        code = codes_view_open(&self.view, state, error);
    if (!code)
        code = probes_open(&self.probes, state, error);
    if (!code)
        code = prepare(&self, error);
    if (!code)
        code = run_all(&self, error);
    if (!code) {
        columns_writer_t *writer = columns_writer_new("probed");
        columns_put(writer, "neighbour", COLUMN_U32, self.neighbour, self.rows * self.k);
        columns_put(writer, "d2", COLUMN_F32, self.d2, self.rows * self.k);
        code = columns_writer_finish(&writer, payload, length, error);
    }
    release(&self);
    return code;
}
