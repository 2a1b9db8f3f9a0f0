/* near.c - how far the k-th nearest neighbour of each place is at most.
 *
 * Any k other places give such a bound, near ones a tight one. They are looked for by the heads of
 * codes among the panels (64 places) whose mean is nearest to that of the row's group, and then
 * measured. Nothing here has to be the nearest: a poor bound costs the knn tasks time only. */
#include "worker/compute/int8.h"
#include "worker/tasks/codes_view.h"
#include "worker/tasks/nearest.h"
#include "worker/tasks/select.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define GROUP_ROWS 256 /* CODE_LARGEST times as much fits in 16 bits */
#define PANELS_MOST 64 /* that a group looks at */
#define COLUMNS_MOST (PANELS_MOST * INT8_COLUMNS)
#define SPARE 8 /* places that are measured over k: codes do not order them exactly */
#define NEIGHBOUR_LIMIT 65536

/* A thread's. */
typedef struct {
    uint32_t panels[PANELS_MOST]; /* the group's own first */
    size_t panel_count;
    float *apart;    /* of every panel of the partition from the group */
    int8_t *centre;  /* of the group */
    uint8_t *packed; /* one panel */
    int32_t sum[GROUP_ROWS];
    int32_t square[GROUP_ROWS];
    int32_t limit[GROUP_ROWS];
    uint64_t mask[GROUP_ROWS];
    int32_t products[GROUP_ROWS * INT8_COLUMNS];
    float *far;                /* GROUP_ROWS x wanted, rising: squared steps between heads */
    uint32_t *column;          /* beside it: INT8_COLUMNS * (which panel) + which of it */
    uint32_t at[COLUMNS_MOST]; /* of a column in `vector`; SLOT_NONE: nobody wants it */
    uint32_t rows[COLUMNS_MOST];
    float *room; /* for their vectors */
    const float **vector;
    const float **left; /* `wanted` pairs */
    const float **right;
    float *d2;
    int code;
    error_t error;
} scratch_t;

typedef struct {
    task_state_t *state;
    codes_view_t view;
    const int8_kernel_t *kernel;
    size_t k;
    size_t wanted; /* places measured for each */
    float *bound;  /* results */
    uint32_t partition;
    uint32_t begin; /* of the partition */
    uint32_t end;
    size_t panels; /* of it */
    int8_t *centres;
    uint32_t first; /* places of the segment */
    uint32_t last;
    float *segment_bound;
    scratch_t *scratch; /* one a thread */
} near_t;

static uint32_t panel_begin(const near_t *self, size_t panel)
{
    return self->begin + (uint32_t)(panel * INT8_COLUMNS);
}

static size_t panel_size(const near_t *self, size_t panel)
{
    size_t left = self->end - panel_begin(self, panel);
    return left < INT8_COLUMNS ? left : INT8_COLUMNS;
}

static const int8_t *code_at(const near_t *self, uint32_t place)
{
    return self->view.code + (size_t)place * self->view.codes.width;
}

/* The rounded mean of the heads of at most GROUP_ROWS places, whose sums fit in 16 bits. */
static void find_centre(const near_t *self, uint32_t begin, size_t count, int8_t *centre)
{
    size_t head = self->view.codes.head;
    int16_t sum[INT8_WIDTH_LIMIT] = {0};
    for (size_t i = 0; i < count; i++) {
        const int8_t *codes = code_at(self, begin + (uint32_t)i);
        for (size_t h = 0; h < head; h++)
            sum[h] = (int16_t)(sum[h] + codes[h]);
    }
    for (size_t h = 0; h < head; h++)
        centre[h] = (int8_t)(sum[h] / (int)(count ? count : 1));
}

static void centre_panel(void *context, size_t panel, uint32_t thread)
{
    const near_t *self = context;
    (void)thread;
    find_centre(self, panel_begin(self, panel), panel_size(self, panel),
                self->centres + panel * self->view.codes.head);
}

/* ---- which panels ---- */

