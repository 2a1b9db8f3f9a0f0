/* knn_coded.c - the k nearest neighbours by way of codes: each pair is met once and serves both.
 *
 * Segments count places and come in twos: rows, and columns that begin with the rows or after them.
 * A row meets the columns behind it, so a task has lists for both sides that hold what it saw; the
 * best of all tasks' lists are the neighbours. How far a neighbour may be at most is known for every
 * place before (near.c). Where columns lie close together they are compared by crowds, with rows that
 * want little. */
#include "proto/worker_message.h"
#include "worker/tasks/crowds.h"
#include "worker/tasks/shared_lists.h"
#include "worker/tasks/vector_reader.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MEASURED_AT_ONCE 128
#define CROWDS_RECENT 32
/* Of the distance of two codes that have nothing in common: the radius of crowds, and how far what
 * a place wants may be for it to have to do with crowds at all. The rest keeps most pairs apart. */
#define CROWD_SHARE 0.3
#define CROWD_REACH 0.5
#define CROWD_TRIAL 512 /* columns that tell whether crowds pay */
#define CROWD_WORTH 0.7 /* the most crowds that they may make, of 1 */

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
    double radius;  /* of crowds; 0: everyone is alone */
    float easy;     /* rows and columns that want no more than that have to do with crowds */
    struct {
        const coded_t *tile;
        crowds_t crowds;
    } crowded[2];             /* the tile at work and the next */
    vector_reader_t *readers; /* one a thread */
    uint32_t threads;
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

/* The sweep has two tiles in turn. `next` is the one that may take a tile for the first time. */
static crowds_t *crowds_of(knn_t *self, const coded_t *tile)
{
    return &self->crowded[self->crowded[0].tile != tile].crowds;
}

/* The order of places holds for the first of a crowd alone, so what may be a row, or before one, has
 * to be alone. So has a window's place, whose band is its own. */
static int is_alone(const knn_t *self, uint32_t place)
{
    return place < self->patch->rows.end || !(self->bound[place] <= self->easy);
}

