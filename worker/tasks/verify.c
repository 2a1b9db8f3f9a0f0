/* verify.c - the pairs that are lighter than the way between them in a spanning tree.
 *
 * The tree is the lightest of all edges that are known, from lists and searches. An edge that is not
 * known weighs at least the bounds and cores of its ends, so where these are over the way between
 * two slots nothing has to be compared. Of the others each pair is met once: a row meets the columns
 * that stand before it in the order of the tree (common/graph/bottleneck.h), in which the ways to
 * what stands close are the light ones. docs/algorithms.md, 4. */
#include "worker/tasks/crowds.h"
#include "worker/tasks/lighter.h"
#include "worker/tasks/tree_view.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define VERIFY_BLOCK_ROWS 8192
#define MEASURED_AT_ONCE 32
/* How much of what lies between a usual pair and the heaviest way may go into the size of crowds. */
#define CROWD_SHARE 0.6
#define CROWDS_RECENT 1 /* the order of the tree keeps branches together */

/* A thread's: few columns are measured, so they are read when they are wanted. */
typedef struct {
    float *room;
    int code;
    error_t error;
} reader_t;

typedef struct {
    task_state_t *state;
    codes_view_t view;
    tree_view_t tree;
    lighter_t *lighter;
    code_sweep_t *sweep;
    reader_t *readers;
    /* the block at work */
    uint32_t partition;
    uint32_t *at; /* positions of its rows; in the order of slots where there is a window */
    coded_t rows;
    band_t *bands;
    float *limit;     /* the heaviest way between a row and the tile's columns */
    double radius;    /* of crowds */
    band_t columns;   /* left to read: positions, or slots where there is a window */
    band_t positions; /* that columns may have */
    float most;       /* no row wants a heavier edge */
    /* the tile at work: where its columns are in the first order, and in the present one */
    uint32_t first;
    uint32_t low;
    uint32_t high;
    int in_tile;
    struct {
        const coded_t *tile;
        crowds_t crowds;
    } crowded[2]; /* the tile at work and the next */
} verify_t;

/* A row and a slot that may be lighter than the way between them. */
typedef struct {
    uint32_t row;
    uint32_t slot;
} candidate_t;

static int has_window(const verify_t *self)
{
    return self->state->plan.partition_window[self->partition] >= 0;
}

static uint32_t position_of(const verify_t *self, uint32_t slot)
{
    return bottleneck_positions(self->tree.ways)[slot];
}

/* ---- the sweep's visitor ---- */

static int eligible(const verify_t *self, uint32_t slot)
{
    uint32_t position = position_of(self, slot);
    return tree_view_least(&self->tree, slot) <= self->most && position >= self->positions.begin &&
           position < self->positions.end;
}

/* The sweep has two tiles in turn. `next` is the one that may take a tile for the first time. */
static crowds_t *crowds_of(verify_t *self, const coded_t *tile)
{
    return &self->crowded[self->crowded[0].tile != tile].crowds;
}

/* Columns that follow each other are often near: they are of one branch. */
static void next(void *context, coded_t *tile)
{
    verify_t *self = context;
    const uint32_t *order = bottleneck_order(self->tree.ways);
    int window = has_window(self);
    if (self->crowded[0].tile == NULL)
        self->crowded[0].tile = tile;
    crowds_t *crowds = crowds_of(self, tile);
    crowds_begin(crowds, self->radius, CROWDS_RECENT);
    for (; self->columns.begin < self->columns.end; self->columns.begin++) {
        uint32_t slot = window ? self->columns.begin : order[self->columns.begin];
        if (eligible(self, slot) && !crowds_add(crowds, self->view.place_of[slot], 0))
            break;
    }
    tile->count = crowds->count;
    for (size_t i = 0; i < crowds->count; i++)
        tile->place[i] = crowds_places(crowds, i)[0];
}

static void widen(void *context, coded_t *tile)
{
    const crowds_t *crowds = crowds_of(context, tile);
    memcpy(tile->residual_head, crowds->residual_head, tile->count * sizeof(float));
    memcpy(tile->residual, crowds->residual, tile->count * sizeof(float));
}

static int begin_tile(void *context, const coded_t *tile, error_t *error)
{
    verify_t *self = context;
    int code = lighter_renew(self->lighter, error);
    const uint32_t *now = bottleneck_positions(lighter_ways(self->lighter));
    self->first = self->low = UINT32_MAX;
    self->high = 0;
    self->in_tile = 1;
    const crowds_t *crowds = crowds_of(self, tile);
    for (size_t i = 0; i < crowds->count; i++)
        for (size_t m = 0; m < crowds->size[i]; m++) {
            uint32_t slot = self->view.slot[crowds_places(crowds, i)[m]];
            uint32_t then = position_of(self, slot), position = now[slot];
            self->first = then < self->first ? then : self->first;
            self->low = position < self->low ? position : self->low;
            self->high = position > self->high ? position : self->high;
        }
    return code;
}

