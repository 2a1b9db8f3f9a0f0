#include "worker/tasks/coded_centres.h"

#include "worker/tasks/coded.h"
#include "worker/tasks/rotation_view.h"

#include <math.h>
#include <stdlib.h>

#define CACHE_LINE 64
#define ITEM_ROWS 96
#define NO_PARTITION UINT32_MAX

struct coded_centres {
    const task_state_t *state;
    centre_list_t list;
    codes_view_t view;
    rotation_view_t rotation;
    columns_t *assigned;
    const uint32_t *guess; /* by slot; NULL: there is none */
    product_fn product;
    const int8_kernel_t *kernel;
    /* the centres of one partition */
    uint32_t partition;
    const float *centre;
    size_t count;
    size_t room;
    int8_t *code; /* count x width */
    int32_t *square;
    int32_t *whole;
    residual_t *residual;
    int32_t *start;
    uint8_t *panels;
    float *images; /* threads x INT8_COLUMNS x width */
    float usual;   /* the largest residual of a head that has one */
    /* the block */
    coded_t rows;
    uint32_t *label;
    float *d2;
    int *code_of_thread;
    error_t *error_of_thread;
};

/* ---- codes of the centres ---- */

static void release_centres(coded_centres_t *self)
{
    free(self->code);
    free(self->square);
    free(self->whole);
    free(self->residual);
    free(self->start);
    free(self->panels);
    self->code = NULL;
    self->square = self->whole = self->start = NULL;
    self->residual = NULL;
    self->panels = NULL;
    self->room = 0;
}

static int reserve_centres(coded_centres_t *self, size_t count, error_t *error)
{
    size_t panels = (count + INT8_COLUMNS - 1) / INT8_COLUMNS;
    size_t width = self->view.codes.width, padded = panels * INT8_COLUMNS;
    if (count <= self->room)
        return OK;
    release_centres(self);
    if (padded > SIZE_MAX / 4 / width)
        return error_set(error, ERR_TOO_LARGE, "codes for %zu centres are too many", count);
    self->code = malloc(padded * width);
    self->square = malloc(padded * sizeof *self->square);
    self->whole = malloc(padded * sizeof *self->whole);
    self->residual = malloc(padded * sizeof *self->residual);
    self->start = malloc(padded * sizeof *self->start);
    self->panels = aligned_alloc(CACHE_LINE, panels * INT8_PANEL_BYTES(self->view.codes.head));
    if (!self->code || !self->square || !self->whole || !self->residual || !self->start ||
        !self->panels)
        return error_set(error, ERR_MEMORY, "no memory for the codes of %zu centres", count);
    self->room = padded;
    return OK;
}

static size_t panel_width(const coded_centres_t *self, size_t first)
{
    return self->count - first < INT8_COLUMNS ? self->count - first : INT8_COLUMNS;
}

static void encode_panel(void *context, size_t panel, uint32_t thread)
{
    coded_centres_t *self = context;
    const codes_t *codes = &self->view.codes;
    size_t first = panel * INT8_COLUMNS, count = panel_width(self, first);
    const float *values = self->centre + first * codes->dimension;
    float *images = self->images + thread * INT8_COLUMNS * codes->width;
    self->product(values, count, self->rotation.basis, codes->width, codes->dimension, images,
                  codes->width);
    for (size_t i = 0; i < count; i++) {
        int8_t *code = self->code + (first + i) * codes->width;
        self->residual[first + i] =
            codes_make(codes, images + i * codes->width, self->rotation.offset,
                       screen_norm2(values + i * codes->dimension, codes->dimension), code);
        self->square[first + i] = self->kernel->dot(code, code, codes->head);
        self->whole[first + i] = self->kernel->dot(code, code, codes->width);
    }
    const int8_rows_t columns = {self->code + first * codes->width, codes->width, count,
                                 codes->head, NULL};
    self->kernel->pack(&columns, self->panels + panel * INT8_PANEL_BYTES(codes->head));
}

