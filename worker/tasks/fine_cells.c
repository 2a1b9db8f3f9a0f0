#include "worker/tasks/fine_cells.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define ITEM_ROWS 64

typedef struct {
    const task_state_t *state;
    const fine_setting_t *setting;
    size_t count;
    float *image; /* of each row */
    uint32_t *cell;
    float *cell_half; /* half the squared norm of each cell */
    float *scratch;   /* a thread's: vectors, and products with the cells */
    size_t scratch_floats;
    atomic_int failed;
} work_t;

static uint32_t nearest_of(const work_t *self, const float *products)
{
    uint32_t nearest = 0;
    for (uint32_t cell = 1; cell < self->setting->cell_count; cell++)
        if (products[cell] - self->cell_half[cell] > products[nearest] - self->cell_half[nearest])
            nearest = cell;
    return nearest;
}

static void place_rows(void *context, size_t item, uint32_t thread)
{
    work_t *self = context;
    const fine_setting_t *setting = self->setting;
    const plan_view_t *plan = &self->state->plan;
    size_t first = item * ITEM_ROWS, head = setting->head, d = self->state->dimension;
    size_t rows = self->count - first < ITEM_ROWS ? self->count - first : ITEM_ROWS;
    float *values = self->scratch + thread * self->scratch_floats;
    float *products = values + ITEM_ROWS * d, *image = self->image + first * head;
    uint32_t wanted[ITEM_ROWS];
    for (size_t i = 0; i < rows; i++)
        wanted[i] = plan->rows[(uint64_t)(first + i) * plan->slots / self->count];
    int code = task_state_copy(self->state, wanted, rows, values, NULL);
    if (code) {
        atomic_store(&self->failed, code);
        return;
    }
    setting->product(values, rows, setting->basis, head, d, image, head);
    for (size_t i = 0; i < rows * head; i++)
        image[i] -= setting->offset[i % head];
    setting->product(image, rows, setting->cells, setting->cell_count, head, products,
                     setting->cell_count);
    for (size_t i = 0; i < rows; i++)
        self->cell[first + i] = nearest_of(self, products + i * setting->cell_count);
}

/* The cell's own centre, then the rows that are nearest to it. */
static void gather(const work_t *self, fine_cells_t *out)
{
    size_t head = self->setting->head, cells = self->setting->cell_count;
    uint32_t *size = out->begin + 1; /* becomes where the next cell begins */
    for (size_t cell = 0; cell < cells; cell++)
        size[cell] = 1;
    for (size_t i = 0; i < self->count; i++)
        size[self->cell[i]] += size[self->cell[i]] < FINE_MOST;
    out->begin[0] = 0;
    for (size_t cell = 0; cell < cells; cell++)
        size[cell] += out->begin[cell];
    uint32_t *next = malloc((cells + 1) * sizeof *next);
    for (size_t cell = 0; cell < cells && next; cell++) {
        memcpy(out->image + out->begin[cell] * head, self->setting->cells + cell * head,
               head * sizeof *out->image);
        next[cell] = out->begin[cell] + 1;
    }
    for (size_t i = 0; i < self->count && next; i++)
        if (next[self->cell[i]] < out->begin[self->cell[i] + 1])
            memcpy(out->image + next[self->cell[i]]++ * head, self->image + i * head,
                   head * sizeof *out->image);
    free(next);
}

static int run(work_t *self, fine_cells_t *out, error_t *error)
{
    const fine_setting_t *setting = self->setting;
    size_t head = setting->head, cells = setting->cell_count;
    pool_t *pool = compute_pool(self->state->context->compute);
    self->scratch_floats = ITEM_ROWS * (self->state->dimension + cells);
    self->image = calloc(self->count * head + 1, sizeof *self->image);
    self->cell = calloc(self->count + 1, sizeof *self->cell);
    self->cell_half = malloc((cells + 1) * sizeof *self->cell_half);
    self->scratch = malloc(pool_threads(pool) * self->scratch_floats * sizeof *self->scratch);
    out->begin = calloc(cells + 1, sizeof *out->begin);
    out->image = calloc((self->count + cells) * head + 1, sizeof *out->image);
    if (!self->image || !self->cell || !self->cell_half || !self->scratch || !out->begin ||
        !out->image)
        return error_set(error, ERR_MEMORY, "no memory for %zu fine cells", self->count);
    for (size_t cell = 0; cell < cells; cell++)
        self->cell_half[cell] = (float)(screen_norm2(setting->cells + cell * head, head) / 2);
    pool_run(pool, (self->count + ITEM_ROWS - 1) / ITEM_ROWS, place_rows, self);
    if (atomic_load(&self->failed)) /* only time hangs on them */
        self->count = 0;
    gather(self, out);
    return OK;
}

int fine_cells_find(fine_cells_t *self, const task_state_t *state, const fine_setting_t *setting,
                    error_t *error)
{
    size_t wanted = state->plan.slots / FINE_ROWS;
    work_t work = {
        .state = state, .setting = setting, .count = wanted < FINE_LIMIT ? wanted : FINE_LIMIT};
    if (!setting->cell_count)
        work.count = 0;
    int code = run(&work, self, error);
    free(work.image);
    free(work.cell);
    free(work.cell_half);
    free(work.scratch);
    return code;
}

void fine_cells_clear(fine_cells_t *self)
{
    free(self->image);
    free(self->begin);
}
