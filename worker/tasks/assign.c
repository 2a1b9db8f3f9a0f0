/* assign.c - the nearest centre of each slot, and the sums that the next centres are made of.
 *
 * With the stage parameter `sums` at 0 there are none: nobody is touched.
 * Sums are float64, in the order of the segments' slots, whatever the number of threads: a thread
 * adds all rows, but only some of the dimensions. */
#include "worker/tasks/codes_view.h"
#include "worker/tasks/coded_centres.h"
#include "worker/tasks/neighbours.h"

#include <stdlib.h>
#include <string.h>

#define SUM_DIMENSIONS 96 /* that a thread adds at a time */
#define UNTOUCHED UINT32_MAX

typedef struct {
    neighbours_t lists; /* first: the visitor's context; k = 1, "slots" are centres */
    const task_state_t *state;
    columns_t *columns;
    centre_list_t list;
    sweep_t *sweep;
    vectors_t rows;
    band_t bands[BLOCK_ROWS];
    uint32_t first_centre;  /* of the current partition, among all */
    band_t left;            /* its centres that fill has not given yet */
    coded_centres_t *coded; /* NULL: rows and centres are compared directly */
    /* of the current block */
    const float *const *block_vector; /* with codes */
    const uint32_t *block_label;
    size_t block_count;
    int sums; /* are they wanted? */
    /* results */
    uint32_t *label;
    float *d2;
    size_t touched; /* centres met so far */
    size_t touched_room;
    uint32_t *touched_list; /* global centre numbers, in the order they were met */
    uint32_t *place_of;     /* per global centre: its place in touched_list, or UNTOUCHED */
    double *sum;            /* touched x dimension */
    uint32_t *count;
} assign_t;

static int fill(void *context, vectors_t *tile, error_t *error)
{
    assign_t *self = context;
    (void)error;
    size_t left = self->left.end - self->left.begin;
    tile->count = left < TILE_COLUMNS ? left : TILE_COLUMNS;
    if (!tile->count)
        return OK;
    memcpy(tile->values,
           self->list.values + (size_t)(self->first_centre + self->left.begin) * tile->dimension,
           tile->count * tile->dimension * sizeof *tile->values);
    for (size_t i = 0; i < tile->count; i++)
        tile->slots[i] = self->left.begin++;
    vectors_measure(tile, &self->state->screen);
    return OK;
}

static int wants(const void *context, size_t begin, size_t end, const vectors_t *tile)
{
    return neighbours_wants(&((const assign_t *)context)->lists, begin, end, tile);
}

static void visit(void *context, size_t row, const vectors_t *tile, const sweep_row_t *scratch)
{
    neighbours_visit(&((assign_t *)context)->lists, row, tile, scratch);
}

/* Gives each centre that the block's rows went to a place among the touched ones. */
static int touch(assign_t *self, error_t *error)
{
    for (size_t i = 0; i < self->block_count; i++) {
        uint32_t centre = self->first_centre + self->block_label[i];
        if (self->place_of[centre] == UNTOUCHED) {
            self->place_of[centre] = (uint32_t)self->touched;
            self->touched_list[self->touched++] = centre;
        }
    }
    if (self->touched <= self->touched_room)
        return OK;
    size_t room = self->touched + self->touched / 2;
    double *sum = realloc(self->sum, room * self->state->dimension * sizeof *sum);
    if (!sum)
        return error_set(error, ERR_MEMORY, "no memory for the sums of %zu centres", room);
    memset(sum + self->touched_room * self->state->dimension, 0,
           (room - self->touched_room) * self->state->dimension * sizeof *sum);
    self->sum = sum;
    self->touched_room = room;
    return OK;
}