/* Panels that hold places of the group are nearer than all, those outside its bands farther. */
static void measure_panels(const near_t *self, uint32_t begin, uint32_t end, scratch_t *scratch)
{
    size_t head = self->view.codes.head;
    const plan_view_t *plan = &self->state->plan;
    uint32_t low = plan_view_band(plan, self->partition, begin).begin;
    uint32_t high = plan_view_band(plan, self->partition, end - 1).end;
    find_centre(self, begin, end - begin, scratch->centre);
    for (size_t panel = 0; panel < self->panels; panel++) {
        uint32_t from = panel_begin(self, panel);
        uint32_t to = from + (uint32_t)panel_size(self, panel);
        const int8_t *centre = self->centres + panel * head;
        if (to <= low || from >= high)
            scratch->apart[panel] = INFINITY;
        else if (from < end && to > begin)
            scratch->apart[panel] = -INFINITY;
        else
            scratch->apart[panel] = (float)(self->kernel->dot(centre, centre, head) -
                                            2 * self->kernel->dot(centre, scratch->centre, head));
    }
}

static void take_panels(scratch_t *scratch, const float *apart, size_t panels, float low,
                        float high)
{
    for (size_t panel = 0; panel < panels && scratch->panel_count < PANELS_MOST; panel++)
        if (apart[panel] >= low && apart[panel] <= high)
            scratch->panels[scratch->panel_count++] = (uint32_t)panel;
}

/* The nearest first: what comes later is then ruled out sooner. */
static void order_panels(scratch_t *scratch)
{
    for (size_t i = 1; i < scratch->panel_count; i++) {
        uint32_t panel = scratch->panels[i];
        size_t at = i;
        for (; at && scratch->apart[panel] < scratch->apart[scratch->panels[at - 1]]; at--)
            scratch->panels[at] = scratch->panels[at - 1];
        scratch->panels[at] = panel;
    }
}

static void choose_panels(const near_t *self, uint32_t begin, uint32_t end, scratch_t *scratch)
{
    const float own = -INFINITY;
    float *ranked = scratch->apart + self->panels;
    float most = INFINITY;
    measure_panels(self, begin, end, scratch);
    memcpy(ranked, scratch->apart, self->panels * sizeof *ranked);
    if (self->panels > PANELS_MOST)
        most = select_rank(ranked, self->panels, PANELS_MOST - 1);
    scratch->panel_count = 0;
    take_panels(scratch, scratch->apart, self->panels, own, own);
    most = most < INFINITY ? most : 0x1p100f; /* not those that were left out */
    take_panels(scratch, scratch->apart, self->panels, -0x1p100f, most);
    order_panels(scratch);
}

/* ---- which places ---- */

static uint32_t place_of(const near_t *self, const scratch_t *scratch, uint32_t column)
{
    return panel_begin(self, scratch->panels[column / INT8_COLUMNS]) + column % INT8_COLUMNS;
}

/* The columns of one panel, as they are looked at. */
typedef struct {
    size_t order;
    uint32_t from;
    uint64_t there;
    int32_t square[INT8_COLUMNS];
    int32_t start[INT8_COLUMNS];
} looked_at_t;

static void look_at(const near_t *self, size_t order, scratch_t *scratch, looked_at_t *out)
{
    size_t head = self->view.codes.head, width = self->view.codes.width;
    size_t size = panel_size(self, scratch->panels[order]);
    *out = (looked_at_t){.order = order, .from = panel_begin(self, scratch->panels[order])};
    out->there = size < INT8_COLUMNS ? ((uint64_t)1 << size) - 1 : UINT64_MAX;
    const int8_rows_t columns = {code_at(self, out->from), width, size, head, NULL};
    for (size_t c = 0; c < size; c++) {
        const int8_t *codes = columns.codes + c * width;
        out->square[c] = self->kernel->dot(codes, codes, head);
        out->start[c] = -(out->square[c] / 2);
    }
    self->kernel->pack(&columns, scratch->packed);
}

