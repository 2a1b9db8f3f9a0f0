#include "worker/tasks/sweep.h"

#include <stdlib.h>

#define CACHE_LINE 64
#define ITEM_ROWS 128      /* a product of that many rows takes a millisecond */
#define ITEM_ROWS_PLAIN 16 /* without a product a row takes a hundred times longer */

struct sweep {
    const task_state_t *state;
    product_fn product;
    size_t item_rows;
    vectors_t tiles[2];
    float *products;     /* threads x item_rows x TILE_COLUMNS */
    uint32_t *survivors; /* threads x TILE_COLUMNS */
    float *keys;         /* threads x TILE_COLUMNS */
    /* of the current sweep_run */
    const vectors_t *rows;
    const visitor_t *visitor;
    const vectors_t *tile;
    vectors_t *next;
    int fill_code;
    error_t *error;
};

static void *scratch(size_t count, size_t size)
{
    return aligned_alloc(CACHE_LINE, (count * size + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE);
}

int sweep_new(const task_state_t *state, sweep_t **out, error_t *error)
{
    const compute_t *compute = state->context->compute;
    size_t threads = compute_threads(compute);
    sweep_t *self = calloc(1, sizeof *self);
    *out = self;
    if (!self)
        return error_set(error, ERR_MEMORY, "no memory to compare vectors");
    self->state = state;
    self->product = compute_product(compute);
    self->item_rows = self->product ? ITEM_ROWS : ITEM_ROWS_PLAIN;
    self->survivors = scratch(threads * TILE_COLUMNS, sizeof *self->survivors);
    self->keys = scratch(threads * TILE_COLUMNS, sizeof *self->keys);
    if (self->product)
        self->products = scratch(threads * self->item_rows * TILE_COLUMNS, sizeof *self->products);
    int code = OK;
    if (!self->survivors || !self->keys || (self->product && !self->products))
        code =
            error_set(error, ERR_MEMORY, "no memory for %zu threads to compare vectors", threads);
    for (int i = 0; i < 2 && !code; i++)
        code = vectors_init(&self->tiles[i], TILE_COLUMNS, state->dimension, error);
    if (code)
        sweep_destroy(out);
    return code;
}

void sweep_destroy(sweep_t **self_pointer)
{
    sweep_t *self = *self_pointer;
    if (!self)
        return;
    vectors_clear(&self->tiles[0]);
    vectors_clear(&self->tiles[1]);
    free(self->products);
    free(self->survivors);
    free(self->keys);
    free(self);
    *self_pointer = NULL;
}

static void compare(sweep_t *self, size_t begin, size_t end, uint32_t thread)
{
    const visitor_t *visitor = self->visitor;
    const vectors_t *tile = self->tile;
    size_t dimension = self->state->dimension;
    float *products = NULL;
    if (self->product) {
        products = self->products + thread * self->item_rows * TILE_COLUMNS;
        self->product(self->rows->values + begin * dimension, end - begin, tile->values,
                      tile->count, dimension, products, TILE_COLUMNS);
    }
    sweep_row_t row = {.survivors = self->survivors + (size_t)thread * TILE_COLUMNS,
                       .keys = self->keys + (size_t)thread * TILE_COLUMNS};
    for (size_t i = begin; i < end; i++) {
        row.product = products ? products + (i - begin) * TILE_COLUMNS : NULL;
        visitor->visit(visitor->context, i, tile, &row);
    }
}

/* Item 0 fills the next tile; the others are groups of rows against this one. */
static void run_item(void *context, size_t item, uint32_t thread)
{
    sweep_t *self = context;
    const visitor_t *visitor = self->visitor;
    if (task_state_stopped(self->state))
        return;
    if (item == 0) {
        self->fill_code = visitor->fill(visitor->context, self->next, self->error);
        return;
    }
    size_t begin = (item - 1) * self->item_rows;
    size_t end = begin + self->item_rows;
    if (end > self->rows->count)
        end = self->rows->count;
    if (visitor->wants(visitor->context, begin, end, self->tile))
        compare(self, begin, end, thread);
    task_state_advance(self->state, (uint64_t)(end - begin) * self->tile->count);
}

int sweep_run(sweep_t *self, const vectors_t *rows, const visitor_t *visitor, error_t *error)
{
    size_t items = 1 + (rows->count + self->item_rows - 1) / self->item_rows;
    int current = 0;
    self->rows = rows;
    self->visitor = visitor;
    self->error = error;
    self->fill_code = visitor->fill(visitor->context, &self->tiles[0], error);
    while (!self->fill_code && self->tiles[current].count) {
        self->tile = &self->tiles[current];
        self->next = &self->tiles[!current];
        pool_run(compute_pool(self->state->context->compute), items, run_item, self);
        int code = task_state_check_stop(self->state, error);
        if (code)
            return code;
        current = !current;
    }
    return self->fill_code;
}