/* The heaviest way from the row to a column of the tile, as far as the present forest tells. */
static float heaviest_way(const verify_t *self, uint32_t slot)
{
    const bottleneck_t *ways = lighter_ways(self->lighter);
    uint32_t here = bottleneck_positions(ways)[slot];
    uint32_t low = here < self->low ? here : self->low;
    uint32_t high = here > self->high ? here : self->high;
    return low < high ? bottleneck_between(ways, low, high).weight : INFINITY;
}

static float row_wants(void *context, size_t row)
{
    verify_t *self = context;
    float limit = self->tree.heaviest[self->at[row]];
    uint32_t slot = self->rows.slot[row];
    if (self->in_tile) {
        float way = heaviest_way(self, slot); /* infinite: some of the tile are not connected */
        limit = way < limit ? way : limit;
        if (self->at[row] <= self->first || tree_view_least(&self->tree, slot) > limit)
            limit = CODE_WANTS_NONE;
    }
    self->limit[row] = limit;
    return limit;
}

static edge_t way_of(const verify_t *self, const edge_t *edge)
{
    return lighter_way(self->lighter, edge->a, edge->b);
}

/* The first of a crowd stands before the others, but in a window, where crowds are of one. */
static int may_want(void *context, size_t row, const coded_t *tile, size_t column)
{
    const verify_t *self = context;
    return position_of(self, tile->slot[column]) < self->at[row] && self->limit[row] >= 0;
}

static int is_wanted(const verify_t *self, size_t row, uint32_t other)
{
    uint32_t slot = self->rows.slot[row], position = position_of(self, other);
    float least = fmaxf(tree_view_least(&self->tree, slot), tree_view_least(&self->tree, other));
    if (position >= self->at[row] || position < self->tree.begin[self->at[row]] ||
        least > self->limit[row])
        return 0;
    edge_t edge = edge_between(slot, other, least), way = way_of(self, &edge);
    return edge_compare(&edge, &way) < 0;
}

static void measure(const verify_t *self, const candidate_t *candidates, size_t count,
                    uint32_t thread)
{
    reader_t *reader = &self->readers[thread];
    uint32_t index_rows[MEASURED_AT_ONCE];
    const float *rows[MEASURED_AT_ONCE], *columns[MEASURED_AT_ONCE];
    float d2[MEASURED_AT_ONCE];
    for (size_t i = 0; i < count; i++) {
        rows[i] = self->rows.vector[candidates[i].row];
        index_rows[i] = self->state->plan.rows[candidates[i].slot];
    }
    if (!reader->code)
        reader->code =
            task_state_find(self->state, index_rows, count, reader->room, columns, &reader->error);
    if (reader->code)
        return;
    compute_dist2(self->state->context->compute)
        ->pairs(rows, columns, count, self->rows.dimension, d2);
    for (size_t i = 0; i < count; i++) {
        uint32_t slot = self->rows.slot[candidates[i].row], other = candidates[i].slot;
        d2[i] = task_state_decayed(self->state, d2[i], slot, other);
        if (!(d2[i] <= self->limit[candidates[i].row]))
            continue;
        float core = fmaxf(self->tree.core[slot], self->tree.core[other]);
        edge_t edge = edge_between(slot, other, fmaxf(d2[i], core)), way = way_of(self, &edge);
        if (edge_compare(&edge, &way) < 0)
            lighter_offer(self->lighter, thread, &edge);
    }
}

/* The test that the sweep made of the crowd's first, of one of all. */
static int may_be_near(const verify_t *self, uint32_t row, const crowds_t *crowds, size_t member)
{
    uint32_t place = crowds->place[member];
    if (!is_wanted(self, row, self->view.slot[place]))
        return 0;
    const codes_t *codes = &self->view.codes;
    const int8_t *of_row = self->rows.codes + (size_t)row * codes->width;
    const int8_t *of_place = self->view.code + (size_t)place * codes->width;
    int32_t squares = self->rows.whole[row] + crowds->square[member] -
                      2 * crowds->kernel->dot(of_row, of_place, codes->width);
    return !codes_apart(codes, squares, codes_reach(codes, self->limit[row]),
                        self->rows.residual[row], self->view.residual[place]);
}

