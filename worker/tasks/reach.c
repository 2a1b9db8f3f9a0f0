/* reach.c - the lightest edge from each query to another component: one round of Boruvka.
 *
 * The weight of (q, j) is max(core_q, core_j, d2(q, j)). Edges are ordered by (weight, smaller
 * slot, larger slot); for one q that is the order (weight, j). Every query keeps its own best: one
 * shared by a component would make the result depend on which thread was first. */
#include "worker/tasks/reach.h"

#include <stdlib.h>

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

/* Sets the block's rows and what they have in common; count and positions are set. */
static void describe_block(reach_t *self, uint32_t partition)
{
    const reach_in_t *in = &self->in;
    const plan_view_t *plan = &self->state->plan;
    self->columns = (band_t){UINT32_MAX, 0};
    self->heaviest = 0;
    self->mixed = 0;
    self->component = in->component[in->query[self->positions[0]]];
    for (size_t i = 0; i < self->count; i++) {
        uint32_t slot = in->query[self->positions[i]];
        self->slots[i] = slot;
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

/* The rows of the block are positions[0 .. count); `first` is the place of query `begin` in
 * the results. */
static int run_block(reach_t *self, uint32_t partition, uint32_t begin, size_t first,
                     error_t *error)
{
    describe_block(self, partition);
    int code = self->search->block(self->searching, error);
    for (size_t i = 0; i < self->count && !code; i++) {
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
    for (size_t done = 0; done < count && !code; done += self->count) {
        self->count = count - done < BLOCK_ROWS ? count - done : BLOCK_ROWS;
        for (size_t i = 0; i < self->count; i++)
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
        code = self->search->open(self, &self->searching, error);
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
    self->search = codes_view_given(state) ? &reach_coded : &reach_plain;
    int code = task_state_input(state, "reach_in", &self->in.columns, error);
    if (!code)
        code = read_in(&self->in, state->plan.slots, error);
    if (!code)
        code = run_all(self, payload, length, error);
    columns_close(&self->in.columns);
    self->search->close(&self->searching);
    free(self->found_slot);
    free(self->found_weight);
    free(self);
    return code;
}
