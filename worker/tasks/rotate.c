/* rotate.c - how vectors are to be coded: a basis, a scale, and cells that keep neighbours
 * together.
 *
 * All of it comes from a sample and none of it decides anything: whatever the payload holds, the
 * bounds of codes.h are true, so it need not be the same on every machine. */
#include "worker/compute/basis.h"
#include "worker/compute/int8.h"
#include "worker/tasks/fine_cells.h"
#include "worker/tasks/task_state.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define SAMPLE 2048
#define WIDTH_MOST 512
#define HEAD_ENERGY 0.92
#define WHOLE_ENERGY 0.97
#define CELL_ROWS 300 /* so many rows to a cell, more or less */
#define CELL_LIMIT 2048
#define SPREAD 3.8 /* a code's range in standard deviations: few are cut off, and steps are fine */
#define ITEM_ROWS 32
#define MOMENT_ROWS 96
#define ITEM_COLUMNS 64 /* of the sample, centred at once */

typedef struct {
    task_state_t *state;
    product_fn product;
    size_t dimension;
    size_t count;      /* of the sample */
    uint32_t *rows;    /* of the index */
    float *values;     /* count x dimension */
    float *transposed; /* dimension x count, the mean taken off */
    float *mean;
    float *moment;
    float *basis; /* WIDTH_MOST x dimension at most */
    double *energy;
    double trace;
    uint32_t width[2];
    double scale;
    double stretch;
    float *offset;
    float *cells; /* count of cells x head: images of some of the sample, less the offset */
    size_t cell_count;
    fine_cells_t fine;
    atomic_int read_code; /* what a read returned that failed */
} rotate_t;

static int allocate(rotate_t *self, error_t *error)
{
    size_t d = self->dimension;
    size_t width = d / INT8_STEP * INT8_STEP < WIDTH_MOST ? d / INT8_STEP * INT8_STEP : WIDTH_MOST;
    self->width[1] = (uint32_t)width;
    self->rows = malloc((self->count + 1) * sizeof *self->rows);
    self->values = malloc((self->count + 1) * d * sizeof *self->values);
    self->transposed = malloc((self->count + 1) * d * sizeof *self->transposed);
    self->mean = calloc(d, sizeof *self->mean);
    self->moment = malloc(d * d * sizeof *self->moment);
    self->basis = malloc(width * d * sizeof *self->basis);
    self->energy = calloc(width, sizeof *self->energy);
    self->offset = calloc(width, sizeof *self->offset);
    self->cells = malloc((CELL_LIMIT + 1) * width * sizeof *self->cells);
    if (self->rows && self->values && self->transposed && self->mean && self->moment &&
        self->basis && self->energy && self->offset && self->cells)
        return OK;
    return error_set(error, ERR_MEMORY, "no memory for a sample of %zu vectors", self->count);
}

static void clear(rotate_t *self)
{
    free(self->rows);
    free(self->values);
    free(self->transposed);
    free(self->mean);
    free(self->moment);
    free(self->basis);
    free(self->energy);
    free(self->offset);
    free(self->cells);
    fine_cells_clear(&self->fine);
}

static void read_rows(void *context, size_t item, uint32_t thread)
{
    rotate_t *self = context;
    size_t first = item * ITEM_ROWS;
    size_t rows = self->count - first < ITEM_ROWS ? self->count - first : ITEM_ROWS;
    (void)thread;
    int code = task_state_copy(self->state, self->rows + first, rows,
                               self->values + first * self->dimension, NULL);
    if (code)
        atomic_store(&self->read_code, code);
}

static int read_sample(rotate_t *self, error_t *error)
{
    const plan_view_t *plan = &self->state->plan;
    for (size_t i = 0; i < self->count; i++)
        self->rows[i] = plan->rows[(uint64_t)i * plan->slots / self->count];
    pool_run(compute_pool(self->state->context->compute), (self->count + ITEM_ROWS - 1) / ITEM_ROWS,
             read_rows, self);
    if (!atomic_load(&self->read_code))
        return OK;
    /* once more, for its message */
    return task_state_copy(self->state, self->rows, self->count, self->values, error);
}

