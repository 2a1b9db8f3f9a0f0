/* knn_coded.c - the k nearest neighbours by way of codes: the same lists as knn.c, sooner.
 *
 * Segments count places. A block of rows first looks at the places around each row, which are of
 * its own cell: the k-th nearest of those is a threshold that nothing of the answer is over. */
#include "proto/worker_message.h"
#include "worker/tasks/code_sweep.h"
#include "worker/tasks/nearest.h"
#include "worker/tasks/select.h"

#include <math.h>
#include <stdlib.h>

#define NEAR_PANELS 4 /* on either side of a row's own */
#define NEAR_COLUMNS ((2 * NEAR_PANELS + 1) * INT8_COLUMNS)

typedef struct {
    task_state_t *state;
    codes_view_t view;
    size_t k;
    coded_t rows;
    band_t bands[CODE_BLOCK_ROWS];
    float threshold[CODE_BLOCK_ROWS];
    band_t columns; /* what is left to read, the block's own cells first */
    band_t earlier; /* and then these */
    code_sweep_t *sweep;
    uint8_t *panels; /* the block's own, packed */
    uint32_t *neighbour;
    float *d2;
    uint32_t *block_neighbour; /* where the block's lists stand in the results */
    float *block_d2;
} knn_t;

static void next(void *context, coded_t *tile)
{
    knn_t *self = context;
    if (self->columns.begin == self->columns.end) {
        self->columns = self->earlier;
        self->earlier.begin = self->earlier.end;
    }
    size_t left = self->columns.end - self->columns.begin;
    tile->count = left < CODE_TILE ? left : CODE_TILE;
    for (size_t i = 0; i < tile->count; i++)
        tile->place[i] = self->columns.begin++;
}

static int in_band(const knn_t *self, size_t row, uint32_t place)
{
    return place >= self->bands[row].begin && place < self->bands[row].end &&
           place != self->rows.place[row];
}

static float measure(const knn_t *self, size_t row, const float *other)
{
    size_t dimension = self->rows.dimension;
    return compute_dist2(self->state->context->compute)
        ->one(self->rows.values + row * dimension, other, dimension);
}

static void visit(void *context, size_t row, const coded_t *tile, size_t first, uint64_t mask,
                  uint32_t thread)
{
    knn_t *self = context;
    float *d2 = self->block_d2 + row * self->k;
    uint32_t *slots = self->block_neighbour + row * self->k;
    float *farthest = d2 + self->k - 1;
    int changed = 0;
    (void)thread;
    for (; mask; mask &= mask - 1) {
        size_t column = first + (size_t)__builtin_ctzll(mask);
        /* Nothing is nearer than 0: a list full of duplicates takes smaller slots only. */
        if (!in_band(self, row, tile->place[column]) ||
            (*farthest == 0 && tile->slot[column] > slots[self->k - 1]) ||
            code_sweep_apart(self->sweep, row, tile, column))
            continue;
        float distance = measure(self, row, tile->values + column * self->rows.dimension);
        changed |= nearest_offer(d2, slots, self->k, distance, tile->slot[column]);
    }
    if (changed && *farthest < self->threshold[row]) {
        self->threshold[row] = *farthest;
        code_sweep_settle(self->sweep, row, *farthest);
    }
}

/* ---- first thresholds ---- */

typedef struct {
    int32_t scores[INT8_COLUMNS * INT8_COLUMNS];
    float far[INT8_COLUMNS][NEAR_COLUMNS]; /* squared steps between heads; INFINITY not eligible */
    float copy[NEAR_COLUMNS];
} near_t;