static void visit(void *context, const coded_t *tile, const code_pair_t *pairs, size_t count,
                  uint32_t thread)
{
    verify_t *self = context;
    const crowds_t *crowds = crowds_of(self, tile);
    candidate_t candidates[MEASURED_AT_ONCE];
    size_t held = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t row = pairs[i].row, crowd = pairs[i].column;
        size_t first = (size_t)crowd * CROWD_MOST;
        for (size_t member = first; member < first + crowds->size[crowd]; member++) {
            if (!may_be_near(self, row, crowds, member))
                continue;
            candidates[held++] = (candidate_t){row, self->view.slot[crowds->place[member]]};
            if (held == MEASURED_AT_ONCE) {
                measure(self, candidates, held, thread);
                held = 0;
            }
        }
    }
    if (held)
        measure(self, candidates, held, thread);
}

/* ---- blocks ---- */

static int by_number(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return (a > b) - (a < b);
}

/* In a window rows of about one day stand together, as columns do. */
static void order_by_slot(verify_t *self, size_t count)
{
    const uint32_t *order = bottleneck_order(self->tree.ways);
    for (size_t i = 0; i < count; i++)
        self->at[i] = order[self->at[i]];
    qsort(self->at, count, sizeof *self->at, by_number);
    for (size_t i = 0; i < count; i++)
        self->at[i] = position_of(self, self->at[i]);
}

/* Two codes that have nothing in common are about as far apart as both from the origin, squared and
 * added. As long as a crowd's radius leaves that over the heaviest way, most are ruled out whole. */
static double crowd_radius(const verify_t *self)
{
    const codes_t *codes = &self->view.codes;
    double squares = 0;
    for (size_t i = 0; i < self->rows.count; i++)
        squares += 2.0 * self->rows.square[i] / (double)self->rows.count;
    double room = codes->scale * sqrt(squares) - codes_reach(codes, self->most) -
                  2 * (double)self->view.usual;
    return room > 0 ? CROWD_SHARE * room : 0;
}

/* What the block's rows may meet; returns the largest radius. */
static double describe_block(verify_t *self)
{
    const tree_view_t *tree = &self->tree;
    band_t slots = {UINT32_MAX, 0};
    double farthest = 0;
    self->positions = (band_t){UINT32_MAX, 0};
    self->most = 0;
    self->in_tile = 0;
    for (size_t i = 0; i < self->rows.count; i++) {
        uint32_t at = self->at[i], place = self->rows.place[i];
        band_t band = plan_view_band(&self->state->plan, self->partition, place);
        self->bands[i] = band;
        slots.begin = band.begin < slots.begin ? band.begin : slots.begin;
        slots.end = band.end > slots.end ? band.end : slots.end;
        if (tree->begin[at] < self->positions.begin)
            self->positions.begin = tree->begin[at];
        self->positions.end = at > self->positions.end ? at : self->positions.end;
        self->most = fmaxf(self->most, tree->heaviest[at]);
        farthest = fmax(farthest, code_sweep_radius(&self->view, place, tree->heaviest[at]));
    }
    self->columns = has_window(self) ? slots : self->positions;
    self->radius = has_window(self) ? 0 : crowd_radius(self);
    return farthest;
}

static int first_failure(const verify_t *self, error_t *error)
{
    for (uint32_t t = 0; t < compute_threads(self->state->context->compute); t++) {
        if (!self->readers[t].code)
            continue;
        if (error)
            *error = self->readers[t].error;
        return self->readers[t].code;
    }
    return OK;
}

static int run_block(verify_t *self, size_t count, error_t *error)
{
    const code_visitor_t visitor = {.next = next,
                                    .widen = widen,
                                    .begin = begin_tile,
                                    .row_wants = row_wants,
                                    .may_want = may_want,
                                    .visit = visit,
                                    .context = self};
    const uint32_t *order = bottleneck_order(self->tree.ways);
    if (has_window(self))
        order_by_slot(self, count);
    self->rows.count = count;
    for (size_t i = 0; i < count; i++)
        self->rows.place[i] = self->view.place_of[order[self->at[i]]];
    int code = coded_read(&self->rows, &self->view, self->state, error);
    if (code)
        return code;
    coded_sum(&self->rows, &self->view);
    double farthest = describe_block(self);
    code = code_sweep_run(self->sweep, &self->rows, self->bands,
                          (code_farthest_t){farthest, farthest}, &visitor, error);
    return code ? code : first_failure(self, error);
}

/* ---- the task ---- */

