/* encode.c - the codes of ranges of slots, and the cell that each is nearest to. */
#include "worker/compute/int8.h"
#include "worker/tasks/fine_cells.h"
#include "worker/tasks/rotation_view.h"
#include "worker/tasks/vectors.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ITEM_ROWS 128 /* a product packs the basis once an item */

typedef struct {
    task_state_t *state;
    product_fn product;
    rotation_view_t rotation;
    float *cell_half; /* half the squared norm of each cell */
    uint32_t *rows;   /* of the index, for every slot of the task */
    size_t count;
    int8_t *code;
    float *residual_head;
    float *residual;
    uint32_t *cell;
    float *scratch; /* a thread's: ITEM_ROWS vectors, their images, and products with the cells */
    size_t scratch_floats;
    int *code_of_thread;
    error_t *error_of_thread;
} encode_t;

static int measure_cells(encode_t *self, error_t *error)
{
    const rotation_view_t *rotation = &self->rotation;
    size_t head = rotation->codes.head;
    self->cell_half = malloc((rotation->cell_count + 1) * sizeof *self->cell_half);
    if (!self->cell_half)
        return error_set(error, ERR_MEMORY, "no memory for %zu cells", rotation->cell_count);
    for (size_t cell = 0; cell < rotation->cell_count; cell++)
        self->cell_half[cell] = (float)(screen_norm2(rotation->cells + cell * head, head) / 2);
    return OK;
}

static int allocate(encode_t *self, error_t *error)
{
    const codes_t *codes = &self->rotation.codes;
    size_t threads = compute_threads(self->state->context->compute);
    self->scratch_floats =
        ITEM_ROWS * (codes->dimension + codes->width + codes->head + self->rotation.cell_count);
    self->code = malloc(self->count * codes->width + 1);
    self->residual_head = malloc((self->count + 1) * sizeof *self->residual_head);
    self->residual = malloc((self->count + 1) * sizeof *self->residual);
    self->cell = malloc((self->count + 1) * sizeof *self->cell);
    self->rows = malloc((self->count + 1) * sizeof *self->rows);
    self->scratch = malloc(threads * self->scratch_floats * sizeof *self->scratch);
    self->code_of_thread = calloc(threads, sizeof *self->code_of_thread);
    self->error_of_thread = calloc(threads, sizeof *self->error_of_thread);
    if (self->code && self->residual_head && self->residual && self->cell && self->rows &&
        self->scratch && self->code_of_thread && self->error_of_thread)
        return OK;
    return error_set(error, ERR_MEMORY, "no memory for the codes of %zu vectors", self->count);
}

static uint32_t nearest_cell(const encode_t *self, const float *products)
{
    uint32_t nearest = 0;
    float best = -INFINITY;
    for (size_t cell = 0; cell < self->rotation.cell_count; cell++) {
        float nearness = products[cell] - self->cell_half[cell];
        if (nearness > best) {
            best = nearness;
            nearest = (uint32_t)cell;
        }
    }
    return nearest;
}

static uint32_t nearest_fine(const encode_t *self, const float *image, uint32_t cell)
{
    const rotation_view_t *rotation = &self->rotation;
    size_t head = rotation->codes.head;
    uint32_t begin = rotation->fine_begin[cell], count = rotation->fine_begin[cell + 1] - begin;
    uint32_t nearest = 0;
    float far[FINE_MOST];
    compute_dist2(self->state->context->compute)
        ->many(image, rotation->fine + begin * head, head, count, head, far);
    for (uint32_t i = 1; i < count; i++)
        if (far[i] < far[nearest])
            nearest = i;
    return begin + nearest;
}

static void find_cells(encode_t *self, const float *images, size_t first, size_t rows,
                       float *scratch)
{
    const rotation_view_t *rotation = &self->rotation;
    size_t head = rotation->codes.head, width = rotation->codes.width;
    float *products = scratch + ITEM_ROWS * head;
    if (!rotation->cell_count)
        return;
    for (size_t r = 0; r < rows; r++)
        for (size_t k = 0; k < head; k++)
            scratch[r * head + k] = images[r * width + k] - rotation->offset[k];
    self->product(scratch, rows, rotation->cells, rotation->cell_count, head, products,
                  rotation->cell_count);
    for (size_t r = 0; r < rows; r++)
        self->cell[first + r] = nearest_fine(
            self, scratch + r * head, nearest_cell(self, products + r * rotation->cell_count));
}