static void score_panel(const knn_t *self, size_t group, size_t panel, size_t at, near_t *near)
{
    size_t first = group * INT8_COLUMNS;
    size_t rows = self->rows.count - first < INT8_COLUMNS ? self->rows.count - first : INT8_COLUMNS;
    size_t head = self->view.codes.head;
    const int8_rows_t of_rows = {self->rows.codes + first * self->rows.width, self->rows.width,
                                 rows, head, self->rows.sum + first};
    compute_int8(self->state->context->compute)
        ->scores(&of_rows, self->panels + panel * INT8_PANEL_BYTES(head), near->scores);
    for (size_t r = 0; r < rows; r++) {
        for (size_t c = 0; c < INT8_COLUMNS; c++) {
            size_t column = panel * INT8_COLUMNS + c;
            float *far = &near->far[r][at + c];
            *far = INFINITY;
            if (column < self->rows.count && in_band(self, first + r, self->rows.place[column]))
                *far = (float)(self->rows.square[first + r] + self->rows.square[column] -
                               2 * near->scores[r * INT8_COLUMNS + c]);
        }
    }
}

/* The largest canonical distance to k places that look near. */
static float threshold_of(const knn_t *self, size_t row, const float *far, size_t count,
                          size_t first_column, float *copy)
{
    if (count < self->k)
        return INFINITY;
    memcpy(copy, far, count * sizeof *copy);
    float limit = select_rank(copy, count, self->k - 1);
    if (isinf(limit))
        return INFINITY;
    float largest = 0;
    size_t taken = 0;
    for (size_t i = 0; i < count && taken < self->k; i++) {
        if (far[i] > limit)
            continue;
        float d2 =
            measure(self, row, self->rows.values + (first_column + i) * self->rows.dimension);
        largest = d2 > largest || isnan(d2) ? d2 : largest;
        taken++;
    }
    return isnan(largest) ? INFINITY : largest;
}

static void find_thresholds(void *context, size_t group, uint32_t thread)
{
    knn_t *self = context;
    near_t *near = malloc(sizeof *near);
    (void)thread;
    if (!near)
        return; /* without thresholds the rows take longer, and get the same lists */
    size_t panels = (self->rows.count + INT8_COLUMNS - 1) / INT8_COLUMNS;
    size_t begin = group < NEAR_PANELS ? 0 : group - NEAR_PANELS;
    size_t end = group + NEAR_PANELS + 1 < panels ? group + NEAR_PANELS + 1 : panels;
    for (size_t panel = begin; panel < end; panel++)
        score_panel(self, group, panel, (panel - begin) * INT8_COLUMNS, near);
    size_t count = (end - begin) * INT8_COLUMNS;
    for (size_t r = 0; r < INT8_COLUMNS && group * INT8_COLUMNS + r < self->rows.count; r++) {
        size_t row = group * INT8_COLUMNS + r;
        self->threshold[row] =
            threshold_of(self, row, near->far[r], count, begin * INT8_COLUMNS, near->copy);
    }
    free(near);
}

static void pack_panel(void *context, size_t panel, uint32_t thread)
{
    knn_t *self = context;
    size_t head = self->view.codes.head;
    size_t first = panel * INT8_COLUMNS;
    size_t left = self->rows.count - first;
    const int8_rows_t columns = {self->rows.codes + first * self->rows.width, self->rows.width,
                                 left < INT8_COLUMNS ? left : INT8_COLUMNS, head, NULL};
    (void)thread;
    compute_int8(self->state->context->compute)
        ->pack(&columns, self->panels + panel * INT8_PANEL_BYTES(head));
}

static void settle_early(knn_t *self)
{
    pool_t *pool = compute_pool(self->state->context->compute);
    size_t panels = (self->rows.count + INT8_COLUMNS - 1) / INT8_COLUMNS;
    for (size_t row = 0; row < self->rows.count; row++)
        self->threshold[row] = INFINITY;
    pool_run(pool, panels, pack_panel, self);
    pool_run(pool, panels, find_thresholds, self);
    for (size_t row = 0; row < self->rows.count; row++) {
        if (self->threshold[row] < INFINITY)
            code_sweep_settle(self->sweep, row, self->threshold[row]);
    }
}