/* A slot from which an edge may lead to what stands before it. */
static int searches(const verify_t *self, uint32_t position)
{
    uint32_t slot = bottleneck_order(self->tree.ways)[position];
    return tree_view_least(&self->tree, slot) <= self->tree.heaviest[position];
}

/* Rows of successive segments of a partition share blocks. */
static int run_segments(verify_t *self, error_t *error)
{
    const task_t *task = self->state->task;
    size_t count = 0;
    int code = OK;
    for (uint32_t s = 0; s < task->segment_count && !code; s++) {
        const segment_t *segment = &task->segments[s];
        if (count && segment->partition != self->partition) {
            code = run_block(self, count, error);
            count = 0;
        }
        self->partition = segment->partition;
        for (uint32_t at = segment->begin; at < segment->end && !code; at++) {
            if (!searches(self, at))
                continue;
            self->at[count++] = at;
            if (count == self->rows.capacity) {
                code = run_block(self, count, error);
                count = 0;
            }
        }
    }
    return code || !count ? code : run_block(self, count, error);
}

static int allocate(verify_t *self, size_t slots, error_t *error)
{
    uint32_t threads = compute_threads(self->state->context->compute);
    size_t rows = slots < VERIFY_BLOCK_ROWS ? slots + 1 : VERIFY_BLOCK_ROWS;
    size_t vector = self->state->dimension * sizeof(float);
    int missing = 0;
    self->at = malloc(rows * sizeof *self->at);
    self->bands = malloc(rows * sizeof *self->bands);
    self->limit = malloc(rows * sizeof *self->limit);
    self->readers = calloc(threads, sizeof *self->readers);
    for (uint32_t t = 0; self->readers && t < threads; t++) {
        self->readers[t].room = aligned_alloc(64, (MEASURED_AT_ONCE * vector + 63) / 64 * 64);
        missing |= !self->readers[t].room;
    }
    if (!self->at || !self->bands || !self->limit || !self->readers || missing)
        return error_set(error, ERR_MEMORY, "no memory for %zu rows", rows);
    int code = code_sweep_new(self->state, &self->view, 0, &self->sweep, error);
    for (int i = 0; i < 2 && !code; i++)
        code = crowds_init(&self->crowded[i].crowds, &self->view,
                           compute_int8(self->state->context->compute), error);
    if (!code)
        code = coded_init(&self->rows, rows, &self->view, 1, error);
    return code ? code
                : lighter_new(self->state->plan.slots, self->tree.edges, self->tree.edge_count,
                              self->tree.ways, threads, &self->lighter, error);
}

static int write_payload(verify_t *self, uint8_t **payload, size_t *length, error_t *error)
{
    const edge_t *edges;
    size_t count;
    int code = lighter_finish(self->lighter, &edges, &count, error);
    if (code)
        return code;
    columns_writer_t *writer = columns_writer_new("edges");
    uint32_t *a = columns_make(writer, "a", COLUMN_U32, count);
    for (size_t i = 0; a && i < count; i++)
        a[i] = edges[i].a;
    uint32_t *b = columns_make(writer, "b", COLUMN_U32, count);
    for (size_t i = 0; b && i < count; i++)
        b[i] = edges[i].b;
    float *weight = columns_make(writer, "weight", COLUMN_F32, count);
    for (size_t i = 0; weight && i < count; i++)
        weight[i] = edges[i].weight;
    return columns_writer_finish(&writer, payload, length, error);
}

static void clear(verify_t *self)
{
    lighter_destroy(&self->lighter);
    code_sweep_destroy(&self->sweep);
    crowds_clear(&self->crowded[0].crowds);
    crowds_clear(&self->crowded[1].crowds);
    coded_clear(&self->rows);
    for (uint32_t t = 0; self->readers && t < compute_threads(self->state->context->compute); t++)
        free(self->readers[t].room);
    free(self->readers);
    free(self->at);
    free(self->bands);
    free(self->limit);
    tree_view_close(&self->tree);
    codes_view_close(&self->view);
}

int task_verify(task_state_t *state, uint8_t **payload, size_t *length, error_t *error)
{
    verify_t self = {.state = state};
    size_t slots;
    int code = task_state_slots(state, &slots, error);
    if (!code)
        code = codes_view_open(&self.view, state, error);
    if (!code)
        code = tree_view_open(&self.tree, state, error);
    if (!code)
        code = allocate(&self, slots, error);
    if (!code)
        code = run_segments(&self, error);
    if (!code)
        code = write_payload(&self, payload, length, error);
    clear(&self);
    return code;
}