/* Adds some dimensions of all rows of the block. */
static void add_dimensions(void *context, size_t item, uint32_t thread)
{
    assign_t *self = context;
    size_t dimension = self->state->dimension;
    size_t begin = item * SUM_DIMENSIONS;
    size_t end = begin + SUM_DIMENSIONS < dimension ? begin + SUM_DIMENSIONS : dimension;
    (void)thread;
    for (size_t i = 0; i < self->block_count; i++) {
        const float *values =
            self->block_vector ? self->block_vector[i] : self->rows.values + i * dimension;
        double *sum =
            self->sum + self->place_of[self->first_centre + self->block_label[i]] * dimension;
        for (size_t d = begin; d < end; d++)
            sum[d] += (double)values[d];
    }
}

static int add_block(assign_t *self, error_t *error)
{
    int code = touch(self, error);
    if (code)
        return code;
    pool_run(compute_pool(self->state->context->compute),
             (self->state->dimension + SUM_DIMENSIONS - 1) / SUM_DIMENSIONS, add_dimensions, self);
    for (size_t i = 0; i < self->block_count; i++)
        self->count[self->place_of[self->first_centre + self->block_label[i]]]++;
    return OK;
}

static int find_directly(assign_t *self, uint32_t partition, uint32_t begin, size_t done,
                         error_t *error)
{
    const visitor_t visitor = {fill, wants, visit, self};
    uint32_t centres = self->list.begin[partition + 1] - self->list.begin[partition];
    self->left = (band_t){0, centres};
    self->rows.count = self->block_count;
    for (size_t i = 0; i < self->block_count; i++) {
        self->rows.slots[i] = begin + (uint32_t)i;
        self->bands[i] = self->left;
    }
    int code = vectors_read(&self->rows, &self->state->plan, self->state->context->index,
                            &self->state->screen, error);
    if (code)
        return code;
    self->lists.slot = self->label + done;
    self->lists.d2 = self->d2 + done;
    neighbours_reset(&self->lists);
    return sweep_run(self->sweep, &self->rows, &visitor, error);
}

static int run_block(assign_t *self, uint32_t partition, uint32_t begin, size_t count, size_t done,
                     error_t *error)
{
    self->first_centre = self->list.begin[partition];
    self->block_label = self->label + done;
    self->block_count = count;
    int code = self->coded ? coded_centres_find(self->coded, partition, begin, count,
                                                self->label + done, self->d2 + done, error)
                           : find_directly(self, partition, begin, done, error);
    self->block_vector = self->coded ? coded_centres_rows(self->coded) : NULL;
    for (size_t i = 0; i < count && !code; i++) {
        if (self->block_label[i] == SLOT_NONE)
            code = error_set(error, ERR_PROTOCOL,
                             "slot %u is at no finite distance of any centre of partition %u",
                             begin + (uint32_t)i, partition);
    }
    return code || !self->sums ? code : add_block(self, error);
}

static int run_segments(assign_t *self, error_t *error)
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

static int ascending(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left;
    uint32_t b = *(const uint32_t *)right;
    return (a > b) - (a < b);
}

static int write_payload(assign_t *self, size_t slots, uint8_t **payload, size_t *length,
                         error_t *error)
{
    size_t dimension = self->state->dimension;
    size_t touched = self->touched;
    double *sum = malloc((touched * dimension + 1) * sizeof *sum);
    uint32_t *count = malloc((touched + 1) * sizeof *count);
    columns_writer_t *writer = columns_writer_new("assign");
    int code = OK;
    if (!sum || !count) {
        code = error_set(error, ERR_MEMORY, "no memory for the sums of %zu centres", touched);
        columns_writer_destroy(&writer);
        goto done;
    }
    qsort(self->touched_list, touched, sizeof *self->touched_list, ascending);
    for (size_t i = 0; i < touched; i++) {
        uint32_t place = self->place_of[self->touched_list[i]];
        memcpy(sum + i * dimension, self->sum + place * dimension, dimension * sizeof *sum);
        count[i] = self->count[place];
    }
    columns_put(writer, "label", COLUMN_U32, self->label, slots);
    columns_put(writer, "d2", COLUMN_F32, self->d2, slots);
    columns_put(writer, "touched", COLUMN_U32, self->touched_list, touched);
    columns_put(writer, "sum", COLUMN_F64, sum, touched * dimension);
    columns_put(writer, "count", COLUMN_U32, count, touched);
    code = columns_writer_finish(&writer, payload, length, error);
done:
    free(sum);
    free(count);
    return code;
}