/* `products`: of the row with all columns, or NULL. */
static void offer_row(const near_t *self, uint32_t place, size_t r, const looked_at_t *panel,
                      const int32_t *products, uint64_t mask, scratch_t *scratch)
{
    size_t head = self->view.codes.head, wanted = self->wanted;
    band_t band = plan_view_band(&self->state->plan, self->partition, place);
    float *far = scratch->far + r * wanted;
    for (; mask; mask &= mask - 1) {
        uint32_t c = (uint32_t)__builtin_ctzll(mask), other = panel->from + c;
        if (other == place || other < band.begin || other >= band.end)
            continue;
        int32_t product = products
                              ? products[c]
                              : self->kernel->dot(code_at(self, place), code_at(self, other), head);
        nearest_offer(far, scratch->column + r * wanted, wanted,
                      (float)(scratch->square[r] + panel->square[c] - 2 * product),
                      (uint32_t)(panel->order * INT8_COLUMNS) + c);
    }
    float last = far[wanted - 1];
    scratch->limit[r] =
        last < INFINITY ? (int32_t)((float)scratch->square[r] - last) / 2 - 1 : -INT8_ROOM;
}

/* All columns of the first panel: every row wants most of them. */
static void offer_all(const near_t *self, const int8_rows_t *of_rows, uint32_t begin,
                      const looked_at_t *panel, scratch_t *scratch)
{
    self->kernel->scores(of_rows, scratch->packed, scratch->products);
    for (size_t r = 0; r < of_rows->count; r++)
        offer_row(self, begin + (uint32_t)r, r, panel, scratch->products + r * INT8_COLUMNS,
                  panel->there, scratch);
}

/* The columns of a panel that may be among a row's best so far. */
static void offer_some(const near_t *self, const int8_rows_t *of_rows, uint32_t begin,
                       const looked_at_t *panel, scratch_t *scratch)
{
    const int8_bounds_t bounds = {scratch->limit, NULL, NULL, panel->start};
    self->kernel->screen(of_rows, scratch->packed, &bounds, scratch->mask);
    for (size_t r = 0; r < of_rows->count; r++)
        if (scratch->mask[r] & panel->there)
            offer_row(self, begin + (uint32_t)r, r, panel, NULL, scratch->mask[r] & panel->there,
                      scratch);
}

static void find_columns(const near_t *self, uint32_t begin, size_t rows, scratch_t *scratch)
{
    const int8_rows_t of_rows = {code_at(self, begin), self->view.codes.width, rows,
                                 self->view.codes.head, scratch->sum};
    int8_sums(&of_rows, scratch->sum);
    for (size_t r = 0; r < rows; r++) {
        const int8_t *codes = code_at(self, begin + (uint32_t)r);
        scratch->square[r] = self->kernel->dot(codes, codes, self->view.codes.head);
        scratch->limit[r] = -INT8_ROOM;
    }
    for (size_t i = 0; i < rows * self->wanted; i++) {
        scratch->far[i] = INFINITY;
        scratch->column[i] = SLOT_NONE;
    }
    for (size_t order = 0; order < scratch->panel_count; order++) {
        looked_at_t panel;
        look_at(self, order, scratch, &panel);
        (order ? offer_some : offer_all)(self, &of_rows, begin, &panel, scratch);
    }
}

/* ---- how far they are ---- */

/* Reads the vectors of the group, and of the columns that its rows want. */
static int read_vectors(const near_t *self, uint32_t begin, size_t rows, scratch_t *scratch)
{
    size_t columns = scratch->panel_count * INT8_COLUMNS;
    uint32_t count = 0;
    memset(scratch->at, 0xff, sizeof scratch->at);
    for (size_t i = 0; i < rows * self->wanted; i++)
        if (scratch->column[i] != SLOT_NONE)
            scratch->at[scratch->column[i]] = 0;
    for (uint32_t column = 0; column < columns; column++) {
        uint32_t place = place_of(self, scratch, column);
        int own = place >= begin && place < begin + rows;
        if (place >= self->end || (scratch->at[column] == SLOT_NONE && !own))
            continue;
        scratch->rows[count] = self->state->plan.rows[self->view.slot[place]];
        scratch->at[column] = count++;
    }
    return task_state_find(self->state, scratch->rows, count, scratch->room, scratch->vector,
                           &scratch->error);
}

