/* probe.c - the k nearest of groups of rows, in their own cells and across the borders near them.
 *
 * A row searches its own cell and those whose centres are at most `margin` (stage parameter; absent:
 * any) farther from it than its own cell's (cell_centres.h). Without a margin, which is how the
 * margin is found, the excess of every neighbour's cell is told as well. */
#include "worker/tasks/probe_rows.h"

#include "proto/worker_message.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define K_LIMIT 4096
#define PLACES_AN_ITEM 16384u

typedef struct {
    uint32_t partition;
    uint32_t begin; /* in probes.row */
    uint32_t end;
    size_t at; /* rows of the task before these */
} item_t;

typedef struct {
    const task_state_t *state;
    probes_t probes;
    codes_view_t view;
    cell_centres_t cells;
    probe_setting_t setting;
    uint32_t *column_of;
    int32_t *square;
    int32_t *whole;
    uint64_t k;
    item_t *items;
    size_t item_count;
    size_t rows;
    uint32_t *neighbour;
    float *d2;
    float *excess; /* NULL: there is a margin */
    uint32_t *searched;
    probe_rows_t **threads;
    error_t *errors;
    atomic_int failed;
} probe_t;

/* ---- what is to be done ---- */

static int find_partition(const probe_t *self, uint32_t slot, uint32_t *out)
{
    const plan_view_t *plan = &self->state->plan;
    uint32_t low = 0, high = plan->partitions;
    while (low + 1 < high) {
        uint32_t middle = low + (high - low) / 2;
        if (plan->partition_begin[middle] <= slot)
            low = middle;
        else
            high = middle;
    }
    *out = low;
    return plan->partitions > 0;
}

/* Rows of one partition from `begin` on, a few of the group's. */
static int add_items(probe_t *self, uint32_t group, error_t *error)
{
    const plan_view_t *plan = &self->state->plan;
    uint32_t begin = self->probes.group_begin[group], end = self->probes.group_begin[group + 1];
    uint32_t partition = 0;
    if (begin == end || !find_partition(self, self->probes.row[begin], &partition))
        return OK;
    for (uint32_t i = begin; i < end; i++) {
        uint32_t slot = self->probes.row[i];
        if (slot < plan->partition_begin[partition] || slot >= plan->partition_begin[partition + 1])
            return error_set(error, ERR_PROTOCOL, "group %u has slots of two partitions", group);
    }
    item_t *last = self->item_count ? &self->items[self->item_count - 1] : NULL;
    if (last && last->partition == partition && last->end == begin &&
        end - last->begin <= PROBE_ROWS) {
        last->end = end;
        self->rows += end - begin;
        return OK;
    }
    for (uint32_t i = begin; i < end; i += PROBE_ROWS) {
        uint32_t to = end - i < PROBE_ROWS ? end : i + PROBE_ROWS;
        self->items[self->item_count++] = (item_t){partition, i, to, self->rows};
        self->rows += to - i;
    }
    return OK;
}

static int list_items(probe_t *self, error_t *error)
{
    const task_t *task = self->state->task;
    size_t room = 0;
    for (uint32_t s = 0; s < task->segment_count; s++) {
        const segment_t *segment = &task->segments[s];
        if (segment->begin > segment->end || segment->end > self->probes.groups)
            return error_set(error, ERR_PROTOCOL, "segment of groups %u to %u: there are %zu",
                             segment->begin, segment->end, self->probes.groups);
        for (uint32_t g = segment->begin; g < segment->end; g++)
            room +=
                (self->probes.group_begin[g + 1] - self->probes.group_begin[g]) / PROBE_ROWS + 1;
    }
    self->items = calloc(room + 1, sizeof *self->items);
    if (!self->items)
        return error_set(error, ERR_MEMORY, "no memory for %zu groups of rows", room);
    int code = OK;
    for (uint32_t s = 0; s < task->segment_count; s++)
        for (uint32_t g = task->segments[s].begin; g < task->segments[s].end && !code; g++)
            code = add_items(self, g, error);
    return code;
}

/* ---- memory ---- */

static void measure_places(void *context, size_t item, uint32_t thread)
{
    probe_t *self = context;
    const codes_t *codes = &self->view.codes;
    const int8_kernel_t *kernel = self->setting.kernel;
    size_t begin = item * PLACES_AN_ITEM, left = self->view.places - begin;
    (void)thread;
    for (size_t i = begin; i < begin + (left < PLACES_AN_ITEM ? left : PLACES_AN_ITEM); i++) {
        const int8_t *code = self->view.code + i * codes->width;
        self->square[i] = kernel->dot(code, code, codes->head);
        self->whole[i] = self->square[i] + kernel->dot(code + codes->head, code + codes->head,
                                                       codes->width - codes->head);
    }
}

