#include "coordinator/merge/coding.h"

#include "coordinator/merge/probing.h"
#include "proto/payload.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Under that the direct comparison takes a fifth of a second, as long as the rotation. */
#define PAIRS_MIN 20000000u
#define DIMENSION_MIN 128u
#define DIMENSION_LEAST 64u   /* one step of codes (worker/compute/int8.h) */
#define CENTRES_MIN 64u       /* a panel of columns */
#define NEIGHBOURS_LIMIT 256u /* lists that the cells around a row can fill */
#define ROWS_A_TASK 8192u
#define ROWS_A_TASK_LEAST 2048u
#define ROWS_A_SEGMENT 1024u
/* The codes of that many bytes stay open from their first reading to their second. */
#define OPEN_BYTES ((size_t)256 << 20)

int coding_pays(const job_spec_t *spec, const plan_t *plan, uint32_t neighbours)
{
    uint64_t pairs = 0;
    for (uint32_t p = 0; p < plan->partition_count && pairs < PAIRS_MIN; p++)
        if (plan_partition_size(plan, p) >= spec->min_cluster_size)
            pairs += plan_pairs(plan, p);
    return pairs >= PAIRS_MIN && plan->dimension >= DIMENSION_MIN && neighbours <= NEIGHBOURS_LIMIT;
}

uint32_t coding_neighbours_limit(void) { return NEIGHBOURS_LIMIT; }
uint32_t coding_dimension_least(void) { return DIMENSION_LEAST; }

int coding_pays_centres(const plan_t *plan, uint32_t k)
{
    uint64_t pairs = 0;
    for (uint32_t p = 0; p < plan->partition_count && pairs < PAIRS_MIN; p++) {
        uint32_t size = plan_partition_size(plan, p);
        pairs += (uint64_t)size * (k < size ? k : size);
    }
    return pairs >= PAIRS_MIN && plan->dimension >= DIMENSION_MIN && k >= CENTRES_MIN;
}

int coding_of(const step_t *self, coding_t *out)
{
    const sha256_t *order = step_input(self, "order");
    const sha256_t *codes = step_input(self, "codes");
    const sha256_t *rotation = step_input(self, "rotation");
    if (order == NULL || codes == NULL || rotation == NULL)
        return 0;
    *out = (coding_t){*order, *codes, *rotation};
    return 1;
}

void coding_put(const coding_t *self, task_cutter_t *cutter)
{
    task_cutter_input(cutter, "order", &self->order);
    task_cutter_input(cutter, "codes", &self->codes);
    task_cutter_input(cutter, "rotation", &self->rotation);
}

/* Rows that are compared with centres, or in cells of their own, need not stand in any order. */
static int needs_order(const job_spec_t *spec, const plan_t *plan)
{
    return spec->algorithm != ALGORITHM_KMEANS && !probing_wanted(spec, plan);
}

int coding_begin(step_t *self, advance_output_t *out, error_t *error)
{
    const plan_t *plan = &self->checkpoint.plan;
    task_cutter_t cutter;
    task_cutter_init(&cutter, TASK_ROTATE, 1, plan->count);
    for (uint32_t p = 0; p < plan->partition_count && cutter.stage.task_count == 0; p++)
        task_cutter_add(&cutter, p, plan->partition_begin[p], plan->partition_begin[p + 1], 1);
    task_cutter_input(&cutter, "plan", &self->checkpoint.plan_sha);
    task_cutter_param(&cutter, "cells", needs_order(self->input->spec, plan));
    columns_writer_t *writer = checkpoint_writer(&self->checkpoint, "state");
    snprintf(out->phase, sizeof out->phase, "rotation");
    return checkpoint_leave(self->input, &cutter, &writer, out, error);
}

/* A rotation that no task could use is the task's fault, and it runs again. */
static int check_rotation(step_t *self, error_t *error)
{
    payload_t rotation = {0};
    const uint32_t *width;
    int code = result_open(&rotation, self->input, 0, "rotation", error);
    if (code == OK) {
        code = payload_u32(&rotation, "width", 2, &width, error);
        if (code == OK && (width[0] == 0 || width[0] > width[1] || width[1] > 2048))
            code = error_set(error, ERR_SHAPE, "codes of %u of %u numbers", width[0], width[1]);
        if (code != OK)
            code = result_blame(0, code, error);
    }
    payload_close(&rotation);
    return code;
}