/* ---- blocks ---- */

static int run_block(knn_t *self, uint32_t partition, uint32_t begin, size_t count, size_t done,
                     error_t *error)
{
    const code_visitor_t visitor = {next, visit, self};
    self->rows.count = count;
    for (size_t i = 0; i < count; i++) {
        self->rows.place[i] = begin + (uint32_t)i;
        self->bands[i] = plan_view_band(&self->state->plan, partition, begin + (uint32_t)i);
    }
    int code = coded_read(&self->rows, &self->view, self->state, error);
    if (code)
        return code;
    coded_sum(&self->rows, &self->view);
    self->columns = (band_t){begin, self->bands[count - 1].end};
    self->earlier = (band_t){self->bands[0].begin, begin};
    self->block_neighbour = self->neighbour + done * self->k;
    self->block_d2 = self->d2 + done * self->k;
    for (size_t i = 0; i < count * self->k; i++) {
        self->block_neighbour[i] = SLOT_NONE;
        self->block_d2[i] = INFINITY;
    }
    code_sweep_rows(self->sweep, &self->rows, self->bands);
    settle_early(self);
    return code_sweep_run(self->sweep, &visitor, error);
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
            uint32_t left = segment->end - begin;
            uint32_t count = left < CODE_BLOCK_ROWS ? left : CODE_BLOCK_ROWS;
            code = run_block(self, segment->partition, begin, count, done, error);
            begin += count;
            done += count;
        }
    }
    return code;
}

static int prepare(knn_t *self, size_t places, error_t *error)
{
    size_t rows = places < CODE_BLOCK_ROWS ? places : CODE_BLOCK_ROWS;
    if (places > WORKER_PAYLOAD_LIMIT / (sizeof *self->neighbour + sizeof *self->d2) / self->k)
        return error_set(error, ERR_TOO_LARGE,
                         "%zu neighbours of %zu slots are too many for a task", self->k, places);
    int code = codes_view_open(&self->view, self->state, error);
    if (code)
        return code;
    size_t panels = (rows + INT8_COLUMNS - 1) / INT8_COLUMNS;
    self->neighbour = malloc((places * self->k + 1) * sizeof *self->neighbour);
    self->d2 = malloc((places * self->k + 1) * sizeof *self->d2);
    self->panels = aligned_alloc(64, (panels + 1) * INT8_PANEL_BYTES(self->view.codes.head));
    if (!self->neighbour || !self->d2 || !self->panels)
        return error_set(error, ERR_MEMORY, "no memory for %zu neighbours of %zu slots", self->k,
                         places);
    code = code_sweep_new(self->state, &self->view, 1, &self->sweep, error);
    return code ? code : coded_init(&self->rows, rows, &self->view, 1, error);
}

static int write_payload(const knn_t *self, size_t places, uint8_t **payload, size_t *length,
                         error_t *error)
{
    columns_writer_t *writer = columns_writer_new("knn");
    columns_put(writer, "neighbour", COLUMN_U32, self->neighbour, places * self->k);
    columns_put(writer, "d2", COLUMN_F32, self->d2, places * self->k);
    return columns_writer_finish(&writer, payload, length, error);
}

int task_knn_coded(task_state_t *state, size_t places, size_t k, uint8_t **payload, size_t *length,
                   error_t *error)
{
    knn_t *self = calloc(1, sizeof *self);
    if (!self)
        return error_set(error, ERR_MEMORY, "no memory for a knn task");
    self->state = state;
    self->k = k;
    int code = prepare(self, places, error);
    if (!code)
        code = run_segments(self, error);
    if (!code)
        code = write_payload(self, places, payload, length, error);
    free(self->neighbour);
    free(self->d2);
    free(self->panels);
    coded_clear(&self->rows);
    code_sweep_destroy(&self->sweep);
    codes_view_close(&self->view);
    free(self);
    return code;
}
