#include "worker/tasks/cell_centres.h"

#include <math.h>
#include <stdlib.h>

/* Over what float32 rounds in a difference and a sum. */
#define SLACK 1.000001

static int read_centres(cell_centres_t *self, error_t *error)
{
    const plan_view_t *plan = &self->state->plan;
    const void *begin, *values;
    int code = columns_get(self->centres, "centre_begin", COLUMN_U32, (size_t)plan->partitions + 1,
                           &begin, NULL, error);
    if (code)
        return code;
    self->begin = begin;
    for (uint32_t p = 0; p < plan->partitions; p++)
        if (self->begin[0] != 0 || self->begin[p] > self->begin[p + 1])
            return error_set(error, ERR_PROTOCOL, "centres of partition %u: %u to %u", p,
                             self->begin[p], self->begin[p + 1]);
    self->count = self->begin[plan->partitions];
    code = columns_get(self->centres, "centre", COLUMN_F32, self->count * self->state->dimension,
                       &values, NULL, error);
    self->centre = code ? NULL : values;
    return code;
}

static int read_labels(cell_centres_t *self, error_t *error)
{
    const plan_view_t *plan = &self->state->plan;
    const void *values;
    int code = columns_get(self->assigned, "label", COLUMN_U32, plan->slots, &values, NULL, error);
    if (code)
        return code;
    self->label = values;
    for (uint32_t p = 0; p < plan->partitions; p++)
        for (uint32_t i = plan->partition_begin[p]; i < plan->partition_begin[p + 1]; i++)
            if (self->label[i] >= self->begin[p + 1] - self->begin[p])
                return error_set(error, ERR_PROTOCOL,
                                 "assigned: slot %u is in cell %u; partition %u has %u", i,
                                 self->label[i], p, self->begin[p + 1] - self->begin[p]);
    return OK;
}

static int open_inputs(cell_centres_t *self, error_t *error)
{
    const codes_t *codes = &self->view->codes;
    int code = task_state_input(self->state, "centres", &self->centres, error);
    if (!code)
        code = read_centres(self, error);
    if (!code)
        code = task_state_input(self->state, "assigned", &self->assigned, error);
    if (!code)
        code = read_labels(self, error);
    if (!code)
        code = rotation_view_open(&self->rotation, self->state, error);
    if (!code &&
        (self->rotation.codes.width != codes->width || self->rotation.codes.head != codes->head ||
         self->rotation.codes.scale != codes->scale ||
         self->rotation.codes.stretch != codes->stretch))
        code = error_set(error, ERR_PROTOCOL, "the codes are of another rotation");
    return code;
}

/* Up to INT8_COLUMNS centres from `first` on. */
static void encode(cell_centres_t *self, size_t first, size_t count, float *images)
{
    const codes_t *codes = &self->view->codes;
    const int8_kernel_t *kernel = self->kernel;
    product_fn product = compute_product(self->state->context->compute);
    const float *values = self->centre + first * codes->dimension;
    (product ? product : product_scalar)(values, count, self->rotation.basis, codes->width,
                                         codes->dimension, images, codes->width);
    for (size_t i = 0; i < count; i++) {
        size_t cell = first + i;
        int8_t *code = self->code + cell * codes->width;
        self->residual[cell] =
            codes_make(codes, images + i * codes->width, self->rotation.offset,
                       screen_norm2(values + i * codes->dimension, codes->dimension), code);
        self->square[cell] = kernel->dot(code, code, codes->head);
        self->whole[cell] = kernel->dot(code, code, codes->width);
        if (self->residual[cell].head < INFINITY && self->residual[cell].head > self->usual)
            self->usual = self->residual[cell].head;
    }
}

static int encode_all(cell_centres_t *self, error_t *error)
{
    size_t width = self->view->codes.width, room = self->count + 1;
    float *images = malloc(INT8_COLUMNS * width * sizeof *images);
    self->code = malloc(room * width);
    self->square = malloc(room * sizeof *self->square);
    self->whole = malloc(room * sizeof *self->whole);
    self->residual = malloc(room * sizeof *self->residual);
    int good = images && self->code && self->square && self->whole && self->residual;
    for (size_t c = 0; c < self->count && good; c += INT8_COLUMNS)
        encode(self, c, self->count - c < INT8_COLUMNS ? self->count - c : INT8_COLUMNS, images);
    free(images);
    return good ? OK
                : error_set(error, ERR_MEMORY, "no memory for the codes of %zu cells", self->count);
}