int coding_after_rotate(step_t *self, advance_output_t *out, error_t *error)
{
    const plan_t *plan = &self->checkpoint.plan;
    task_cutter_t cutter;
    int code = check_rotation(self, error);
    if (code != OK)
        return code;
    task_cutter_init(&cutter, TASK_ENCODE,
                     task_cutter_even(plan->count, ROWS_A_TASK, ROWS_A_TASK_LEAST), ROWS_A_SEGMENT);
    for (uint32_t p = 0; p < plan->partition_count; p++)
        if (plan_partition_size(plan, p) >= self->input->spec->min_cluster_size)
            task_cutter_add(&cutter, p, plan->partition_begin[p], plan->partition_begin[p + 1],
                            plan_partition_size(plan, p));
    task_cutter_input(&cutter, "plan", &self->checkpoint.plan_sha);
    task_cutter_input(&cutter, "rotation", &self->input->results[0]);
    columns_writer_t *writer = checkpoint_writer(&self->checkpoint, "state");
    snprintf(out->phase, sizeof out->phase, "codes");
    return checkpoint_leave(self->input, &cutter, &writer, out, error);
}

/* ---- all codes together ---- */

typedef struct {
    step_t *step;
    payload_t rotation;
    const uint32_t *width;
    const double *scale;
    const double *stretch;
    uint32_t *cell;     /* by slot */
    uint32_t *slot;     /* by place */
    uint32_t *place_of; /* by slot */
    columns_writer_t *writer;
    uint8_t *code; /* in the writer; by place, as the residuals */
    float *residual_head;
    float *residual;
    payload_t *results; /* of the tasks, read twice: the order is known only from all cells */
    int keep_open;
} gather_t;

static int open_rotation(gather_t *self, error_t *error)
{
    const sha256_t *sha256 = step_input(self->step, "rotation");
    if (sha256 == NULL)
        return error_set(error, ERR_INTERNAL, "codes without a rotation");
    int code = payload_open(&self->rotation, self->step->input, sha256, "rotation", error);
    if (code == OK)
        code = payload_u32(&self->rotation, "width", 2, &self->width, error);
    if (code == OK)
        code = payload_f64(&self->rotation, "scale", 1, &self->scale, error);
    if (code == OK)
        code = payload_f64(&self->rotation, "stretch", 1, &self->stretch, error);
    return code;
}

static int allocate(gather_t *self, error_t *error)
{
    size_t n = self->step->checkpoint.plan.count;
    self->cell = calloc(n + 1, sizeof *self->cell);
    self->slot = malloc((n + 1) * sizeof *self->slot);
    self->place_of = malloc((n + 1) * sizeof *self->place_of);
    self->residual_head = malloc((n + 1) * sizeof *self->residual_head);
    self->residual = malloc((n + 1) * sizeof *self->residual);
    self->results = calloc(self->step->stage.task_count + 1, sizeof *self->results);
    self->keep_open = n <= OPEN_BYTES / self->width[1];
    if (self->cell == NULL || self->slot == NULL || self->place_of == NULL ||
        self->residual_head == NULL || self->residual == NULL || self->results == NULL)
        return error_set(error, ERR_MEMORY, "out of memory for the codes of %zu rows", n);
    for (size_t i = 0; i < n; i++)
        self->residual_head[i] = self->residual[i] = INFINITY;
    return OK;
}

static void gather_clear(gather_t *self)
{
    for (uint32_t t = 0; self->results != NULL && t < self->step->stage.task_count; t++)
        payload_close(&self->results[t]);
    free(self->results);
    free(self->cell);
    free(self->slot);
    free(self->place_of);
    columns_writer_destroy(&self->writer);
    free(self->residual_head);
    free(self->residual);
    payload_close(&self->rotation);
}

static size_t slots_of(const stage_t *stage, uint32_t task)
{
    size_t slots = 0;
    for (uint32_t s = stage->segment_begin[task]; s < stage->segment_begin[task + 1]; s++)
        slots += stage->segments[s].end - stage->segments[s].begin;
    return slots;
}

static int open_result(gather_t *self, uint32_t task, error_t *error)
{
    payload_t *result = &self->results[task];
    return result->columns != NULL ? OK
                                   : result_open(result, self->step->input, task, "coded", error);
}

static int read_cells(gather_t *self, uint32_t task, error_t *error)
{
    const stage_t *stage = &self->step->stage;
    const uint32_t *cell;
    int code = open_result(self, task, error);
    if (code != OK)
        return code;
    code = payload_u32(&self->results[task], "cell", slots_of(stage, task), &cell, error);
    if (code != OK)
        return result_blame(task, code, error);
    for (uint32_t s = stage->segment_begin[task]; s < stage->segment_begin[task + 1]; s++)
        for (uint32_t slot = stage->segments[s].begin; slot < stage->segments[s].end; slot++)
            self->cell[slot] = *cell++;
    if (!self->keep_open)
        payload_close(&self->results[task]);
    return OK;
}