/* Every partition of the task needs a centre; centres of all partitions must be there. */
static int read_centres(assign_t *self, error_t *error)
{
    const plan_view_t *plan = &self->state->plan;
    const void *begin;
    const void *centre;
    int code = columns_get(self->columns, "centre_begin", COLUMN_U32, (size_t)plan->partitions + 1,
                           &begin, NULL, error);
    if (code)
        return code;
    self->list.begin = begin;
    for (uint32_t p = 0; p < plan->partitions; p++) {
        if (self->list.begin[p] > self->list.begin[p + 1])
            return error_set(error, ERR_PROTOCOL, "centres of partition %u: %u to %u", p,
                             self->list.begin[p], self->list.begin[p + 1]);
    }
    if (self->list.begin[0] != 0)
        return error_set(error, ERR_PROTOCOL, "the first centre is number %u, not 0",
                         self->list.begin[0]);
    code = columns_get(self->columns, "centre", COLUMN_F32,
                       (size_t)self->list.begin[plan->partitions] * self->state->dimension, &centre,
                       NULL, error);
    self->list.values = centre;
    for (uint32_t s = 0; s < self->state->task->segment_count && !code; s++) {
        const segment_t *segment = &self->state->task->segments[s];
        uint32_t p = segment->partition;
        if (segment->begin < segment->end && self->list.begin[p] == self->list.begin[p + 1])
            code = error_set(error, ERR_PROTOCOL, "partition %u has slots but no centre", p);
    }
    return code;
}

static int prepare(assign_t *self, size_t slots, error_t *error)
{
    size_t centres = self->list.begin[self->state->plan.partitions];
    self->lists =
        (neighbours_t){.state = self->state, .rows = &self->rows, .k = 1, .band = self->bands};
    self->label = malloc((slots + 1) * sizeof *self->label);
    self->d2 = malloc((slots + 1) * sizeof *self->d2);
    self->touched_list = malloc((centres + 1) * sizeof *self->touched_list);
    self->place_of = malloc((centres + 1) * sizeof *self->place_of);
    self->count = calloc(centres + 1, sizeof *self->count);
    if (!self->label || !self->d2 || !self->touched_list || !self->place_of || !self->count)
        return error_set(error, ERR_MEMORY, "no memory for %zu slots and %zu centres", slots,
                         centres);
    memset(self->place_of, 0xff, (centres + 1) * sizeof *self->place_of); /* UNTOUCHED */
    if (codes_view_given(self->state))
        return coded_centres_new(self->state, &self->list, slots, &self->coded, error);
    int code = sweep_new(self->state, &self->sweep, error);
    size_t rows = slots < BLOCK_ROWS ? slots : BLOCK_ROWS;
    return code ? code : vectors_init(&self->rows, rows, self->state->dimension, error);
}

static void assign_destroy(assign_t *self)
{
    columns_close(&self->columns);
    coded_centres_destroy(&self->coded);
    sweep_destroy(&self->sweep);
    vectors_clear(&self->rows);
    free(self->label);
    free(self->d2);
    free(self->touched_list);
    free(self->place_of);
    free(self->count);
    free(self->sum);
    free(self);
}

int task_assign(task_state_t *state, uint8_t **payload, size_t *length, error_t *error)
{
    size_t slots = 0;
    int code = task_state_slots(state, &slots, error);
    if (code)
        return code;
    assign_t *self = calloc(1, sizeof *self);
    if (!self)
        return error_set(error, ERR_MEMORY, "no memory for an assign task");
    self->state = state;
    self->sums = task_param(state->task, "sums", 1) > 0;
    code = task_state_input(state, "centres", &self->columns, error);
    if (!code)
        code = read_centres(self, error);
    if (!code)
        code = prepare(self, slots, error);
    if (!code)
        code = run_segments(self, error);
    if (!code)
        code = write_payload(self, slots, payload, length, error);
    assign_destroy(self);
    return code;
}
