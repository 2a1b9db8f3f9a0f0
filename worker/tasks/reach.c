/* reach.c - the lightest edge from each query to another component: one round of Boruvka.
 *
 * The weight of (q, j) is max(core_q, core_j, d2(q, j)). Edges are ordered by (weight, smaller
 * slot, larger slot); for one q that is the order (weight, j). Every query keeps its own best: one
 * shared by a component would make the result depend on which thread was first. */
#include "worker/tasks/sweep.h"

#include <math.h>
#include <stdlib.h>

typedef struct {
    columns_t *columns;
    uint32_t query_count;
    const uint32_t *query;
    const float *core;
    const uint32_t *component;
    const float *floor;
} reach_in_t;

typedef struct {
    const task_state_t *state;
    reach_in_t in;
    sweep_t *sweep;
    vectors_t rows;
    band_t bands[BLOCK_ROWS];
    uint32_t positions[BLOCK_ROWS]; /* of the rows, in `query` */
    float best[BLOCK_ROWS];         /* the lightest weight so far; the floor as long as none is */
    uint32_t best_slot[BLOCK_ROWS]; /* SLOT_NONE: none yet */
    band_t columns;                 /* what is left to look at for this block */
    float heaviest;                 /* no row of the block takes a heavier edge */
    int mixed;                      /* the rows are of several components */
    uint32_t component;             /* of all rows, unless mixed */
    uint32_t *found_slot;           /* results, per query of the segments */
    float *found_weight;
} reach_t;

static int read_in(reach_in_t *self, uint32_t slots, error_t *error)
{
    const void *values[4];
    size_t count;
    int code = columns_get(self->columns, "query", COLUMN_U32, SIZE_MAX, &values[0], &count, error);
    if (!code)
        code = columns_get(self->columns, "core", COLUMN_F32, slots, &values[1], NULL, error);
    if (!code)
        code = columns_get(self->columns, "component", COLUMN_U32, slots, &values[2], NULL, error);
    if (!code)
        code = columns_get(self->columns, "floor", COLUMN_F32, count, &values[3], NULL, error);
    if (code)
        return code;
    if (count > slots)
        return error_set(error, ERR_PROTOCOL, "reach_in: %zu queries of %u slots", count, slots);
    self->query_count = (uint32_t)count;
    self->query = values[0];
    self->core = values[1];
    self->component = values[2];
    self->floor = values[3];
    for (uint32_t i = 0; i < self->query_count; i++) {
        if (self->query[i] >= slots || (i && self->query[i] <= self->query[i - 1]))
            return error_set(error, ERR_PROTOCOL,
                             "reach_in: query %u is slot %u; they must rise and be below %u", i,
                             self->query[i], slots);
    }
    return OK;
}

/* The queries of a segment must be queries, and slots of its partition. */
static int check_segment(const reach_t *self, const segment_t *segment, error_t *error)
{
    if (segment->begin > segment->end || segment->end > self->in.query_count)
        return error_set(error, ERR_PROTOCOL, "segment of queries %u to %u: there are %u",
                         segment->begin, segment->end, self->in.query_count);
    if (segment->begin == segment->end)
        return OK;
    const segment_t slots = {segment->partition, self->in.query[segment->begin],
                             self->in.query[segment->end - 1] + 1};
    return plan_view_check(&self->state->plan, &slots, error);
}

/* A column that some row of the block may be joined with at a weight it would take. */
static int eligible(const reach_t *self, uint32_t slot)
{
    return self->in.core[slot] <= self->heaviest &&
           (self->mixed || self->in.component[slot] != self->component);
}

static int fill(void *context, vectors_t *tile, error_t *error)
{
    reach_t *self = context;
    tile->count = 0;
    while (self->columns.begin < self->columns.end && tile->count < TILE_COLUMNS) {
        uint32_t slot = self->columns.begin++;
        if (eligible(self, slot))
            tile->slots[tile->count++] = slot;
    }
    return vectors_read(tile, &self->state->plan, self->state->context->index, &self->state->screen,
                        error);
}

/* No edge is lighter than the row's own core, and equals come with larger slots. */
static int settled(const reach_t *self, size_t row, const vectors_t *tile)
{
    return self->best_slot[row] < tile->slots[0] &&
           self->best[row] == self->in.core[self->rows.slots[row]];
}

static int wants(const void *context, size_t begin, size_t end, const vectors_t *tile)
{
    const reach_t *self = context;
    for (size_t row = begin; row < end; row++) {
        range_t range = vectors_range(tile, self->bands[row]);
        if (range.begin < range.end && !settled(self, row, tile))
            return 1;
    }
    return 0;
}

/* Would an edge of that weight to `slot` replace the best of the row? Infinite ones never. */
static int better(const reach_t *self, size_t row, float weight, uint32_t slot)
{
    return weight < INFINITY &&
           (weight < self->best[row] || (weight == self->best[row] && slot < self->best_slot[row]));
}