typedef struct {
    uint32_t cell;
    uint32_t slot;
} celled_t;

static int compare_keys(const void *x, const void *y)
{
    const celled_t *a = x, *b = y;
    if (a->cell != b->cell)
        return a->cell < b->cell ? -1 : 1;
    return a->slot < b->slot ? -1 : a->slot > b->slot;
}

/* With a window the days decide which places may meet, and slots stay as they are. */
static int find_order(gather_t *self, error_t *error)
{
    const plan_t *plan = &self->step->checkpoint.plan;
    celled_t *keys = malloc((plan->count + 1) * sizeof *keys);
    if (keys == NULL)
        return error_set(error, ERR_MEMORY, "out of memory to order %u rows", plan->count);
    for (uint32_t slot = 0; slot < plan->count; slot++)
        keys[slot] = (celled_t){self->cell[slot], slot};
    for (uint32_t p = 0; p < plan->partition_count; p++)
        if (plan->partition_window[p] < 0)
            qsort(keys + plan->partition_begin[p], plan_partition_size(plan, p), sizeof *keys,
                  compare_keys);
    for (uint32_t place = 0; place < plan->count; place++) {
        self->slot[place] = keys[place].slot;
        self->place_of[keys[place].slot] = place;
    }
    free(keys);
    return OK;
}

static int take_codes(gather_t *self, uint32_t task, error_t *error)
{
    const stage_t *stage = &self->step->stage;
    payload_t *result = &self->results[task];
    size_t slots = slots_of(stage, task), width = self->width[1];
    const void *codes = NULL;
    const float *head, *whole;
    int code = open_result(self, task, error);
    if (code != OK)
        return code;
    code = columns_get(result->columns, "code", COLUMN_U8, slots * width, &codes, NULL, error);
    if (code == OK)
        code = payload_f32(result, "residual_head", slots, &head, error);
    if (code == OK)
        code = payload_f32(result, "residual", slots, &whole, error);
    if (code != OK)
        return result_blame(task, code, error);
    const uint8_t *from = codes;
    for (uint32_t s = stage->segment_begin[task]; s < stage->segment_begin[task + 1]; s++)
        for (uint32_t slot = stage->segments[s].begin; slot < stage->segments[s].end; slot++) {
            size_t place = self->place_of[slot];
            memcpy(self->code + place * width, from, width);
            self->residual_head[place] = *head++;
            self->residual[place] = *whole++;
            from += width;
        }
    payload_close(result);
    return OK;
}

/* The codes go from the results straight into the payload, which is the largest of a job. */
static int begin_codes(gather_t *self, error_t *error)
{
    size_t n = self->step->checkpoint.plan.count;
    self->writer = columns_writer_new("codes");
    columns_put(self->writer, "width", COLUMN_U32, self->width, 2);
    columns_put(self->writer, "scale", COLUMN_F64, self->scale, 1);
    columns_put(self->writer, "stretch", COLUMN_F64, self->stretch, 1);
    self->code = columns_make(self->writer, "code", COLUMN_U8, n * self->width[1]);
    return self->code != NULL ? OK : error_set(error, ERR_MEMORY, "out of memory for %zu codes", n);
}

static int save_order(const gather_t *self, sha256_t *out, error_t *error)
{
    columns_writer_t *order = columns_writer_new("order");
    columns_put(order, "slot", COLUMN_U32, self->slot, self->step->checkpoint.plan.count);
    return payload_save(self->step->input, &order, out, error);
}

static int save_codes(gather_t *self, sha256_t *out, error_t *error)
{
    size_t n = self->step->checkpoint.plan.count;
    columns_put(self->writer, "residual_head", COLUMN_F32, self->residual_head, n);
    columns_put(self->writer, "residual", COLUMN_F32, self->residual, n);
    return payload_save(self->step->input, &self->writer, out, error);
}

int coding_after_encode(step_t *self, coding_t *out, error_t *error)
{
    gather_t gather = {.step = self};
    int code = open_rotation(&gather, error);
    if (code == OK)
        out->rotation = *step_input(self, "rotation");
    if (code == OK)
        code = allocate(&gather, error);
    for (uint32_t t = 0; t < self->stage.task_count && code == OK; t++)
        code = read_cells(&gather, t, error);
    if (code == OK)
        code = find_order(&gather, error);
    if (code == OK)
        code = save_order(&gather, &out->order, error);
    if (code == OK)
        code = begin_codes(&gather, error);
    for (uint32_t t = 0; t < self->stage.task_count && code == OK; t++)
        code = take_codes(&gather, t, error);
    if (code == OK)
        code = save_codes(&gather, &out->codes, error);
    gather_clear(&gather);
    return code;
}