/* With the largest residual as the usual one no column needs more room, whatever rows it meets. */
static void set_starts(coded_centres_t *self)
{
    self->usual = 0;
    for (size_t c = 0; c < self->count; c++)
        if (self->residual[c].head < INFINITY && self->residual[c].head > self->usual)
            self->usual = self->residual[c].head;
    for (size_t c = 0; c < self->count; c++)
        self->start[c] =
            codes_start(&self->view.codes, self->square[c], self->residual[c].head, self->usual, 0);
    for (size_t c = self->count; c % INT8_COLUMNS; c++)
        self->start[c] = 0;
}

static int encode_centres(coded_centres_t *self, uint32_t partition, error_t *error)
{
    if (self->partition == partition)
        return OK;
    uint32_t first = self->list.begin[partition];
    self->partition = NO_PARTITION;
    self->count = self->list.begin[partition + 1] - first;
    self->centre = self->list.values + (size_t)first * self->view.codes.dimension;
    int code = reserve_centres(self, self->count, error);
    if (code)
        return code;
    pool_run(compute_pool(self->state->context->compute),
             (self->count + INT8_COLUMNS - 1) / INT8_COLUMNS, encode_panel, self);
    set_starts(self);
    self->partition = partition;
    return OK;
}

/* ---- a few rows ---- */

typedef struct {
    const coded_centres_t *task;
    coded_t rows; /* a part of the block's */
    uint32_t *label;
    float *d2;
    double reach[ITEM_ROWS];
    int32_t limit[ITEM_ROWS];
} search_t;

/* The rows from `first` on as rows of their own. */
static coded_t part_of(const coded_t *rows, size_t first)
{
    coded_t part = *rows;
    part.count = rows->count - first < ITEM_ROWS ? rows->count - first : ITEM_ROWS;
    part.place += first;
    part.slot += first;
    part.rows += first;
    part.codes += first * rows->width;
    part.sum += first;
    part.square += first;
    part.whole += first;
    part.residual_head += first;
    part.residual += first;
    part.vector += first;
    part.room += first * rows->dimension;
    return part;
}

static void settle(search_t *self, size_t row)
{
    const coded_centres_t *task = self->task;
    self->reach[row] = codes_reach(&task->view.codes, self->d2[row]);
    self->limit[row] = codes_limit(&task->view.codes, self->rows.square[row], self->reach[row],
                                   self->rows.residual_head[row], task->usual);
}

static void measure(search_t *self, size_t row, uint32_t centre)
{
    const coded_centres_t *task = self->task;
    size_t dimension = self->rows.dimension;
    float d2 = compute_dist2(task->state->context->compute)
                   ->one(self->rows.vector[row], task->centre + centre * dimension, dimension);
    if (d2 < self->d2[row] || (d2 == self->d2[row] && centre < self->label[row])) {
        self->d2[row] = d2;
        self->label[row] = centre;
        settle(self, row);
    }
}

static int8_rows_t heads_of(const search_t *self)
{
    return (int8_rows_t){self->rows.codes, self->rows.width, self->rows.count,
                         self->task->view.codes.head, self->rows.sum};
}

static const uint8_t *panel_of(const coded_centres_t *task, size_t first)
{
    return task->panels + first / INT8_COLUMNS * INT8_PANEL_BYTES(task->view.codes.head);
}