static void next(void *context, coded_t *tile)
{
    knn_t *self = context;
    if (self->crowded[0].tile == NULL)
        self->crowded[0].tile = tile;
    crowds_t *crowds = crowds_of(self, tile);
    crowds_begin(crowds, self->radius, CROWDS_RECENT);
    while (self->columns.begin < self->columns.end &&
           crowds_add(crowds, self->columns.begin, is_alone(self, self->columns.begin)))
        self->columns.begin++;
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

static float wanted_by(const knn_t *self, uint32_t place)
{
    return shared_lists_wants(self->lists, list_of(self->patch, place));
}

static float row_wants(void *context, size_t row)
{
    const knn_t *self = context;
    return wanted_by(self, self->rows.place[row]);
}

static float column_wants(void *context, const coded_t *tile, size_t column)
{
    const crowds_t *crowds = crowds_of(context, tile);
    float most = CODE_WANTS_NONE;
    for (size_t m = 0; m < crowds->size[column]; m++)
        most = fmaxf(most, wanted_by(context, crowds_places(crowds, column)[m]));
    return most;
}

typedef struct {
    size_t list[2]; /* of the row, of the column */
    uint32_t slot[2];
} offer_t;

/* Pairs that are to be measured together. */
typedef struct {
    const knn_t *self;
    vector_reader_t *reader;
    size_t count;
    const float *a[MEASURED_AT_ONCE];
    const float *b[MEASURED_AT_ONCE];
    offer_t offers[MEASURED_AT_ONCE];
} measured_t;

/* Nothing is nearer than 0: lists full of duplicates take smaller slots only. */
static int may_take(const knn_t *self, const offer_t *offer)
{
    return shared_lists_would_take(self->lists, offer->list[0], 0, offer->slot[1]) ||
           shared_lists_would_take(self->lists, offer->list[1], 0, offer->slot[0]);
}

static void measure(measured_t *pairs)
{
    const knn_t *self = pairs->self;
    float d2[MEASURED_AT_ONCE];
    if (!pairs->reader->code)
        compute_dist2(self->state->context->compute)
            ->pairs(pairs->a, pairs->b, pairs->count, self->rows.dimension, d2);
    for (size_t i = 0; i < pairs->count && !pairs->reader->code; i++) {
        const offer_t *offer = &pairs->offers[i];
        d2[i] = task_state_decayed(self->state, d2[i], offer->slot[0], offer->slot[1]);
        shared_lists_offer(self->lists, offer->list[0], d2[i], offer->slot[1]);
        shared_lists_offer(self->lists, offer->list[1], d2[i], offer->slot[0]);
    }
    pairs->count = 0;
    vector_reader_release(pairs->reader);
}

static void add_pair(measured_t *pairs, size_t row, uint32_t place, uint32_t slot,
                     uint32_t index_row)
{
    const knn_t *self = pairs->self;
    const offer_t offer = {
        {list_of(self->patch, self->rows.place[row]), list_of(self->patch, place)},
        {self->rows.slot[row], slot}};
    if (!may_take(self, &offer))
        return;
    if (pairs->count == MEASURED_AT_ONCE || !vector_reader_has_room(pairs->reader, index_row))
        measure(pairs);
    pairs->a[pairs->count] = self->rows.vector[row];
    pairs->b[pairs->count] = vector_reader_find(pairs->reader, self->state, index_row);
    pairs->offers[pairs->count++] = offer;
}

/* The test that the sweep made of the crowd's first, of one of all. */
static int may_be_near(const knn_t *self, size_t row, const crowds_t *crowds, size_t member)
{
    const codes_t *codes = &self->view.codes;
    uint32_t place = crowds->place[member];
    float wants = fmaxf(wanted_by(self, self->rows.place[row]), wanted_by(self, place));
    int32_t squares =
        self->rows.whole[row] + crowds->square[member] -
        2 * crowds->kernel->dot(self->rows.codes + row * codes->width,
                                self->view.code + (size_t)place * codes->width, codes->width);
    return !codes_apart(codes, squares, codes_reach(codes, wants), self->rows.residual[row],
                        self->view.residual[place]);
}

static void visit_crowd(measured_t *pairs, size_t row, const crowds_t *crowds, size_t crowd)
{
    const knn_t *self = pairs->self;
    size_t first = crowd * CROWD_MOST;
    for (size_t member = first; member < first + crowds->size[crowd]; member++) {
        uint32_t place = crowds->place[member], slot = self->view.slot[place];
        if (may_be_near(self, row, crowds, member))
            add_pair(pairs, row, place, slot, self->state->plan.rows[slot]);
    }
}

static void visit(void *context, const coded_t *tile, const code_pair_t *pairs, size_t count,
                  uint32_t thread)
{
    knn_t *self = context;
    const crowds_t *crowds = crowds_of(self, tile);
    measured_t measured = {.self = self, .reader = &self->readers[thread]};
    for (size_t i = 0; i < count; i++) {
        size_t row = pairs[i].row, column = pairs[i].column;
        if (crowds->size[column] > 1)
            visit_crowd(&measured, row, crowds, column);
        else
            add_pair(&measured, row, tile->place[column], tile->slot[column], tile->rows[column]);
    }
    measure(&measured);
}

/* ---- patches ---- */

static double farthest_of(const knn_t *self, uint32_t place, double farthest)
{
    double radius = code_sweep_radius(&self->view, place, wanted_by(self, place));
    return radius > farthest ? radius : farthest;
}

/* Those of [begin, begin + count) that have to do with crowds, or the others. */
static void choose_rows(knn_t *self, uint32_t begin, size_t count, int easy)
{
    self->rows.count = 0;
    for (uint32_t place = begin; place < begin + count; place++) {
        if ((self->bound[place] <= self->easy) != easy)
            continue;
        band_t band = plan_view_band(&self->state->plan, self->patch->partition, place);
        self->bands[self->rows.count] = (band_t){place + 1, band.end};
        self->rows.place[self->rows.count++] = place;
    }
}

/* The chosen rows with the columns behind each. */
static int run_rows(knn_t *self, error_t *error)
{
    const patch_t *patch = self->patch;
    const code_visitor_t visitor = {.next = next,
                                    .widen = widen,
                                    .row_wants = row_wants,
                                    .column_wants = column_wants,
                                    .visit = visit,
                                    .context = self};
    code_farthest_t farthest = {0, 0};
    size_t count = self->rows.count;
    if (!count)
        return OK;
    int code = coded_read(&self->rows, &self->view, self->state, error);
    if (code)
        return code;
    coded_sum(&self->rows, &self->view);
    self->columns = patch->columns;
    if (self->columns.begin < self->rows.place[0])
        self->columns.begin = self->rows.place[0];
    if (self->columns.end > self->bands[count - 1].end)
        self->columns.end = self->bands[count - 1].end;
    if (self->columns.begin >= self->columns.end)
        return OK;
    for (size_t row = 0; row < count; row++)
        farthest.row = farthest_of(self, self->rows.place[row], farthest.row);
    for (uint32_t place = self->columns.begin; place < self->columns.end; place++)
        farthest.column = farthest_of(self, place, farthest.column);
    farthest.column += self->radius * 1.001;
    code = code_sweep_run(self->sweep, &self->rows, self->bands, farthest, &visitor, error);
    return code ? code : vector_readers_failed(self->readers, self->threads, error);
}

/* ---- whether crowds pay ---- */

/* Two codes that have nothing in common are about as far apart as both from the origin, squared and
 * added. */
static double usual_distance(const knn_t *self)
{
    const codes_t *codes = &self->view.codes;
    const int8_kernel_t *kernel = compute_int8(self->state->context->compute);
    double squares = 0;
    uint32_t size = self->patch->rows.end - self->patch->rows.begin;
    for (uint32_t i = 0; i < CROWD_TRIAL; i++) {
        uint32_t place = self->patch->rows.begin + (uint32_t)((uint64_t)size * i / CROWD_TRIAL);
        const int8_t *code = self->view.code + (size_t)place * codes->width;
        squares += 2.0 * kernel->dot(code, code, codes->head) / CROWD_TRIAL;
    }
    double distance = codes->scale * sqrt(squares) - 2 * (double)self->view.usual;
    return distance > 0 ? distance : 0;
}

/* Of some columns in a row: are there fewer crowds than places? Nothing but time hangs on it. */
static void choose_radius(knn_t *self)
{
    const patch_t *patch = self->patch;
    crowds_t *crowds = &self->crowded[0].crowds;
    uint32_t first =
        patch->columns.begin > patch->rows.end ? patch->columns.begin : patch->rows.end;
    uint32_t left = patch->columns.end > first ? patch->columns.end - first : 0, added = 0;
    double usual = usual_distance(self), reach = CROWD_REACH * usual;
    self->radius = 0;
    self->easy = INFINITY;
    if (self->state->plan.partition_window[patch->partition] >= 0 || left < CROWD_TRIAL)
        return;
    self->easy = (float)(reach * reach);
    self->radius = CROWD_SHARE * usual;
    first += (left - CROWD_TRIAL) / 2;
    crowds_begin(crowds, self->radius, CROWDS_RECENT);
    while (added < CROWD_TRIAL && crowds_add(crowds, first + added, is_alone(self, first + added)))
        added++;
    if ((double)crowds->count > CROWD_WORTH * added) {
        self->radius = 0;
        self->easy = INFINITY;
    }
}

/* Rows that want what is far would meet every crowd: they meet each column by itself. */
static int run_block(knn_t *self, uint32_t begin, size_t count, error_t *error)
{
    choose_radius(self);
    choose_rows(self, begin, count, 1);
    int code = run_rows(self, error);
    choose_rows(self, begin, count, 0);
    self->radius = 0;
    return code ? code : run_rows(self, error);
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
        code = code_sweep_new(self->state, &self->view, 0, &self->sweep, error);
    for (int i = 0; i < 2 && !code; i++)
        code = crowds_init(&self->crowded[i].crowds, &self->view,
                           compute_int8(self->state->context->compute), error);
    self->threads = compute_threads(self->state->context->compute);
    if (!code)
        code = vector_readers_new(self->state, &self->readers, error);
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
    crowds_clear(&self->crowded[0].crowds);
    crowds_clear(&self->crowded[1].crowds);
    vector_readers_destroy(&self->readers, self->threads);
    shared_lists_destroy(&self->lists);
    columns_close(&self->near);
    codes_view_close(&self->view);
    free(self);
    return code;
}
