/* knn_coded.c - the k nearest neighbours by way of codes: each pair is met once and serves both.
 *
 * Segments count places and come in twos: rows, and columns that begin with the rows or after them.
 * A row meets the columns behind it, so a task has lists for both sides that hold what it saw; the
 * best of all tasks' lists are the neighbours. How far a neighbour may be at most is known for every
 * place before (near.c). */
#include "proto/worker_message.h"
#include "worker/tasks/code_sweep.h"
#include "worker/tasks/shared_lists.h"

#include <stdlib.h>

#define MEASURED_AT_ONCE 128

/* Two segments: a rectangle of pairs, or what is right of the diagonal. */
typedef struct {
    uint32_t partition;
    band_t rows;
    band_t columns;
    size_t first_list; /* of the rows; those of the columns that are no rows follow */
} patch_t;

typedef struct {
    task_state_t *state;
    codes_view_t view;
    columns_t *near;
    const float *bound; /* by place */
    size_t k;
    patch_t *patches;
    size_t patch_count;
    size_t most_rows;     /* of a patch, that are swept at once */
    const patch_t *patch; /* the one at work */
    coded_t rows;
    band_t bands[CODE_BLOCK_ROWS];
    band_t columns; /* what is left to read */
    code_sweep_t *sweep;
    size_t places;
    shared_lists_t *lists; /* of all places */
} knn_t;

static size_t patch_places(const patch_t *patch)
{
    uint32_t rows_end = patch->rows.end, columns_begin = patch->columns.begin;
    uint32_t begin = columns_begin > rows_end ? columns_begin : rows_end;
    size_t beside = patch->columns.end > begin ? patch->columns.end - begin : 0;
    return rows_end - patch->rows.begin + beside;
}

static size_t list_of(const patch_t *patch, uint32_t place)
{
    size_t rows = patch->rows.end - patch->rows.begin;
    if (place < patch->rows.end)
        return patch->first_list + (place - patch->rows.begin);
    uint32_t begin =
        patch->columns.begin > patch->rows.end ? patch->columns.begin : patch->rows.end;
    return patch->first_list + rows + (place - begin);
}

/* ---- the sweep's visitor ---- */

static void next(void *context, coded_t *tile)
{
    knn_t *self = context;
    size_t left = self->columns.end - self->columns.begin;
    tile->count = left < CODE_TILE ? left : CODE_TILE;
    for (size_t i = 0; i < tile->count; i++)
        tile->place[i] = self->columns.begin++;
}

static float row_wants(void *context, size_t row)
{
    const knn_t *self = context;
    return shared_lists_wants(self->lists, list_of(self->patch, self->rows.place[row]));
}

static float column_wants(void *context, uint32_t place)
{
    const knn_t *self = context;
    return shared_lists_wants(self->lists, list_of(self->patch, place));
}

typedef struct {
    size_t list[2]; /* of the row, of the column */
    uint32_t slot[2];
} offer_t;

/* Nothing is nearer than 0: lists full of duplicates take smaller slots only. */
static int may_take(const knn_t *self, const offer_t *offer)
{
    return shared_lists_would_take(self->lists, offer->list[0], 0, offer->slot[1]) ||
           shared_lists_would_take(self->lists, offer->list[1], 0, offer->slot[0]);
}

static void measure(const knn_t *self, const float *const *a, const float *const *b,
                    const offer_t *offers, size_t count)
{
    float d2[MEASURED_AT_ONCE];
    compute_dist2(self->state->context->compute)->pairs(a, b, count, self->rows.dimension, d2);
    for (size_t i = 0; i < count; i++) {
        d2[i] = task_state_decayed(self->state, d2[i], offers[i].slot[0], offers[i].slot[1]);
        shared_lists_offer(self->lists, offers[i].list[0], d2[i], offers[i].slot[1]);
        shared_lists_offer(self->lists, offers[i].list[1], d2[i], offers[i].slot[0]);
    }
}