static void centre_columns(void *context, size_t item, uint32_t thread)
{
    rotate_t *self = context;
    size_t d = self->dimension, first = item * ITEM_COLUMNS;
    size_t columns = d - first < ITEM_COLUMNS ? d - first : ITEM_COLUMNS;
    double sum[ITEM_COLUMNS] = {0};
    (void)thread;
    for (size_t row = 0; row < self->count; row++)
        for (size_t i = 0; i < columns; i++)
            sum[i] += (double)self->values[row * d + first + i];
    for (size_t i = 0; i < columns; i++)
        self->mean[first + i] = (float)(sum[i] / (double)self->count);
    for (size_t row = 0; row < self->count; row++)
        for (size_t i = 0; i < columns; i++)
            self->transposed[(first + i) * self->count + row] =
                self->values[row * d + first + i] - self->mean[first + i];
}

static void centre_sample(rotate_t *self)
{
    pool_run(compute_pool(self->state->context->compute),
             (self->dimension + ITEM_COLUMNS - 1) / ITEM_COLUMNS, centre_columns, self);
}

/* Some rows of the moment, from the diagonal on: it is symmetric. */
static void multiply_rows(void *context, size_t item, uint32_t thread)
{
    rotate_t *self = context;
    size_t d = self->dimension, first = item * MOMENT_ROWS;
    size_t rows = d - first < MOMENT_ROWS ? d - first : MOMENT_ROWS;
    const float *from = self->transposed + first * self->count;
    (void)thread;
    self->product(from, rows, from, d - first, self->count, self->moment + first * d + first, d);
}

static void find_moment(rotate_t *self)
{
    size_t d = self->dimension;
    pool_run(compute_pool(self->state->context->compute), (d + MOMENT_ROWS - 1) / MOMENT_ROWS,
             multiply_rows, self);
    self->trace = 0;
    for (size_t i = 0; i < d; i++) {
        for (size_t j = i; j < d; j++) {
            self->moment[i * d + j] /= (float)self->count;
            self->moment[j * d + i] = self->moment[i * d + j];
        }
        self->trace += (double)self->moment[i * d + i];
    }
}

/* The fewest directions, a multiple of INT8_STEP, that hold the share. */
static uint32_t width_for(const rotate_t *self, double share)
{
    double held = 0;
    for (uint32_t k = 0; k < self->width[1]; k++) {
        held += self->energy[k];
        if ((k + 1) % INT8_STEP == 0 && held >= share * self->trace)
            return k + 1;
    }
    return self->width[1];
}

static void choose_widths(rotate_t *self)
{
    double held = 0;
    uint32_t head = width_for(self, HEAD_ENERGY);
    self->width[1] = width_for(self, WHOLE_ENERGY);
    self->width[0] = head;
    for (uint32_t k = 0; k < head; k++)
        held += self->energy[k];
    self->scale = SPREAD * sqrt(held / head) / 127;
    if (!(self->scale > 1e-30 && self->scale < 1e30))
        self->scale = 1; /* all points equal, or nearly */
}

static void find_offset(rotate_t *self)
{
    for (uint32_t k = 0; k < self->width[1]; k++) {
        double sum = 0;
        for (size_t i = 0; i < self->dimension; i++)
            sum += (double)self->basis[k * self->dimension + i] * (double)self->mean[i];
        self->offset[k] = (float)sum;
    }
}

static void find_cells(rotate_t *self)
{
    size_t wanted = self->state->plan.slots / CELL_ROWS;
    size_t head = self->width[0];
    wanted = wanted < CELL_LIMIT ? wanted : CELL_LIMIT;
    self->cell_count = wanted < self->count ? wanted : self->count;
    for (size_t cell = 0; cell < self->cell_count; cell++) {
        const float *vector =
            self->values + cell * self->count / self->cell_count * self->dimension;
        float *image = self->cells + cell * head;
        self->product(vector, 1, self->basis, head, self->dimension, image, head);
        for (size_t k = 0; k < head; k++)
            image[k] -= self->offset[k];
    }
}

