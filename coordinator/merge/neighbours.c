#include "coordinator/merge/neighbours.h"

#include "proto/payload.h"

#include <math.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

static int allocate(neighbours_t *self, const plan_t *plan, uint32_t k, error_t *error)
{
    size_t slots = plan->count, entries = slots * k;
    *self = (neighbours_t){
        .lists = {.count = plan->count, .k = k, .partition_count = plan->partition_count}};
    size_t begins = (size_t)plan->partition_count + 1;
    self->neighbour = malloc((entries + 1) * sizeof *self->neighbour);
    self->d2 = calloc(entries + 1, sizeof *self->d2);
    self->core = malloc((slots + 1) * sizeof *self->core);
    self->radius = calloc(slots + 1, sizeof *self->radius);
    self->partition_begin = malloc(begins * sizeof *self->partition_begin);
    self->merged_slot = calloc((size_t)k + 1, sizeof *self->merged_slot);
    self->merged_d2 = calloc((size_t)k + 1, sizeof *self->merged_d2);
    if (!self->neighbour || !self->d2 || !self->core || !self->radius || !self->partition_begin ||
        !self->merged_slot || !self->merged_d2)
        return error_set(error, ERR_MEMORY, "out of memory for %u neighbours of %zu rows", k,
                         slots);
    self->lists.neighbour = self->neighbour;
    self->lists.d2 = self->d2;
    self->lists.core = self->core;
    self->lists.radius = self->radius;
    for (size_t i = 0; i < slots; i++)
        self->radius[i] = INFINITY;
    self->lists.partition_begin = self->partition_begin;
    memcpy(self->partition_begin, plan->partition_begin, begins * sizeof *self->partition_begin);
    for (size_t i = 0; i < entries; i++) {
        self->neighbour[i] = SLOT_NONE;
        self->d2[i] = INFINITY;
    }
    return OK;
}

void neighbours_clear(neighbours_t *self)
{
    free(self->neighbour);
    free(self->d2);
    free(self->core);
    free(self->radius);
    free(self->partition_begin);
    free(self->merged_slot);
    free(self->merged_d2);
    *self = (neighbours_t){0};
}

static int entry_good(const uint32_t *neighbour, const float *d2, uint32_t m, uint32_t slot,
                      uint32_t begin, uint32_t end)
{
    if (neighbour[m] == SLOT_NONE)
        return isinf(d2[m]) && d2[m] > 0;
    if (neighbour[m] == slot || neighbour[m] < begin || neighbour[m] >= end ||
        !(d2[m] >= 0 && d2[m] < INFINITY))
        return 0;
    return m == 0 || d2[m - 1] < d2[m] || (d2[m - 1] == d2[m] && neighbour[m - 1] < neighbour[m]);
}

static int check_list(const uint32_t *neighbour, const float *d2, uint32_t k, uint32_t slot,
                      uint32_t begin, uint32_t end, error_t *error)
{
    for (uint32_t m = 0; m < k; m++)
        if (!entry_good(neighbour, d2, m, slot, begin, end))
            return error_set(error, ERR_SHAPE, "entry %u of the neighbours of slot %u is wrong", m,
                             slot);
    return OK;
}

/* ---- whole lists, of slots ---- */

static int take_segment(neighbours_t *self, const segment_t *segment, const uint32_t *neighbour,
                        const float *d2, error_t *error)
{
    uint32_t k = self->lists.k;
    uint32_t begin = self->lists.partition_begin[segment->partition];
    uint32_t end = self->lists.partition_begin[segment->partition + 1];
    for (uint32_t slot = segment->begin; slot < segment->end; slot++) {
        size_t at = (size_t)(slot - segment->begin) * k;
        int code = check_list(neighbour + at, d2 + at, k, slot, begin, end, error);
        if (code != OK)
            return code;
    }
    size_t entries = (size_t)(segment->end - segment->begin) * k, to = (size_t)segment->begin * k;
    memcpy(self->neighbour + to, neighbour, entries * sizeof *neighbour);
    memcpy(self->d2 + to, d2, entries * sizeof *d2);
    return OK;
}