int cell_centres_open(cell_centres_t *self, const task_state_t *state, const codes_view_t *view,
                      error_t *error)
{
    *self = (cell_centres_t){
        .state = state, .view = view, .kernel = compute_int8(state->context->compute)};
    int code = open_inputs(self, error);
    return code ? code : encode_all(self, error);
}

void cell_centres_close(cell_centres_t *self)
{
    rotation_view_close(&self->rotation);
    columns_close(&self->centres);
    columns_close(&self->assigned);
    free(self->code);
    free(self->square);
    free(self->whole);
    free(self->residual);
}

uint32_t cell_centres_own(const cell_centres_t *self, uint32_t partition, uint32_t slot)
{
    return self->begin[partition] + self->label[slot];
}

const float *cell_centres_at(const cell_centres_t *self, uint32_t cell)
{
    return self->centre + (size_t)cell * self->state->dimension;
}

/* ---- the choice ---- */

static void set_limits(const cell_centres_t *self, const cell_rows_t *rows, float margin)
{
    const codes_t *codes = &self->view->codes;
    for (size_t r = 0; r < rows->count; r++) {
        float most = (float)(((double)rows->own[r] + (double)margin) * SLACK);
        rows->reach[r] = codes_reach(codes, most);
        rows->limit[r] = codes_limit(codes, rows->square[r], rows->reach[r],
                                     self->view->residual_head[rows->place[r]], self->usual);
    }
}

static int is_near(const cell_centres_t *self, const cell_rows_t *rows, size_t r, uint32_t cell,
                   float margin)
{
    const codes_t *codes = &self->view->codes;
    const int8_kernel_t *kernel = self->kernel;
    uint32_t place = rows->place[r];
    int32_t product = kernel->dot(self->view->code + (size_t)place * codes->width,
                                  self->code + (size_t)cell * codes->width, codes->width);
    if (codes_apart(codes, rows->whole[r] + self->whole[cell] - 2 * product, rows->reach[r],
                    self->view->residual[place], self->residual[cell].whole))
        return 0;
    float d2 = compute_dist2(self->state->context->compute)
                   ->one(rows->vector[r], cell_centres_at(self, cell), codes->dimension);
    return d2 - rows->own[r] <= margin;
}

/* Up to INT8_COLUMNS cells from `first` on, which are bits + (first - begin) * stride. */
static void choose_panel(const cell_centres_t *self, const cell_rows_t *rows, uint32_t first,
                         size_t count, float margin, uint64_t *bits, size_t stride)
{
    const codes_t *codes = &self->view->codes;
    const int8_kernel_t *kernel = self->kernel;
    const int8_rows_t columns = {self->code + (size_t)first * codes->width, codes->width, count,
                                 codes->head, NULL};
    int32_t start[INT8_COLUMNS] = {0};
    uint64_t there = count < INT8_COLUMNS ? ((uint64_t)1 << count) - 1 : UINT64_MAX;
    for (size_t i = 0; i < count; i++)
        start[i] = codes_start(codes, self->square[first + i], self->residual[first + i].head,
                               self->usual, 0);
    kernel->pack(&columns, rows->panel);
    const int8_bounds_t bounds = {rows->limit, NULL, NULL, start};
    kernel->screen(rows->heads, rows->panel, &bounds, rows->mask);
    for (size_t r = 0; r < rows->count; r++)
        for (uint64_t mask = rows->mask[r] & there; mask; mask &= mask - 1) {
            size_t i = (size_t)__builtin_ctzll(mask);
            if (is_near(self, rows, r, first + (uint32_t)i, margin))
                bits[i * stride + r / 64] |= (uint64_t)1 << r % 64;
        }
}

void cell_centres_choose(const cell_centres_t *self, const cell_rows_t *rows, uint32_t partition,
                         float margin, uint64_t *bits, size_t stride)
{
    uint32_t begin = self->begin[partition], end = self->begin[partition + 1];
    set_limits(self, rows, margin);
    for (uint32_t c = begin; c < end; c += INT8_COLUMNS)
        choose_panel(self, rows, c, end - c < INT8_COLUMNS ? end - c : INT8_COLUMNS, margin,
                     bits + (size_t)(c - begin) * stride, stride);
}