/* Measures the edge from the row to a column, unless component or core already rule it out. */
static void consider(reach_t *self, size_t row, const vectors_t *tile, size_t column)
{
    const reach_in_t *in = &self->in;
    uint32_t slot = tile->slots[column];
    uint32_t query = self->rows.slots[row];
    float least = fmaxf(in->core[slot], in->core[query]);
    if (in->component[slot] == in->component[query] || !better(self, row, least, slot))
        return;
    size_t dimension = self->rows.dimension;
    float weight = compute_dist2(self->state->context->compute)
                       ->one(self->rows.values + row * dimension, tile->values + column * dimension,
                             dimension);
    weight = fmaxf(weight, least);
    if (!better(self, row, weight, slot))
        return;
    self->best[row] = weight;
    self->best_slot[row] = slot;
}

/* While a row would take anything, the column that looks nearest is measured first: its weight
 * rules most others out. */
static void consider_nearest(reach_t *self, size_t row, const vectors_t *tile, range_t range,
                             const float *product)
{
    uint32_t component = self->in.component[self->rows.slots[row]];
    size_t nearest = range.end;
    float least = INFINITY;
    for (size_t column = range.begin; column < range.end; column++) {
        float half = tile->bound[column] - product[column];
        uint32_t slot = tile->slots[column];
        if (half < least && self->in.component[slot] != component &&
            isfinite(self->in.core[slot])) {
            least = half;
            nearest = column;
        }
    }
    if (nearest < range.end)
        consider(self, row, tile, nearest);
}

static void visit(void *context, size_t row, const vectors_t *tile, const sweep_row_t *scratch)
{
    reach_t *self = context;
    range_t range = vectors_range(tile, self->bands[row]);
    const float *product = scratch->product;
    if (range.begin == range.end || settled(self, row, tile))
        return;
    if (!product) {
        for (size_t column = range.begin; column < range.end; column++)
            consider(self, row, tile, column);
        return;
    }
    if (isinf(self->best[row]))
        consider_nearest(self, row, tile, range, product);
    const screen_t *screen = &self->state->screen;
    float limit = self->best[row];
    float row_bound = screen_row_bound(screen, self->rows.norm2[row], limit);
    size_t count = compute_survivors(self->state->context->compute)(
        product + range.begin, tile->bound + range.begin, row_bound, range.end - range.begin,
        scratch->survivors);
    for (size_t i = 0; i < count; i++) {
        size_t column = range.begin + scratch->survivors[i];
        if (product[column] < tile->bound[column] + row_bound)
            continue; /* a lighter edge was found since the row was screened */
        consider(self, row, tile, column);
        if (self->best[row] < limit) {
            limit = self->best[row];
            row_bound = screen_row_bound(screen, self->rows.norm2[row], limit);
        }
    }
}

/* Sets the block's rows and what they have in common; rows.count and positions are set. */
static void describe_block(reach_t *self, uint32_t partition)
{
    const reach_in_t *in = &self->in;
    const plan_view_t *plan = &self->state->plan;
    self->columns = (band_t){UINT32_MAX, 0};
    self->heaviest = 0;
    self->mixed = 0;
    self->component = in->component[in->query[self->positions[0]]];
    for (size_t i = 0; i < self->rows.count; i++) {
        uint32_t slot = in->query[self->positions[i]];
        self->rows.slots[i] = slot;
        self->bands[i] = plan_view_band(plan, partition, slot);
        self->best[i] = in->floor[self->positions[i]];
        self->best_slot[i] = SLOT_NONE;
        if (self->bands[i].begin < self->columns.begin)
            self->columns.begin = self->bands[i].begin;
        if (self->bands[i].end > self->columns.end)
            self->columns.end = self->bands[i].end;
        self->heaviest = fmaxf(self->heaviest, self->best[i]);
        if (in->component[slot] != self->component)
            self->mixed = 1;
    }
}

/* The rows of the block are positions[0 .. rows.count); `first` is the place of query `begin` in
 * the results. */
static int run_block(reach_t *self, uint32_t partition, uint32_t begin, size_t first,
                     error_t *error)
{
    const visitor_t visitor = {fill, wants, visit, self};
    describe_block(self, partition);
    int code = vectors_read(&self->rows, &self->state->plan, self->state->context->index,
                            &self->state->screen, error);
    if (!code)
        code = sweep_run(self->sweep, &self->rows, &visitor, error);
    for (size_t i = 0; i < self->rows.count && !code; i++) {
        size_t place = first + (self->positions[i] - begin);
        self->found_slot[place] = self->best_slot[i];
        self->found_weight[place] = self->best[i];
    }
    return code;
}