static int take_lists(neighbours_t *self, const stage_t *stage, uint32_t task,
                      const payload_t *result, error_t *error)
{
    const uint32_t *neighbour;
    const float *d2;
    size_t slots = 0, k = self->lists.k;
    uint32_t from = stage->segment_begin[task], to = stage->segment_begin[task + 1];
    for (uint32_t s = from; s < to; s++)
        slots += stage->segments[s].end - stage->segments[s].begin;
    int code = payload_u32(result, "neighbour", slots * k, &neighbour, error);
    if (code == OK)
        code = payload_f32(result, "d2", slots * k, &d2, error);
    for (uint32_t s = from; s < to && code == OK; s++) {
        const segment_t *segment = &stage->segments[s];
        code = take_segment(self, segment, neighbour, d2, error);
        neighbour += (size_t)(segment->end - segment->begin) * k;
        d2 += (size_t)(segment->end - segment->begin) * k;
    }
    return code;
}

/* ---- parts of lists, of places ---- */

typedef struct {
    const uint32_t *count; /* of the next place, as its entries */
    const uint32_t *neighbour;
    const float *d2;
    size_t places; /* what is left */
    size_t entries;
} parts_t;

static int before(float d2, uint32_t slot, float other_d2, uint32_t other)
{
    return d2 < other_d2 || (d2 == other_d2 && slot < other);
}

/* The k best of a list and a part of `count`. What they share stands twice among them, which no
 * honest part gives: ERR_SHAPE. */
static int merge_list(neighbours_t *self, uint32_t slot, const uint32_t *neighbour, const float *d2,
                      uint32_t count, error_t *error)
{
    uint32_t k = self->lists.k, i = 0, j = 0;
    uint32_t *slots = self->neighbour + (size_t)slot * k;
    float *distances = self->d2 + (size_t)slot * k;
    if (count == 0) /* of most parts: neighbours are places near by */
        return OK;
    for (uint32_t m = 0; m < k && (slots[i] != SLOT_NONE || j < count); m++) {
        int own = j == count || before(distances[i], slots[i], d2[j], neighbour[j]);
        self->merged_slot[m] = own ? slots[i] : neighbour[j];
        self->merged_d2[m] = own ? distances[i] : d2[j];
        if (m > 0 && self->merged_slot[m] == self->merged_slot[m - 1])
            return error_set(error, ERR_SHAPE, "slot %u has the neighbour %u twice", slot,
                             self->merged_slot[m]);
        *(own ? &i : &j) += 1;
    }
    memcpy(slots, self->merged_slot, (size_t)(i + j) * sizeof *slots);
    memcpy(distances, self->merged_d2, (size_t)(i + j) * sizeof *distances);
    return OK;
}

static int take_places(neighbours_t *self, uint32_t partition, uint32_t from, uint32_t to,
                       const uint32_t *order, parts_t *parts, error_t *error)
{
    uint32_t begin = self->lists.partition_begin[partition];
    uint32_t end = self->lists.partition_begin[partition + 1];
    for (uint32_t place = from; place < to; place++) {
        uint32_t slot = order[place];
        if (parts->places == 0 || *parts->count > self->lists.k || *parts->count > parts->entries)
            return error_set(error, ERR_SHAPE, "the neighbours of slot %u are not there", slot);
        uint32_t count = *parts->count;
        int code = check_list(parts->neighbour, parts->d2, count, slot, begin, end, error);
        if (code == OK)
            code = merge_list(self, slot, parts->neighbour, parts->d2, count, error);
        if (code != OK)
            return code;
        parts->neighbour += count;
        parts->d2 += count;
        parts->entries -= count;
        parts->count++;
        parts->places--;
    }
    return OK;
}

/* Segments come in twos: rows, then the columns that are no rows. */
static int take_parts(neighbours_t *self, const stage_t *stage, const uint32_t *order,
                      uint32_t task, const payload_t *result, error_t *error)
{
    parts_t parts;
    int code = payload_list(result, "count", &parts.count, &parts.places, error);
    if (code == OK)
        code = payload_list(result, "neighbour", &parts.neighbour, &parts.entries, error);
    if (code == OK)
        code = payload_f32(result, "d2", parts.entries, &parts.d2, error);
    for (uint32_t s = stage->segment_begin[task];
         s + 1 < stage->segment_begin[task + 1] && code == OK; s += 2) {
        const segment_t *rows = &stage->segments[s], *columns = rows + 1;
        code = take_places(self, rows->partition, rows->begin, rows->end, order, &parts, error);
        uint32_t begin = columns->begin > rows->end ? columns->begin : rows->end;
        if (code == OK)
            code = take_places(self, rows->partition, begin, columns->end, order, &parts, error);
    }
    if (code == OK && (parts.places > 0 || parts.entries > 0))
        code = error_set(error, ERR_SHAPE, "%zu neighbours of no place", parts.entries);
    return code;
}