static float bound_of(const near_t *self, uint32_t place, size_t r, const float *vector,
                      scratch_t *scratch)
{
    size_t count = 0, dimension = self->state->dimension;
    const uint32_t *column = scratch->column + r * self->wanted;
    for (; count < self->wanted && column[count] != SLOT_NONE; count++) {
        scratch->left[count] = vector;
        scratch->right[count] = scratch->vector[scratch->at[column[count]]];
    }
    if (count < self->k)
        return INFINITY;
    compute_dist2(self->state->context->compute)
        ->pairs(scratch->left, scratch->right, count, dimension, scratch->d2);
    for (size_t i = 0; i < count; i++) {
        uint32_t other = place_of(self, scratch, column[i]);
        scratch->d2[i] = task_state_decayed(self->state, scratch->d2[i], self->view.slot[place],
                                            self->view.slot[other]);
        if (!(scratch->d2[i] < INFINITY))
            scratch->d2[i] = INFINITY;
    }
    return select_rank(scratch->d2, count, self->k - 1);
}

static void bound_rows(const near_t *self, uint32_t begin, size_t rows, scratch_t *scratch)
{
    size_t columns = scratch->panel_count * INT8_COLUMNS;
    for (uint32_t column = 0; column < columns; column++) {
        uint32_t place = place_of(self, scratch, column);
        if (place >= begin && place < begin + rows)
            self->segment_bound[place - self->first] =
                bound_of(self, place, place - begin, scratch->vector[scratch->at[column]], scratch);
    }
}

/* ---- groups ---- */

static void bound_group(void *context, size_t group, uint32_t thread)
{
    const near_t *self = context;
    scratch_t *scratch = &self->scratch[thread];
    uint32_t begin = self->first + (uint32_t)(group * GROUP_ROWS);
    size_t rows = self->last - begin < GROUP_ROWS ? self->last - begin : GROUP_ROWS;
    if (scratch->code || task_state_stopped(self->state))
        return;
    choose_panels(self, begin, begin + (uint32_t)rows, scratch);
    find_columns(self, begin, rows, scratch);
    scratch->code = read_vectors(self, begin, rows, scratch);
    if (!scratch->code)
        bound_rows(self, begin, rows, scratch);
    task_state_advance(self->state, rows);
}

static void set_partition(near_t *self, uint32_t partition)
{
    self->partition = partition;
    self->begin = self->state->plan.partition_begin[partition];
    self->end = self->state->plan.partition_begin[partition + 1];
    self->panels = (self->end - self->begin + INT8_COLUMNS - 1) / INT8_COLUMNS;
    pool_run(compute_pool(self->state->context->compute), self->panels, centre_panel, self);
}

static int run_segments(near_t *self, error_t *error)
{
    const task_t *task = self->state->task;
    pool_t *pool = compute_pool(self->state->context->compute);
    self->segment_bound = self->bound;
    self->partition = UINT32_MAX;
    for (uint32_t s = 0; s < task->segment_count; s++) {
        const segment_t *segment = &task->segments[s];
        if (segment->partition != self->partition)
            set_partition(self, segment->partition);
        self->first = segment->begin;
        self->last = segment->end;
        pool_run(pool, (self->last - self->first + GROUP_ROWS - 1) / GROUP_ROWS, bound_group, self);
        self->segment_bound += self->last - self->first;
    }
    for (uint32_t thread = 0; thread < pool_threads(pool); thread++) {
        if (self->scratch[thread].code && error)
            *error = self->scratch[thread].error;
        if (self->scratch[thread].code)
            return self->scratch[thread].code;
    }
    return task_state_check_stop(self->state, error);
}

