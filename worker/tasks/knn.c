/* knn.c - the k nearest neighbours of ranges of slots, within their partitions and windows. */
#include "proto/worker_message.h"
#include "worker/tasks/codes_view.h"
#include "worker/tasks/neighbours.h"

#include <stdlib.h>

#define NEIGHBOUR_LIMIT 65536

typedef struct {
    neighbours_t lists; /* first: the visitor's context */
    const task_state_t *state;
    vectors_t rows;
    band_t bands[BLOCK_ROWS];
    band_t columns; /* what is left to read for this block */
    sweep_t *sweep;
    uint32_t *neighbour; /* results: slots x k */
    float *d2;
} knn_t;

/* The next columns of the block's band. */
static int fill(void *context, vectors_t *tile, error_t *error)
{
    knn_t *self = context;
    size_t left = self->columns.end - self->columns.begin;
    tile->count = left < TILE_COLUMNS ? left : TILE_COLUMNS;
    for (size_t i = 0; i < tile->count; i++)
        tile->slots[i] = self->columns.begin++;
    return vectors_read(tile, &self->state->plan, self->state->context->index, &self->state->screen,
                        error);
}

static int wants(const void *context, size_t begin, size_t end, const vectors_t *tile)
{
    return neighbours_wants(&((const knn_t *)context)->lists, begin, end, tile);
}

static void visit(void *context, size_t row, const vectors_t *tile, const sweep_row_t *scratch)
{
    neighbours_visit(&((knn_t *)context)->lists, row, tile, scratch);
}

/* Lists of the slots [begin, begin + count), to stand at `done` in the results. */
static int run_block(knn_t *self, uint32_t partition, uint32_t begin, size_t count, size_t done,
                     error_t *error)
{
    const visitor_t visitor = {fill, wants, visit, self};
    const plan_view_t *plan = &self->state->plan;
    self->rows.count = count;
    for (size_t i = 0; i < count; i++) {
        self->rows.slots[i] = begin + (uint32_t)i;
        self->bands[i] = plan_view_band(plan, partition, begin + (uint32_t)i);
    }
    int code =
        vectors_read(&self->rows, plan, self->state->context->index, &self->state->screen, error);
    if (code)
        return code;
    /* Days rise with the slots, and so do the bands' ends. */
    self->columns = (band_t){self->bands[0].begin, self->bands[count - 1].end};
    self->lists.slot = self->neighbour + done * self->lists.k;
    self->lists.d2 = self->d2 + done * self->lists.k;
    neighbours_reset(&self->lists);
    return sweep_run(self->sweep, &self->rows, &visitor, error);
}

static int run_segments(knn_t *self, error_t *error)
{
    const task_t *task = self->state->task;
    size_t done = 0;
    int code = OK;
    for (uint32_t s = 0; s < task->segment_count && !code; s++) {
        const segment_t *segment = &task->segments[s];
        uint32_t begin = segment->begin;
        while (begin < segment->end && !code) {
            uint32_t count = segment->end - begin < BLOCK_ROWS ? segment->end - begin : BLOCK_ROWS;
            code = run_block(self, segment->partition, begin, count, done, error);
            begin += count;
            done += count;
        }
    }
    return code;
}

static int write_payload(const knn_t *self, size_t slots, uint8_t **payload, size_t *length,
                         error_t *error)
{
    columns_writer_t *writer = columns_writer_new("knn");
    columns_put(writer, "neighbour", COLUMN_U32, self->neighbour, slots * self->lists.k);
    columns_put(writer, "d2", COLUMN_F32, self->d2, slots * self->lists.k);
    return columns_writer_finish(&writer, payload, length, error);
}

static int prepare(knn_t *self, task_state_t *state, size_t slots, uint64_t k, error_t *error)
{
    self->state = state;
    self->lists = (neighbours_t){.state = state,
                                 .rows = &self->rows,
                                 .k = (size_t)k,
                                 .band = self->bands,
                                 .without_self = 1};
    if (slots > WORKER_PAYLOAD_LIMIT / (sizeof *self->neighbour + sizeof *self->d2) / k)
        return error_set(error, ERR_TOO_LARGE,
                         "%llu neighbours of %zu slots are too many for a task",
                         (unsigned long long)k, slots);
    self->neighbour = malloc((slots * k + 1) * sizeof *self->neighbour);
    self->d2 = malloc((slots * k + 1) * sizeof *self->d2);
    if (!self->neighbour || !self->d2)
        return error_set(error, ERR_MEMORY, "no memory for %llu neighbours of %zu slots",
                         (unsigned long long)k, slots);
    int code = sweep_new(state, &self->sweep, error);
    size_t rows = slots < BLOCK_ROWS ? slots : BLOCK_ROWS;
    return code ? code : vectors_init(&self->rows, rows, state->dimension, error);
}

int task_knn(task_state_t *state, uint8_t **payload, size_t *length, error_t *error)
{
    size_t slots = 0;
    uint64_t k = 0;
    int code = task_state_whole(state, "k", 1, NEIGHBOUR_LIMIT, &k, error);
    if (!code)
        code = task_state_slots(state, &slots, error);
    if (code)
        return code;
    if (codes_view_given(state))
        return task_knn_coded(state, (size_t)k, payload, length, error);
    knn_t *self = calloc(1, sizeof *self);
    if (!self)
        return error_set(error, ERR_MEMORY, "no memory for a knn task");
    code = prepare(self, state, slots, k, error);
    if (!code)
        code = run_segments(self, error);
    if (!code)
        code = write_payload(self, slots, payload, length, error);
    free(self->neighbour);
    free(self->d2);
    vectors_clear(&self->rows);
    sweep_destroy(&self->sweep);
    free(self);
    return code;
}