static void set_extents(probe_t *self)
{
    probe_setting_t *setting = &self->setting;
    for (size_t c = 0; c < self->probes.cells; c++) {
        size_t members = self->probes.cell_begin[c + 1] - self->probes.cell_begin[c];
        setting->largest = members > setting->largest ? members : setting->largest;
    }
    for (uint32_t p = 0; p < self->state->plan.partitions; p++) {
        size_t cells = self->cells.begin[p + 1] - self->cells.begin[p];
        setting->cells_at_most = cells > setting->cells_at_most ? cells : setting->cells_at_most;
    }
    for (uint32_t i = 0; i < self->view.places; i++) {
        float residual = self->view.residual[i];
        if (residual < INFINITY && residual > setting->usual)
            setting->usual = residual;
    }
}

static int prepare_threads(probe_t *self, error_t *error)
{
    size_t threads = compute_threads(self->state->context->compute);
    int code = OK;
    self->threads = calloc(threads, sizeof *self->threads);
    self->errors = calloc(threads, sizeof *self->errors);
    if (!self->threads || !self->errors)
        return error_set(error, ERR_MEMORY, "no memory for %zu threads", threads);
    for (size_t t = 0; t < threads && !code; t++)
        code = probe_rows_new(&self->setting, &self->threads[t], error);
    return code;
}

static int prepare_results(probe_t *self, error_t *error)
{
    if (self->rows > WORKER_PAYLOAD_LIMIT / (3 * sizeof(float)) / (self->k + 1))
        return error_set(error, ERR_TOO_LARGE,
                         "%llu neighbours of %zu slots are too many for a task",
                         (unsigned long long)self->k, self->rows);
    size_t entries = self->rows * self->k + 1;
    self->neighbour = malloc(entries * sizeof *self->neighbour);
    self->d2 = malloc(entries * sizeof *self->d2);
    self->searched = malloc((self->rows + 1) * sizeof *self->searched);
    self->excess = isinf(self->setting.margin) ? malloc(entries * sizeof *self->excess) : NULL;
    if (self->neighbour && self->d2 && self->searched &&
        (self->excess || !isinf(self->setting.margin)))
        return OK;
    return error_set(error, ERR_MEMORY, "no memory for the neighbours of %zu slots", self->rows);
}

/* Slots that no cell has keep what leads to no member of theirs. */
static void number_members(probe_t *self)
{
    const probes_t *probes = &self->probes;
    memset(self->column_of, 0xff, (size_t)self->view.places * sizeof *self->column_of);
    for (size_t cell = 0; cell < probes->cells; cell++)
        for (uint32_t i = probes->cell_begin[cell]; i < probes->cell_begin[cell + 1]; i++)
            self->column_of[probes->member[i]] = i - probes->cell_begin[cell];
}

static int prepare(probe_t *self, error_t *error)
{
    if (self->probes.cells != self->cells.count)
        return error_set(error, ERR_PROTOCOL, "probes: %zu cells, of %zu centres",
                         self->probes.cells, self->cells.count);
    self->square = malloc(((size_t)self->view.places + 1) * sizeof *self->square);
    self->whole = malloc(((size_t)self->view.places + 1) * sizeof *self->whole);
    self->column_of = malloc(((size_t)self->view.places + 1) * sizeof *self->column_of);
    if (!self->square || !self->whole || !self->column_of)
        return error_set(error, ERR_MEMORY, "no memory for %u places", self->view.places);
    self->setting =
        (probe_setting_t){.state = self->state,
                          .probes = &self->probes,
                          .view = &self->view,
                          .cells = &self->cells,
                          .kernel = compute_int8(self->state->context->compute),
                          .column_of = self->column_of,
                          .square = self->square,
                          .whole = self->whole,
                          .k = self->k,
                          .margin = (float)task_param(self->state->task, "margin", INFINITY)};
    set_extents(self);
    number_members(self);
    pool_run(compute_pool(self->state->context->compute),
             (self->view.places + PLACES_AN_ITEM - 1) / PLACES_AN_ITEM, measure_places, self);
    int code = list_items(self, error);
    if (!code)
        code = prepare_results(self, error);
    return code ? code : prepare_threads(self, error);
}

