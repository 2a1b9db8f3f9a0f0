#include "worker/tasks/codes_view.h"

#include "worker/compute/int8.h"
#include "worker/tasks/select.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define USUAL_SAMPLE 2048u

int codes_view_given(const task_state_t *state) { return task_input(state->task, "codes") != NULL; }

static int read_numbers(codes_view_t *self, const task_state_t *state, error_t *error)
{
    const void *widths, *scale, *stretch;
    int code = columns_get(self->columns, "width", COLUMN_U32, 2, &widths, NULL, error);
    if (!code)
        code = columns_get(self->columns, "scale", COLUMN_F64, 1, &scale, NULL, error);
    if (!code)
        code = columns_get(self->columns, "stretch", COLUMN_F64, 1, &stretch, NULL, error);
    if (code)
        return code;
    const uint32_t *width = widths;
    if (width[0] < INT8_STEP || width[0] % INT8_STEP || width[1] % INT8_STEP ||
        width[0] > width[1] || width[1] > INT8_WIDTH_LIMIT)
        return error_set(error, ERR_PROTOCOL, "codes of %u of %u numbers", width[0], width[1]);
    self->codes = (codes_t){.dimension = state->dimension, .head = width[0], .width = width[1]};
    memcpy(&self->codes.scale, scale, sizeof self->codes.scale);
    memcpy(&self->codes.stretch, stretch, sizeof self->codes.stretch);
    self->codes.screen = state->screen;
    return self->codes.scale > 0 && self->codes.scale < INFINITY
               ? OK
               : error_set(error, ERR_PROTOCOL, "codes of scale %g", self->codes.scale);
}

/* Each place has a slot of its own, and of the partition that the place is in. */
static int check_slots(codes_view_t *self, const plan_view_t *plan, error_t *error)
{
    int code = OK;
    self->place_of = malloc(((size_t)self->places + 1) * sizeof *self->place_of);
    if (!self->place_of)
        return error_set(error, ERR_MEMORY, "no memory to check %u slots", self->places);
    memset(self->place_of, 0xff, (size_t)self->places * sizeof *self->place_of);
    for (uint32_t p = 0; p < plan->partitions && !code; p++) {
        uint32_t begin = plan->partition_begin[p], end = plan->partition_begin[p + 1];
        for (uint32_t place = begin; place < end && !code; place++) {
            uint32_t slot = self->slot[place];
            if (slot < begin || slot >= end || self->place_of[slot] != SLOT_NONE)
                code = error_set(error, ERR_PROTOCOL, "codes: place %u has slot %u", place, slot);
            else if (plan->partition_window[p] >= 0 && slot != place)
                code = error_set(error, ERR_PROTOCOL, "codes: place %u is out of order", place);
            else
                self->place_of[slot] = place;
        }
    }
    return code;
}

/* Nine of ten residuals are no larger, of a sample: any number would do. */
static int find_usual(codes_view_t *self, error_t *error)
{
    uint32_t count = self->places < USUAL_SAMPLE ? self->places : USUAL_SAMPLE;
    float *copy = malloc(((size_t)count + 1) * sizeof *copy);
    if (!copy)
        return error_set(error, ERR_MEMORY, "no memory for %u residuals", count);
    for (uint32_t i = 0; i < count; i++) {
        float residual = self->residual_head[(uint64_t)i * self->places / count];
        copy[i] = residual < INFINITY ? residual : 0;
    }
    self->usual = count ? select_rank(copy, count, count - 1 - count / 10) : 0;
    free(copy);
    return OK;
}

int codes_view_open(codes_view_t *self, const task_state_t *state, error_t *error)
{
    const void *values[4];
    *self = (codes_view_t){.places = state->plan.slots};
    int code = task_state_input(state, "codes", &self->columns, error);
    if (!code)
        code = read_numbers(self, state, error);
    size_t places = self->places;
    if (!code)
        code = task_state_input(state, "order", &self->order, error);
    if (!code)
        code = columns_get(self->order, "slot", COLUMN_U32, places, &values[0], NULL, error);
    if (!code)
        code = columns_get(self->columns, "code", COLUMN_U8, places * self->codes.width, &values[1],
                           NULL, error);
    if (!code)
        code = columns_get(self->columns, "residual_head", COLUMN_F32, places, &values[2], NULL,
                           error);
    if (!code)
        code = columns_get(self->columns, "residual", COLUMN_F32, places, &values[3], NULL, error);
    if (!code) {
        self->slot = values[0];
        self->code = values[1];
        self->residual_head = values[2];
        self->residual = values[3];
        code = check_slots(self, &state->plan, error);
    }
    if (!code)
        code = find_usual(self, error);
    if (code)
        codes_view_close(self);
    return code;
}

void codes_view_close(codes_view_t *self)
{
    columns_close(&self->columns);
    columns_close(&self->order);
    free(self->place_of);
    self->place_of = NULL;
}
