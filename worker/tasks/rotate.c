/* rotate.c - how vectors are to be coded: a basis, a scale, and cells that keep neighbours
 * together.
 *
 * All of it comes from a sample and none of it decides anything: whatever the payload holds, the
 * bounds of codes.h are true, so it need not be the same on every machine. */
#include "worker/compute/basis.h"
#include "worker/compute/int8.h"
#include "worker/tasks/task_state.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SAMPLE 2048
#define WIDTH_MOST 512
#define HEAD_ENERGY 0.92
#define WHOLE_ENERGY 0.97
#define CELL_ROWS 300 /* so many rows to a cell, more or less */
#define CELL_LIMIT 2048
#define SPREAD 4.5 /* a code's range in standard deviations */
#define ITEM_ROWS 32

typedef struct {
    task_state_t *state;
    product_fn product;
    size_t dimension;
    size_t count;      /* of the sample */
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
} rotate_t;

static int allocate(rotate_t *self, error_t *error)
{
    size_t d = self->dimension;
    size_t width = d / INT8_STEP * INT8_STEP < WIDTH_MOST ? d / INT8_STEP * INT8_STEP : WIDTH_MOST;
    self->width[1] = (uint32_t)width;
    self->values = malloc((self->count + 1) * d * sizeof *self->values);
    self->transposed = malloc((self->count + 1) * d * sizeof *self->transposed);
    self->mean = calloc(d, sizeof *self->mean);
    self->moment = malloc(d * d * sizeof *self->moment);
    self->basis = malloc(width * d * sizeof *self->basis);
    self->energy = calloc(width, sizeof *self->energy);
    self->offset = calloc(width, sizeof *self->offset);
    self->cells = malloc((CELL_LIMIT + 1) * width * sizeof *self->cells);
    if (self->values && self->transposed && self->mean && self->moment && self->basis &&
        self->energy && self->offset && self->cells)
        return OK;
    return error_set(error, ERR_MEMORY, "no memory for a sample of %zu vectors", self->count);
}

static void clear(rotate_t *self)
{
    free(self->values);
    free(self->transposed);
    free(self->mean);
    free(self->moment);
    free(self->basis);
    free(self->energy);
    free(self->offset);
    free(self->cells);
}

static int read_sample(rotate_t *self, error_t *error)
{
    const plan_view_t *plan = &self->state->plan;
    uint32_t *rows = malloc((self->count + 1) * sizeof *rows);
    if (!rows)
        return error_set(error, ERR_MEMORY, "no memory for a sample of %zu rows", self->count);
    for (size_t i = 0; i < self->count; i++)
        rows[i] = plan->rows[(uint64_t)i * plan->slots / self->count];
    int code = task_state_copy(self->state, rows, self->count, self->values, error);
    free(rows);
    return code;
}

static void centre_sample(rotate_t *self)
{
    size_t d = self->dimension;
    for (size_t i = 0; i < d; i++) {
        double sum = 0;
        for (size_t row = 0; row < self->count; row++)
            sum += (double)self->values[row * d + i];
        self->mean[i] = (float)(sum / (double)self->count);
        for (size_t row = 0; row < self->count; row++)
            self->transposed[i * self->count + row] = self->values[row * d + i] - self->mean[i];
    }
}

/* Some rows of the moment, of which all columns. */
static void multiply_rows(void *context, size_t item, uint32_t thread)
{
    rotate_t *self = context;
    size_t first = item * ITEM_ROWS;
    size_t rows = self->dimension - first < ITEM_ROWS ? self->dimension - first : ITEM_ROWS;
    (void)thread;
    self->product(self->transposed + first * self->count, rows, self->transposed, self->dimension,
                  self->count, self->moment + first * self->dimension, self->dimension);
}

static void find_moment(rotate_t *self)
{
    size_t items = (self->dimension + ITEM_ROWS - 1) / ITEM_ROWS;
    pool_run(compute_pool(self->state->context->compute), items, multiply_rows, self);
    self->trace = 0;
    for (size_t i = 0; i < self->dimension * self->dimension; i++)
        self->moment[i] /= (float)self->count;
    for (size_t i = 0; i < self->dimension; i++)
        self->trace += (double)self->moment[i * self->dimension + i];
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

static double apart(const float *a, const float *b, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += (double)(a[i] - b[i]) * (double)(a[i] - b[i]);
    return sum;
}

/* Each cell is followed by the nearest that is left: what lies around a place is then likely to be
 * near, also at the edge of its cell. */
static void chain_cells(rotate_t *self)
{
    size_t head = self->width[0];
    for (size_t cell = 0; cell + 2 < self->cell_count; cell++) {
        size_t nearest = cell + 1;
        double least = INFINITY;
        for (size_t other = cell + 1; other < self->cell_count; other++) {
            double distance = apart(self->cells + cell * head, self->cells + other * head, head);
            if (distance < least) {
                least = distance;
                nearest = other;
            }
        }
        for (size_t k = 0; k < head; k++) {
            float kept = self->cells[(cell + 1) * head + k];
            self->cells[(cell + 1) * head + k] = self->cells[nearest * head + k];
            self->cells[nearest * head + k] = kept;
        }
    }
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
    find_cells(self);
    chain_cells(self);
    return OK;
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