static void release(probe_t *self)
{
    size_t threads = compute_threads(self->state->context->compute);
    for (size_t t = 0; self->threads && t < threads; t++)
        probe_rows_destroy(&self->threads[t]);
    free(self->threads);
    free(self->errors);
    free(self->items);
    free(self->neighbour);
    free(self->d2);
    free(self->excess);
    free(self->searched);
    free(self->column_of);
    free(self->square);
    free(self->whole);
    cell_centres_close(&self->cells);
    probes_close(&self->probes);
    codes_view_close(&self->view);
}

/* ---- the search ---- */

/* How much farther than its own cell's centre that of each neighbour's cell is from a row. */
static int find_excess(probe_t *self, const item_t *item, error_t *error)
{
    const task_state_t *state = self->state;
    dist2_fn dist2 = compute_dist2(state->context->compute)->one;
    float *room = aligned_alloc(64, (state->dimension * sizeof *room / 64 + 1) * 64);
    int code = room ? OK : error_set(error, ERR_MEMORY, "no memory for a vector");
    for (uint32_t i = item->begin; i < item->end && !code; i++) {
        uint32_t slot = self->probes.row[i];
        size_t at = (item->at + i - item->begin) * self->k;
        const float *vector;
        code = task_state_find(state, &state->plan.rows[slot], 1, room, &vector, error);
        if (code)
            break;
        uint32_t home = cell_centres_own(&self->cells, item->partition, slot);
        float own = dist2(vector, cell_centres_at(&self->cells, home), state->dimension);
        for (size_t m = 0; m < self->k; m++) {
            self->excess[at + m] = INFINITY;
            if (self->neighbour[at + m] == SLOT_NONE)
                continue;
            uint32_t cell =
                cell_centres_own(&self->cells, item->partition, self->neighbour[at + m]);
            float d2 = dist2(vector, cell_centres_at(&self->cells, cell), state->dimension);
            self->excess[at + m] = cell == home ? 0 : d2 - own;
        }
    }
    free(room);
    return code;
}

/* Of the first `rows` rows of the task. */
static uint64_t share_of_work(const probe_t *self, size_t rows)
{
    return (uint64_t)((double)self->state->task->work * ((double)rows / (double)self->rows));
}

static int search(probe_t *self, const item_t *item, uint32_t thread, error_t *error)
{
    uint32_t rows = item->end - item->begin;
    int code =
        probe_rows_search(self->threads[thread], item->partition, self->probes.row + item->begin,
                          rows, self->neighbour + item->at * self->k, self->d2 + item->at * self->k,
                          self->searched + item->at, error);
    if (!code && self->excess)
        code = find_excess(self, item, error);
    task_state_advance(self->state,
                       share_of_work(self, item->at + rows) - share_of_work(self, item->at));
    return code;
}

static void run_item(void *context, size_t number, uint32_t thread)
{
    probe_t *self = context;
    if (!atomic_load(&self->failed) &&
        search(self, &self->items[number], thread, &self->errors[thread]))
        atomic_store(&self->failed, 1);
}

static int run_all(probe_t *self, error_t *error)
{
    compute_t *compute = self->state->context->compute;
    pool_run(compute_pool(compute), self->item_count, run_item, self);
    for (uint32_t t = 0; t < compute_threads(compute); t++) {
        if (!self->errors[t].code)
            continue;
        if (error)
            *error = self->errors[t];
        return self->errors[t].code;
    }
    return OK;
}

static int write_lists(const probe_t *self, uint8_t **payload, size_t *length, error_t *error)
{
    columns_writer_t *writer = columns_writer_new("probed");
    columns_put(writer, "neighbour", COLUMN_U32, self->neighbour, self->rows * self->k);
    columns_put(writer, "d2", COLUMN_F32, self->d2, self->rows * self->k);
    columns_put(writer, "searched", COLUMN_U32, self->searched, self->rows);
    if (self->excess)
        columns_put(writer, "excess", COLUMN_F32, self->excess, self->rows * self->k);
    return columns_writer_finish(&writer, payload, length, error);
}

int task_probe(task_state_t *state, uint8_t **payload, size_t *length, error_t *error)
{
    probe_t self = {.state = state};
    int code = task_state_whole(state, "k", 1, K_LIMIT, &self.k, error);
    if (!code)
        code = codes_view_open(&self.view, state, error);
    if (!code)
        code = probes_open(&self.probes, state, error);
    if (!code)
        code = cell_centres_open(&self.cells, state, &self.view, error);
    if (!code)
        code = prepare(&self, error);
    if (!code)
        code = run_all(&self, error);
    if (!code)
        code = write_lists(&self, payload, length, error);
    release(&self);
    return code;
}