/* The centre whose head looks nearest. Any would do: the search starts from its distance. */
static void guess_by_codes(search_t *self)
{
    const coded_centres_t *task = self->task;
    const int8_rows_t rows = heads_of(self);
    int32_t scores[ITEM_ROWS * INT8_COLUMNS];
    int32_t best[ITEM_ROWS];
    uint32_t guess[ITEM_ROWS] = {0};
    for (size_t row = 0; row < self->rows.count; row++)
        best[row] = INT32_MIN;
    for (size_t first = 0; first < task->count; first += INT8_COLUMNS) {
        size_t width = panel_width(task, first);
        task->kernel->scores(&rows, panel_of(task, first), scores);
        for (size_t row = 0; row < self->rows.count; row++) {
            for (size_t c = 0; c < width; c++) {
                int32_t near = 2 * scores[row * INT8_COLUMNS + c] - task->square[first + c];
                if (near > best[row]) {
                    best[row] = near;
                    guess[row] = (uint32_t)(first + c);
                }
            }
        }
    }
    for (size_t row = 0; row < self->rows.count; row++)
        measure(self, row, guess[row]);
}

static int far_by_codes(const search_t *self, size_t row, size_t centre)
{
    const coded_centres_t *task = self->task;
    const codes_t *codes = &task->view.codes;
    int32_t product = task->kernel->dot(self->rows.codes + row * codes->width,
                                        task->code + centre * codes->width, codes->width);
    return codes_apart(codes, self->rows.whole[row] + task->whole[centre] - 2 * product,
                       self->reach[row], self->rows.residual[row], task->residual[centre].whole);
}

static void visit(search_t *self, size_t row, size_t first, uint64_t mask)
{
    for (; mask; mask &= mask - 1) {
        size_t centre = first + (size_t)__builtin_ctzll(mask);
        if (centre != self->label[row] && !far_by_codes(self, row, centre))
            measure(self, row, (uint32_t)centre);
    }
}

static void search(search_t *self)
{
    const coded_centres_t *task = self->task;
    const int8_rows_t rows = heads_of(self);
    uint64_t mask[ITEM_ROWS];
    for (size_t first = 0; first < task->count; first += INT8_COLUMNS) {
        size_t width = panel_width(task, first);
        uint64_t there = width < INT8_COLUMNS ? ((uint64_t)1 << width) - 1 : UINT64_MAX;
        const int8_bounds_t bounds = {self->limit, NULL, NULL, task->start + first};
        task->kernel->screen(&rows, panel_of(task, first), &bounds, mask);
        for (size_t row = 0; row < self->rows.count; row++)
            if (mask[row] & there)
                visit(self, row, first, mask[row] & there);
    }
}

static void run_item(void *context, size_t item, uint32_t thread)
{
    coded_centres_t *self = context;
    size_t first = item * ITEM_ROWS;
    search_t part = {.task = self,
                     .rows = part_of(&self->rows, first),
                     .label = self->label + first,
                     .d2 = self->d2 + first};
    if (self->code_of_thread[thread] || task_state_stopped(self->state))
        return;
    self->code_of_thread[thread] =
        coded_read(&part.rows, &self->view, self->state, &self->error_of_thread[thread]);
    if (self->code_of_thread[thread])
        return;
    coded_sum(&part.rows, &self->view);
    for (size_t row = 0; row < part.rows.count; row++) {
        part.label[row] = SLOT_NONE;
        part.d2[row] = INFINITY;
        settle(&part, row);
    }
    if (!self->guess)
        guess_by_codes(&part);
    for (size_t row = 0; row < part.rows.count && self->guess; row++)
        measure(&part, row, self->guess[part.rows.slot[row]]);
    search(&part);
    task_state_advance(self->state, (uint64_t)part.rows.count * self->count);
}

/* ---- blocks ---- */

static int code_of_threads(const coded_centres_t *self, error_t *error)
{
    for (uint32_t thread = 0; thread < compute_threads(self->state->context->compute); thread++) {
        if (!self->code_of_thread[thread])
            continue;
        if (error)
            *error = self->error_of_thread[thread];
        return self->code_of_thread[thread];
    }
    return task_state_check_stop(self->state, error);
}

