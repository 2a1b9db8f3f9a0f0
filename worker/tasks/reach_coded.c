/* reach_coded.c - the search over codes: the same edges as reach_plain.c, sooner. */
#include "worker/tasks/reach.h"

#include <stdlib.h>

#define WAY_PLACES 4096u /* places of one cell are neighbours in the order: the first few will do */

typedef struct {
    reach_t *reach;
    codes_view_t view;
    code_sweep_t *sweep;
    coded_t rows;
    float *room; /* one vector a thread: few columns are measured, so they are read one by one */
    int *failed; /* a thread's first error */
    error_t *errors;
} coded_search_t;

static void next(void *context, coded_t *tile)
{
    coded_search_t *self = context;
    reach_t *reach = self->reach;
    tile->count = 0;
    while (reach->columns.begin < reach->columns.end && tile->count < CODE_TILE) {
        uint32_t place = reach->columns.begin++;
        if (reach_eligible(reach, self->view.slot[place]))
            tile->place[tile->count++] = place;
    }
}

/* What an edge to the column weighs at least; INFINITY when there can be none. */
static float least_weight(const reach_t *reach, size_t row, uint32_t slot)
{
    const reach_in_t *in = &reach->in;
    uint32_t query = reach->slots[row];
    if (in->component[slot] == in->component[query])
        return INFINITY;
    return fmaxf(in->core[slot], in->core[query]);
}

static float measure(coded_search_t *self, size_t row, uint32_t slot, uint32_t index_row,
                     uint32_t thread)
{
    const task_context_t *context = self->reach->state->context;
    size_t dimension = self->rows.dimension;
    const float *vector;
    if (task_state_find(self->reach->state, &index_row, 1, self->room + thread * dimension, &vector,
                        &self->errors[thread])) {
        self->failed[thread] = 1;
        return INFINITY;
    }
    float d2 = compute_dist2(context->compute)->one(self->rows.vector[row], vector, dimension);
    return task_state_decayed(self->reach->state, d2, self->reach->slots[row], slot);
}

static float row_wants(void *context, size_t row)
{
    return ((const coded_search_t *)context)->reach->best[row];
}

static int may_want(void *context, size_t row, const coded_t *tile, size_t column)
{
    const reach_t *reach = ((const coded_search_t *)context)->reach;
    uint32_t slot = tile->slot[column];
    return reach_better(reach, row, least_weight(reach, row, slot), slot);
}

static void visit(void *context, const coded_t *tile, const code_pair_t *pairs, size_t count,
                  uint32_t thread)
{
    coded_search_t *self = context;
    reach_t *reach = self->reach;
    for (size_t i = 0; i < count; i++) {
        size_t row = pairs[i].row, column = pairs[i].column;
        uint32_t slot = tile->slot[column];
        float least = least_weight(reach, row, slot);
        if (!reach_better(reach, row, least, slot))
            continue;
        float weight = fmaxf(measure(self, row, slot, tile->rows[column], thread), least);
        if (!reach_better(reach, row, weight, slot))
            continue;
        reach->best[row] = weight;
        reach->best_slot[row] = slot;
    }
}

/* A row without a floor takes the way to a column nearby as its first: a sweep has room for no radius
 * that grows while it runs, so without one such a row would let everything through. */
static void find_a_way(coded_search_t *self, size_t row)
{
    reach_t *reach = self->reach;
    const band_t band = reach->bands[row];
    uint32_t home = self->rows.place[row];
    for (uint32_t away = 1; away <= WAY_PLACES; away++) {
        for (int side = 0; side < 2; side++) {
            uint32_t place = side ? home + away : home - away;
            if (place < band.begin || place >= band.end)
                continue; /* also what wrapped around */
            uint32_t slot = self->view.slot[place];
            float least = least_weight(reach, row, slot);
            if (least == INFINITY)
                continue;
            float weight = fmaxf(measure(self, row, slot, reach->state->plan.rows[slot], 0), least);
            if (!reach_better(reach, row, weight, slot))
                continue;
            reach->best[row] = weight;
            reach->best_slot[row] = slot;
            return;
        }
    }
}

static void coded_close(void **search)
{
    coded_search_t *self = *search;
    if (!self)
        return;
    code_sweep_destroy(&self->sweep);
    coded_clear(&self->rows);
    codes_view_close(&self->view);
    free(self->room);
    free(self->failed);
    free(self->errors);
    free(self);
    *search = NULL;
}

static int coded_open(reach_t *reach, void **search, error_t *error)
{
    size_t threads = compute_threads(reach->state->context->compute);
    coded_search_t *self = calloc(1, sizeof *self);
    *search = self;
    if (!self)
        return error_set(error, ERR_MEMORY, "no memory for a reach task");
    self->reach = reach;
    self->room = malloc(threads * reach->state->dimension * sizeof *self->room);
    self->failed = calloc(threads, sizeof *self->failed);
    self->errors = calloc(threads, sizeof *self->errors);
    if (!self->room || !self->failed || !self->errors)
        return error_set(error, ERR_MEMORY, "no memory for %zu threads", threads);
    int code = codes_view_open(&self->view, reach->state, error);
    if (!code)
        code = code_sweep_new(reach->state, &self->view, 0, &self->sweep, error);
    return code ? code : coded_init(&self->rows, BLOCK_ROWS, &self->view, 1, error);
}

static int first_failure(const coded_search_t *self, error_t *error)
{
    for (uint32_t thread = 0; thread < compute_threads(self->reach->state->context->compute);
         thread++) {
        if (!self->failed[thread])
            continue;
        if (error)
            *error = self->errors[thread];
        return self->errors[thread].code;
    }
    return OK;
}

static int coded_block(void *search, error_t *error)
{
    coded_search_t *self = search;
    reach_t *reach = self->reach;
    const code_visitor_t visitor = {.next = next,
                                    .row_wants = row_wants,
                                    .may_want = may_want,
                                    .visit = visit,
                                    .context = self};
    double farthest = 0;
    self->rows.count = reach->count;
    for (size_t i = 0; i < reach->count; i++)
        self->rows.place[i] = self->view.place_of[reach->slots[i]];
    int code = coded_read(&self->rows, &self->view, reach->state, error);
    if (code)
        return code;
    coded_sum(&self->rows, &self->view);
    for (size_t i = 0; i < reach->count; i++) {
        if (reach->best[i] == INFINITY)
            find_a_way(self, i);
        farthest =
            fmax(farthest, code_sweep_radius(&self->view, self->rows.place[i], reach->best[i]));
    }
    code = code_sweep_run(self->sweep, &self->rows, reach->bands,
                          (code_farthest_t){farthest, farthest}, &visitor, error);
    return code ? code : first_failure(self, error);
}

const reach_search_t reach_coded = {coded_open, coded_block, coded_close};