/* ---- the task ---- */

static int scratch_init(scratch_t *scratch, const near_t *self, size_t panels, error_t *error)
{
    size_t head = self->view.codes.head, wanted = self->wanted, rows = GROUP_ROWS;
    scratch->apart = malloc(2 * (panels + 1) * sizeof *scratch->apart);
    scratch->centre = malloc(head);
    scratch->packed = aligned_alloc(64, INT8_PANEL_BYTES(head));
    scratch->far = malloc(rows * wanted * sizeof *scratch->far);
    scratch->column = malloc(rows * wanted * sizeof *scratch->column);
    scratch->room = malloc(COLUMNS_MOST * self->state->dimension * sizeof *scratch->room);
    scratch->vector = malloc(COLUMNS_MOST * sizeof *scratch->vector);
    scratch->left = malloc(wanted * sizeof *scratch->left);
    scratch->right = malloc(wanted * sizeof *scratch->right);
    scratch->d2 = malloc(wanted * sizeof *scratch->d2);
    if (scratch->apart && scratch->centre && scratch->packed && scratch->far && scratch->column &&
        scratch->room && scratch->vector && scratch->left && scratch->right && scratch->d2)
        return OK;
    return error_set(error, ERR_MEMORY, "no memory to look around %d rows", GROUP_ROWS);
}

static void scratch_clear(scratch_t *scratch)
{
    free(scratch->apart);
    free(scratch->centre);
    free(scratch->packed);
    free(scratch->far);
    free(scratch->column);
    free(scratch->room);
    free(scratch->vector);
    free(scratch->left);
    free(scratch->right);
    free(scratch->d2);
}

static int allocate(near_t *self, size_t places, error_t *error)
{
    const plan_view_t *plan = &self->state->plan;
    uint32_t threads = compute_threads(self->state->context->compute);
    size_t panels = 0;
    for (uint32_t p = 0; p < plan->partitions; p++) {
        size_t of = (plan->partition_begin[p + 1] - plan->partition_begin[p]) / INT8_COLUMNS + 1;
        panels = of > panels ? of : panels;
    }
    self->bound = malloc((places + 1) * sizeof *self->bound);
    self->centres = malloc(panels * self->view.codes.head + 1);
    self->scratch = calloc(threads, sizeof *self->scratch);
    if (!self->bound || !self->centres || !self->scratch)
        return error_set(error, ERR_MEMORY, "no memory for the bounds of %zu places", places);
    for (size_t i = 0; i < places; i++)
        self->bound[i] = INFINITY;
    int code = OK;
    for (uint32_t thread = 0; thread < threads && !code; thread++)
        code = scratch_init(&self->scratch[thread], self, panels, error);
    return code;
}

static void clear(near_t *self)
{
    for (uint32_t t = 0; self->scratch && t < compute_threads(self->state->context->compute); t++)
        scratch_clear(&self->scratch[t]);
    free(self->scratch);
    free(self->bound);
    free(self->centres);
    codes_view_close(&self->view);
}

int task_near(task_state_t *state, uint8_t **payload, size_t *length, error_t *error)
{
    near_t self = {.state = state, .kernel = compute_int8(state->context->compute)};
    size_t places = 0;
    uint64_t k = 0;
    int code = task_state_whole(state, "k", 1, NEIGHBOUR_LIMIT, &k, error);
    if (!code)
        code = task_state_slots(state, &places, error);
    if (!code)
        code = codes_view_open(&self.view, state, error);
    self.k = (size_t)k;
    self.wanted = self.k + SPARE;
    if (!code)
        code = allocate(&self, places, error);
    if (!code)
        code = run_segments(&self, error);
    if (!code) {
        columns_writer_t *writer = columns_writer_new("bounds");
        columns_put(writer, "bound", COLUMN_F32, self.bound, places);
        code = columns_writer_finish(&writer, payload, length, error);
    }
    clear(&self);
    return code;
}