typedef struct {
    uint32_t component;
    uint32_t position;
} place_t;

static int by_component(const void *left, const void *right)
{
    const place_t *a = left;
    const place_t *b = right;
    if (a->component != b->component)
        return a->component < b->component ? -1 : 1;
    return (a->position > b->position) - (a->position < b->position);
}

/* The queries that can have an edge at all, those of one component together: a block of a single
 * component need not read its own component's columns. */
static size_t order_queries(const reach_t *self, const segment_t *segment, place_t *places)
{
    size_t count = 0;
    for (uint32_t i = segment->begin; i < segment->end; i++) {
        uint32_t slot = self->in.query[i];
        if (isfinite(self->in.core[slot]) && self->in.core[slot] <= self->in.floor[i])
            places[count++] = (place_t){self->in.component[slot], i};
    }
    qsort(places, count, sizeof *places, by_component);
    return count;
}

static int run_segment(reach_t *self, const segment_t *segment, size_t first, error_t *error)
{
    size_t size = segment->end - segment->begin;
    place_t *places = malloc((size + 1) * sizeof *places);
    if (!places)
        return error_set(error, ERR_MEMORY, "no memory for %zu queries", size);
    for (size_t i = 0; i < size; i++)
        self->found_slot[first + i] = SLOT_NONE;
    size_t count = order_queries(self, segment, places);
    int code = OK;
    for (size_t done = 0; done < count && !code; done += self->rows.count) {
        self->rows.count = count - done < BLOCK_ROWS ? count - done : BLOCK_ROWS;
        for (size_t i = 0; i < self->rows.count; i++)
            self->positions[i] = places[done + i].position;
        code = run_block(self, segment->partition, segment->begin, first, error);
    }
    free(places);
    return code;
}

/* Packs the edges that were found; the found arrays become columns b and weight. */
static int write_payload(reach_t *self, uint32_t *from, uint8_t **payload, size_t *length,
                         error_t *error)
{
    const task_t *task = self->state->task;
    size_t place = 0;
    size_t edges = 0;
    for (uint32_t s = 0; s < task->segment_count; s++) {
        for (uint32_t i = task->segments[s].begin; i < task->segments[s].end; i++, place++) {
            if (self->found_slot[place] == SLOT_NONE)
                continue;
            from[edges] = self->in.query[i];
            self->found_slot[edges] = self->found_slot[place];
            self->found_weight[edges++] = self->found_weight[place];
        }
    }
    columns_writer_t *writer = columns_writer_new("edges");
    columns_put(writer, "a", COLUMN_U32, from, edges);
    columns_put(writer, "b", COLUMN_U32, self->found_slot, edges);
    columns_put(writer, "weight", COLUMN_F32, self->found_weight, edges);
    return columns_writer_finish(&writer, payload, length, error);
}

static int run_all(reach_t *self, uint8_t **payload, size_t *length, error_t *error)
{
    const task_t *task = self->state->task;
    size_t queries = 0;
    int code = OK;
    for (uint32_t s = 0; s < task->segment_count && !code; s++) {
        code = check_segment(self, &task->segments[s], error);
        queries += task->segments[s].end - task->segments[s].begin;
    }
    if (code)
        return code;
    uint32_t *from = malloc((queries + 1) * sizeof *from);
    self->found_slot = malloc((queries + 1) * sizeof *self->found_slot);
    self->found_weight = malloc((queries + 1) * sizeof *self->found_weight);
    if (!from || !self->found_slot || !self->found_weight)
        code = error_set(error, ERR_MEMORY, "no memory for %zu queries", queries);
    if (!code)
        code = vectors_init(&self->rows, queries < BLOCK_ROWS ? queries : BLOCK_ROWS,
                            self->state->dimension, error);
    if (!code)
        code = sweep_new(self->state, &self->sweep, error);
    size_t first = 0;
    for (uint32_t s = 0; s < task->segment_count && !code; s++) {
        code = run_segment(self, &task->segments[s], first, error);
        first += task->segments[s].end - task->segments[s].begin;
    }
    if (!code)
        code = write_payload(self, from, payload, length, error);
    free(from);
    return code;
}

int task_reach(task_state_t *state, uint8_t **payload, size_t *length, error_t *error)
{
    reach_t *self = calloc(1, sizeof *self);
    if (!self)
        return error_set(error, ERR_MEMORY, "no memory for a reach task");
    self->state = state;
    int code = task_state_input(state, "reach_in", &self->in.columns, error);
    if (!code)
        code = read_in(&self->in, state->plan.slots, error);
    if (!code)
        code = run_all(self, payload, length, error);
    columns_close(&self->in.columns);
    sweep_destroy(&self->sweep);
    vectors_clear(&self->rows);
    free(self->found_slot);
    free(self->found_weight);
    free(self);
    return code;
}