/* A row that is known to have enough neighbours within its radius must have them in its list. */
static int find_core(neighbours_t *self, uint32_t min_samples, error_t *error)
{
    uint32_t k = self->lists.k;
    for (uint32_t i = 0; i < self->lists.count; i++) {
        if (min_samples <= 1)
            self->core[i] = 0;
        else
            self->core[i] =
                min_samples - 2 < k ? self->d2[(size_t)i * k + min_samples - 2] : INFINITY;
        if (isinf(self->core[i]) && !isinf(self->radius[i]))
            return error_set(error, ERR_SHAPE,
                             "slot %u has fewer than %u neighbours within its radius %g", i,
                             min_samples - 1, (double)self->radius[i]);
    }
    return OK;
}

static uint32_t stage_param(const stage_t *stage, const char *name)
{
    for (size_t i = 0; i < stage->param_count; i++)
        if (!strcmp(stage->params[i].name, name))
            return (uint32_t)stage->params[i].value;
    return 0;
}

static const sha256_t *input_of(const stage_t *stage, const char *name)
{
    for (size_t i = 0; i < stage->input_count; i++)
        if (!strcmp(stage->inputs[i].name, name))
            return &stage->inputs[i].sha256;
    return NULL;
}

/* The order the stage was cut by; *slots stays NULL when it had none. */
static int open_order(payload_t *self, const advance_input_t *input, const plan_t *plan,
                      const stage_t *stage, const uint32_t **slots, error_t *error)
{
    const sha256_t *sha256 = input_of(stage, "order");
    if (sha256 == NULL)
        return OK;
    int code = payload_open(self, input, sha256, "order", error);
    if (code == OK)
        code = payload_u32(self, "slot", plan->count, slots, error);
    return code;
}

static int read_radii(neighbours_t *self, const advance_input_t *input, const stage_t *stage,
                      const uint32_t *order, error_t *error)
{
    payload_t near = {0};
    const float *bound;
    const sha256_t *sha256 = input_of(stage, "near");
    if (order == NULL || sha256 == NULL)
        return OK;
    int code = payload_open(&near, input, sha256, "near", error);
    if (code == OK)
        code = payload_f32(&near, "bound", self->lists.count, &bound, error);
    for (uint32_t place = 0; place < self->lists.count && code == OK; place++)
        self->radius[order[place]] = bound[place];
    payload_close(&near);
    return code;
}

int neighbours_read(neighbours_t *self, const advance_input_t *input, const plan_t *plan,
                    const stage_t *stage, const sha256_t *results, uint32_t min_samples,
                    error_t *error)
{
    payload_t order = {0};
    const uint32_t *slots = NULL;
    int code = allocate(self, plan, stage_param(stage, "k"), error);
    if (code == OK)
        code = open_order(&order, input, plan, stage, &slots, error);
    if (code == OK)
        code = read_radii(self, input, stage, slots, error);
    for (uint32_t t = 0; t < stage->task_count && code == OK; t++) {
        payload_t result = {0};
        code = advance_stopped(input, error);
        if (code == OK)
            code = payload_open(&result, input, &results[t], slots != NULL ? "knn_part" : "knn",
                                error);
        if (code == OK)
            code = slots != NULL ? take_parts(self, stage, slots, t, &result, error)
                                 : take_lists(self, stage, t, &result, error);
        payload_close(&result);
        /* Blame is for tasks of the stage that has just finished; an older one cannot run again. */
        if (code != OK)
            code = results == input->results ? result_blame(t, code, error) : code;
    }
    payload_close(&order);
    if (code == OK)
        code = find_core(self, min_samples, error);
    if (code != OK)
        neighbours_clear(self);
    return code;
}