static void visit(void *context, const coded_t *tile, const code_pair_t *pairs, size_t count,
                  uint32_t thread)
{
    const knn_t *self = context;
    const float *a[MEASURED_AT_ONCE], *b[MEASURED_AT_ONCE];
    offer_t offers[MEASURED_AT_ONCE];
    size_t held = 0;
    (void)thread;
    for (size_t i = 0; i < count; i++) {
        size_t row = pairs[i].row, column = pairs[i].column;
        offer_t *offer = &offers[held];
        *offer = (offer_t){{list_of(self->patch, self->rows.place[row]),
                            list_of(self->patch, tile->place[column])},
                           {self->rows.slot[row], tile->slot[column]}};
        a[held] = self->rows.vector[row];
        b[held] = tile->vector[column];
        held += (size_t)may_take(self, offer);
        if (held == MEASURED_AT_ONCE) {
            measure(self, a, b, offers, held);
            held = 0;
        }
    }
    measure(self, a, b, offers, held);
}

/* ---- patches ---- */

static double farthest_of(const knn_t *self, band_t places, double farthest)
{
    for (uint32_t place = places.begin; place < places.end; place++) {
        float wants = shared_lists_wants(self->lists, list_of(self->patch, place));
        double radius = code_sweep_radius(&self->view, place, wants);
        farthest = radius > farthest ? radius : farthest;
    }
    return farthest;
}

/* Rows from `begin` on, with the columns behind each. */
static int run_block(knn_t *self, uint32_t begin, size_t count, error_t *error)
{
    const patch_t *patch = self->patch;
    const code_visitor_t visitor = {next, NULL, NULL, row_wants, column_wants, NULL, visit, self};
    self->rows.count = count;
    for (size_t i = 0; i < count; i++) {
        uint32_t place = begin + (uint32_t)i;
        band_t band = plan_view_band(&self->state->plan, patch->partition, place);
        self->rows.place[i] = place;
        self->bands[i] = (band_t){place + 1, band.end};
    }
    int code = coded_read(&self->rows, &self->view, self->state, error);
    if (code)
        return code;
    coded_sum(&self->rows, &self->view);
    self->columns = patch->columns;
    if (self->columns.begin < begin)
        self->columns.begin = begin;
    if (self->columns.end > self->bands[count - 1].end)
        self->columns.end = self->bands[count - 1].end;
    if (self->columns.begin >= self->columns.end)
        return OK;
    double farthest = farthest_of(self, (band_t){begin, begin + (uint32_t)count}, 0);
    farthest = farthest_of(self, self->columns, farthest);
    return code_sweep_run(self->sweep, &self->rows, self->bands, farthest, &visitor, error);
}

static int run_patches(knn_t *self, error_t *error)
{
    int code = OK;
    for (size_t i = 0; i < self->patch_count && !code; i++) {
        self->patch = &self->patches[i];
        uint32_t begin = self->patch->rows.begin;
        while (begin < self->patch->rows.end && !code) {
            uint32_t left = self->patch->rows.end - begin;
            uint32_t count = left < CODE_BLOCK_ROWS ? left : CODE_BLOCK_ROWS;
            code = run_block(self, begin, count, error);
            begin += count;
        }
    }
    return code;
}

/* ---- the task ---- */

static int read_patches(knn_t *self, error_t *error)
{
    const task_t *task = self->state->task;
    self->patch_count = task->segment_count / 2;
    self->patches = malloc((self->patch_count + 1) * sizeof *self->patches);
    if (!self->patches)
        return error_set(error, ERR_MEMORY, "no memory for %zu segments", self->patch_count);
    for (size_t i = 0; i < self->patch_count; i++) {
        const segment_t *rows = &task->segments[2 * i], *columns = rows + 1;
        if (rows->partition != columns->partition ||
            (columns->begin != rows->begin && columns->begin < rows->end))
            return error_set(error, ERR_PROTOCOL, "rows %u to %u do not go with columns %u to %u",
                             rows->begin, rows->end, columns->begin, columns->end);
        patch_t *patch = &self->patches[i];
        *patch = (patch_t){rows->partition,
                           {rows->begin, rows->end},
                           {columns->begin, columns->end},
                           self->places};
        self->places += patch_places(patch);
        size_t count = rows->end - rows->begin;
        count = count < CODE_BLOCK_ROWS ? count : CODE_BLOCK_ROWS;
        self->most_rows = count > self->most_rows ? count : self->most_rows;
    }
    return task->segment_count % 2 == 0
               ? OK
               : error_set(error, ERR_PROTOCOL, "%u segments: rows without columns",
                           task->segment_count);
}