int coded_centres_find(coded_centres_t *self, uint32_t partition, uint32_t begin, size_t count,
                       uint32_t *label, float *d2, error_t *error)
{
    int code = encode_centres(self, partition, error);
    if (code)
        return code;
    self->rows.count = count;
    for (size_t i = 0; i < count; i++)
        self->rows.place[i] = self->view.place_of[begin + i];
    self->label = label;
    self->d2 = d2;
    pool_run(compute_pool(self->state->context->compute), (count + ITEM_ROWS - 1) / ITEM_ROWS,
             run_item, self);
    return code_of_threads(self, error);
}

const float *const *coded_centres_rows(const coded_centres_t *self) { return self->rows.vector; }

/* ---- a task ---- */

/* Guesses may be anything, but numbers of centres. */
static int read_guesses(coded_centres_t *self, error_t *error)
{
    const plan_view_t *plan = &self->state->plan;
    const void *values;
    if (!task_input(self->state->task, "assigned"))
        return OK;
    int code = task_state_input(self->state, "assigned", &self->assigned, error);
    if (!code)
        code = columns_get(self->assigned, "label", COLUMN_U32, plan->slots, &values, NULL, error);
    if (code)
        return code;
    self->guess = values;
    for (uint32_t p = 0; p < plan->partitions; p++) {
        uint32_t centres = self->list.begin[p + 1] - self->list.begin[p];
        for (uint32_t i = plan->partition_begin[p]; i < plan->partition_begin[p + 1]; i++)
            if (self->guess[i] >= centres)
                return error_set(error, ERR_PROTOCOL,
                                 "assigned: slot %u has centre %u; partition %u has %u", i,
                                 self->guess[i], p, centres);
    }
    return OK;
}

static int open_inputs(coded_centres_t *self, error_t *error)
{
    int code = codes_view_open(&self->view, self->state, error);
    if (!code)
        code = rotation_view_open(&self->rotation, self->state, error);
    if (!code && (self->rotation.codes.width != self->view.codes.width ||
                  self->rotation.codes.head != self->view.codes.head ||
                  self->rotation.codes.scale != self->view.codes.scale ||
                  self->rotation.codes.stretch != self->view.codes.stretch))
        code = error_set(error, ERR_PROTOCOL, "the codes are of another rotation");
    return code ? code : read_guesses(self, error);
}

static int allocate(coded_centres_t *self, size_t rows, error_t *error)
{
    size_t threads = compute_threads(self->state->context->compute);
    self->images = malloc(threads * INT8_COLUMNS * self->view.codes.width * sizeof *self->images);
    self->code_of_thread = calloc(threads, sizeof *self->code_of_thread);
    self->error_of_thread = calloc(threads, sizeof *self->error_of_thread);
    if (!self->images || !self->code_of_thread || !self->error_of_thread)
        return error_set(error, ERR_MEMORY, "no memory for %zu threads", threads);
    return coded_init(&self->rows, rows < BLOCK_ROWS ? rows : BLOCK_ROWS, &self->view, 1, error);
}

int coded_centres_new(const task_state_t *state, const centre_list_t *centres, size_t rows,
                      coded_centres_t **out, error_t *error)
{
    product_fn product = compute_product(state->context->compute);
    coded_centres_t *self = calloc(1, sizeof *self);
    *out = self;
    if (!self)
        return error_set(error, ERR_MEMORY, "no memory for an assign task");
    self->state = state;
    self->list = *centres;
    self->product = product ? product : product_scalar;
    self->kernel = compute_int8(state->context->compute);
    self->partition = NO_PARTITION;
    int code = open_inputs(self, error);
    if (!code)
        code = allocate(self, rows, error);
    if (code)
        coded_centres_destroy(out);
    return code;
}

void coded_centres_destroy(coded_centres_t **self_pointer)
{
    coded_centres_t *self = *self_pointer;
    if (!self)
        return;
    release_centres(self);
    codes_view_close(&self->view);
    rotation_view_close(&self->rotation);
    columns_close(&self->assigned);
    coded_clear(&self->rows);
    free(self->images);
    free(self->code_of_thread);
    free(self->error_of_thread);
    free(self);
    *self_pointer = NULL;
}