/* Each cell is followed by the nearest that is left: what lies around a place is then likely to be
 * near, also at the edge of its cell. */
static void chain_cells(rotate_t *self)
{
    size_t head = self->width[0];
    float far[CELL_LIMIT];
    for (size_t cell = 0; cell + 2 < self->cell_count; cell++) {
        float *next = self->cells + (cell + 1) * head;
        size_t left = self->cell_count - cell - 1, nearest = 0;
        compute_dist2(self->state->context->compute)
            ->many(next - head, next, head, left, head, far);
        for (size_t other = 1; other < left; other++)
            if (far[other] < far[nearest])
                nearest = other;
        for (size_t k = 0; k < head; k++) {
            float kept = next[k];
            next[k] = next[nearest * head + k];
            next[nearest * head + k] = kept;
        }
    }
}

static int find_fine_cells(rotate_t *self, error_t *error)
{
    const fine_setting_t setting = {.product = self->product,
                                    .basis = self->basis,
                                    .offset = self->offset,
                                    .head = self->width[0],
                                    .cells = self->cells,
                                    .cell_count = self->cell_count};
    return fine_cells_find(&self->fine, self->state, &setting, error);
}

static int write_payload(const rotate_t *self, uint8_t **payload, size_t *length, error_t *error)
{
    columns_writer_t *writer = columns_writer_new("rotation");
    columns_put(writer, "width", COLUMN_U32, self->width, 2);
    columns_put(writer, "basis", COLUMN_F32, self->basis, self->width[1] * self->dimension);
    columns_put(writer, "offset", COLUMN_F32, self->offset, self->width[1]);
    columns_put(writer, "scale", COLUMN_F64, &self->scale, 1);
    columns_put(writer, "stretch", COLUMN_F64, &self->stretch, 1);
    columns_put(writer, "cell", COLUMN_F32, self->cells, self->cell_count * self->width[0]);
    columns_put(writer, "fine_begin", COLUMN_U32, self->fine.begin, self->cell_count + 1);
    columns_put(writer, "fine", COLUMN_F32, self->fine.image,
                (size_t)self->fine.begin[self->cell_count] * self->width[0]);
    return columns_writer_finish(&writer, payload, length, error);
}

static int run(rotate_t *self, error_t *error)
{
    compute_t *compute = self->state->context->compute;
    int code = allocate(self, error);
    if (!code)
        code = read_sample(self, error);
    if (code)
        return code;
    centre_sample(self);
    find_moment(self);
    code = basis_find(compute, self->moment, self->dimension, self->width[1], self->basis,
                      self->energy, error);
    if (code)
        return code;
    choose_widths(self);
    basis_mix(self->basis, self->dimension, 0, self->width[0]);
    basis_mix(self->basis, self->dimension, self->width[0], self->width[1]);
    self->stretch = basis_stretch(compute, self->basis, self->dimension, self->width[1]);
    find_offset(self);
    if (task_param(self->state->task, "cells", 1) > 0) {
        find_cells(self);
        chain_cells(self);
    }
    return find_fine_cells(self, error);
}

int task_rotate(task_state_t *state, uint8_t **payload, size_t *length, error_t *error)
{
    product_fn product = compute_product(state->context->compute);
    rotate_t self = {.state = state,
                     .product = product ? product : product_scalar,
                     .dimension = state->dimension,
                     .count = state->plan.slots < SAMPLE ? state->plan.slots : SAMPLE};
    if (state->dimension < INT8_STEP || !self.count)
        return error_set(error, ERR_PROTOCOL, "no codes for %u vectors of %zu dimensions",
                         state->plan.slots, state->dimension);
    int code = run(&self, error);
    if (!code)
        code = write_payload(&self, payload, length, error);
    clear(&self);
    return code;
}