static int make_lists(knn_t *self, error_t *error)
{
    if (self->places > WORKER_PAYLOAD_LIMIT / sizeof(uint64_t) / self->k)
        return error_set(error, ERR_TOO_LARGE,
                         "%zu neighbours of %zu slots are too many for a task", self->k,
                         self->places);
    int code = shared_lists_new(self->places, self->k, &self->lists, error);
    for (size_t i = 0; i < self->patch_count && !code; i++) {
        const patch_t *patch = &self->patches[i];
        for (uint32_t place = patch->rows.begin; place < patch->rows.end; place++)
            shared_lists_bound(self->lists, list_of(patch, place), self->bound[place]);
        for (uint32_t place = patch->columns.begin; place < patch->columns.end; place++)
            shared_lists_bound(self->lists, list_of(patch, place), self->bound[place]);
    }
    return code;
}

static int prepare(knn_t *self, error_t *error)
{
    const void *bound;
    int code = codes_view_open(&self->view, self->state, error);
    if (!code)
        code = task_state_input(self->state, "near", &self->near, error);
    if (!code)
        code = columns_get(self->near, "bound", COLUMN_F32, self->view.places, &bound, NULL, error);
    if (code)
        return code;
    self->bound = bound;
    code = read_patches(self, error);
    if (!code)
        code = make_lists(self, error);
    if (!code)
        code = code_sweep_new(self->state, &self->view, 1, &self->sweep, error);
    return code ? code : coded_init(&self->rows, self->most_rows, &self->view, 1, error);
}

static int write_payload(const knn_t *self, uint8_t **payload, size_t *length, error_t *error)
{
    uint32_t *count = malloc((self->places + 1) * sizeof *count);
    size_t entries = 0;
    for (size_t i = 0; i < self->places && count; i++)
        entries += count[i] = shared_lists_count(self->lists, i);
    uint32_t *neighbour = malloc((entries + 1) * sizeof *neighbour);
    float *d2 = malloc((entries + 1) * sizeof *d2);
    columns_writer_t *writer = NULL;
    if (count && neighbour && d2) {
        size_t at = 0;
        for (size_t i = 0; i < self->places; i++)
            for (size_t e = 0; e < count[i]; e++, at++)
                shared_lists_entry(self->lists, i, e, &d2[at], &neighbour[at]);
        writer = columns_writer_new("knn_part");
        columns_put(writer, "count", COLUMN_U32, count, self->places);
        columns_put(writer, "neighbour", COLUMN_U32, neighbour, entries);
        columns_put(writer, "d2", COLUMN_F32, d2, entries);
    }
    free(count);
    free(neighbour);
    free(d2);
    return columns_writer_finish(&writer, payload, length, error);
}

int task_knn_coded(task_state_t *state, size_t k, uint8_t **payload, size_t *length, error_t *error)
{
    knn_t *self = calloc(1, sizeof *self);
    if (!self)
        return error_set(error, ERR_MEMORY, "no memory for a knn task");
    self->state = state;
    self->k = k;
    int code = prepare(self, error);
    if (!code)
        code = run_patches(self, error);
    if (!code)
        code = write_payload(self, payload, length, error);
    free(self->patches);
    coded_clear(&self->rows);
    code_sweep_destroy(&self->sweep);
    shared_lists_destroy(&self->lists);
    columns_close(&self->near);
    codes_view_close(&self->view);
    free(self);
    return code;
}