static void encode_rows(void *context, size_t item, uint32_t thread)
{
    encode_t *self = context;
    const codes_t *codes = &self->rotation.codes;
    size_t first = item * ITEM_ROWS;
    size_t rows = self->count - first < ITEM_ROWS ? self->count - first : ITEM_ROWS;
    float *values = self->scratch + thread * self->scratch_floats;
    float *images = values + ITEM_ROWS * codes->dimension;
    if (self->code_of_thread[thread] || task_state_stopped(self->state))
        return;
    self->code_of_thread[thread] = task_state_copy(self->state, self->rows + first, rows, values,
                                                   &self->error_of_thread[thread]);
    if (self->code_of_thread[thread])
        return;
    self->product(values, rows, self->rotation.basis, codes->width, codes->dimension, images,
                  codes->width);
    for (size_t r = 0; r < rows; r++) {
        residual_t residual =
            codes_make(codes, images + r * codes->width, self->rotation.offset,
                       screen_norm2(values + r * codes->dimension, codes->dimension),
                       self->code + (first + r) * codes->width);
        self->residual_head[first + r] = residual.head;
        self->residual[first + r] = residual.whole;
        self->cell[first + r] = 0;
    }
    find_cells(self, images, first, rows, images + ITEM_ROWS * codes->width);
    task_state_advance(self->state, rows);
}

static void list_rows(encode_t *self)
{
    const task_t *task = self->state->task;
    size_t done = 0;
    for (uint32_t s = 0; s < task->segment_count; s++)
        for (uint32_t slot = task->segments[s].begin; slot < task->segments[s].end; slot++)
            self->rows[done++] = self->state->plan.rows[slot];
}

static int run(encode_t *self, error_t *error)
{
    pool_t *pool = compute_pool(self->state->context->compute);
    list_rows(self);
    pool_run(pool, (self->count + ITEM_ROWS - 1) / ITEM_ROWS, encode_rows, self);
    for (uint32_t thread = 0; thread < pool_threads(pool); thread++) {
        if (self->code_of_thread[thread]) {
            if (error)
                *error = self->error_of_thread[thread];
            return self->code_of_thread[thread];
        }
    }
    return task_state_check_stop(self->state, error);
}

static int write_payload(const encode_t *self, uint8_t **payload, size_t *length, error_t *error)
{
    columns_writer_t *writer = columns_writer_new("coded");
    columns_put(writer, "code", COLUMN_U8, self->code, self->count * self->rotation.codes.width);
    columns_put(writer, "residual_head", COLUMN_F32, self->residual_head, self->count);
    columns_put(writer, "residual", COLUMN_F32, self->residual, self->count);
    columns_put(writer, "cell", COLUMN_U32, self->cell, self->count);
    return columns_writer_finish(&writer, payload, length, error);
}

static void clear(encode_t *self)
{
    free(self->rows);
    free(self->code);
    free(self->residual_head);
    free(self->residual);
    free(self->cell);
    free(self->scratch);
    free(self->code_of_thread);
    free(self->error_of_thread);
    free(self->cell_half);
    rotation_view_close(&self->rotation);
}

int task_encode(task_state_t *state, uint8_t **payload, size_t *length, error_t *error)
{
    product_fn product = compute_product(state->context->compute);
    encode_t self = {.state = state, .product = product ? product : product_scalar};
    int code = task_state_slots(state, &self.count, error);
    if (!code)
        code = rotation_view_open(&self.rotation, state, error);
    if (!code)
        code = measure_cells(&self, error);
    if (!code)
        code = allocate(&self, error);
    if (!code)
        code = run(&self, error);
    if (!code)
        code = write_payload(&self, payload, length, error);
    clear(&self);
    return code;
}
