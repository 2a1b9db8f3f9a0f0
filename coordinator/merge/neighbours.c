#include "coordinator/merge/neighbours.h"

#include "proto/payload.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int allocate(neighbours_t *self, const plan_t *plan, uint32_t k, error_t *error)
{
    size_t slots = plan->count, entries = slots * k;
    *self = (neighbours_t){
        .lists = {.count = plan->count, .k = k, .partition_count = plan->partition_count}};
    size_t begins = (size_t)plan->partition_count + 1;
    self->neighbour = malloc((entries + 1) * sizeof *self->neighbour);
    self->d2 = malloc((entries + 1) * sizeof *self->d2);
    self->core = malloc((slots + 1) * sizeof *self->core);
    self->partition_begin = malloc(begins * sizeof *self->partition_begin);
    if (!self->neighbour || !self->d2 || !self->core || !self->partition_begin)
        return error_set(error, ERR_MEMORY, "out of memory for %u neighbours of %zu rows", k,
                         slots);
    self->lists.neighbour = self->neighbour;
    self->lists.d2 = self->d2;
    self->lists.core = self->core;
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
    free(self->partition_begin);
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

/* `order`: the slot at each place, when segments count places; NULL when they count slots. */
static int take_segment(neighbours_t *self, const segment_t *segment, const uint32_t *order,
                        const uint32_t *neighbour, const float *d2, error_t *error)
{
    uint32_t k = self->lists.k;
    uint32_t begin = self->lists.partition_begin[segment->partition];
    uint32_t end = self->lists.partition_begin[segment->partition + 1];
    for (uint32_t place = segment->begin; place < segment->end; place++) {
        uint32_t slot = order != NULL ? order[place] : place;
        size_t at = (size_t)(place - segment->begin) * k;
        int code = check_list(neighbour + at, d2 + at, k, slot, begin, end, error);
        if (code != OK)
            return code;
        memcpy(self->neighbour + (size_t)slot * k, neighbour + at, k * sizeof *neighbour);
        memcpy(self->d2 + (size_t)slot * k, d2 + at, k * sizeof *d2);
    }
    return OK;
}

static int take_task(neighbours_t *self, const stage_t *stage, const uint32_t *order, uint32_t task,
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
        code = take_segment(self, segment, order, neighbour, d2, error);
        neighbour += (size_t)(segment->end - segment->begin) * k;
        d2 += (size_t)(segment->end - segment->begin) * k;
    }
    return code;
}

static void find_core(neighbours_t *self, uint32_t min_samples)
{
    uint32_t k = self->lists.k;
    for (uint32_t i = 0; i < self->lists.count; i++) {
        if (min_samples <= 1)
            self->core[i] = 0;
        else
            self->core[i] =
                min_samples - 2 < k ? self->d2[(size_t)i * k + min_samples - 2] : INFINITY;
    }
}

static uint32_t stage_param(const stage_t *stage, const char *name)
{
    for (size_t i = 0; i < stage->param_count; i++)
        if (!strcmp(stage->params[i].name, name))
            return (uint32_t)stage->params[i].value;
    return 0;
}

/* The order the stage was cut by; *slots stays NULL when it had none. */
static int open_order(payload_t *self, const advance_input_t *input, const plan_t *plan,
                      const stage_t *stage, const uint32_t **slots, error_t *error)
{
    const sha256_t *sha256 = NULL;
    for (size_t i = 0; i < stage->input_count; i++)
        if (!strcmp(stage->inputs[i].name, "order"))
            sha256 = &stage->inputs[i].sha256;
    if (sha256 == NULL)
        return OK;
    int code = payload_open(self, input, sha256, "order", error);
    if (code == OK)
        code = payload_u32(self, "slot", plan->count, slots, error);
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
    for (uint32_t t = 0; t < stage->task_count && code == OK; t++) {
        payload_t result = {0};
        code = advance_stopped(input, error);
        if (code == OK)
            code = payload_open(&result, input, &results[t], "knn", error);
        if (code == OK)
            code = take_task(self, stage, slots, t, &result, error);
        payload_close(&result);
        /* Blame is for tasks of the stage that has just finished; an older one cannot run again. */
        if (code != OK)
            code = results == input->results ? result_blame(t, code, error) : code;
    }
    payload_close(&order);
    if (code == OK)
        find_core(self, min_samples);
    else
        neighbours_clear(self);
    return code;
}
