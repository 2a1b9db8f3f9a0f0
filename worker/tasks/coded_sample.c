#include "worker/tasks/coded_sample.h"

#include "worker/compute/int8.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int allocate(coded_sample_t *self, error_t *error)
{
    self->code = malloc(self->count * self->view->codes.head + 1);
    self->square = malloc((self->count + 1) * sizeof *self->square);
    self->limit = malloc((self->count + 1) * sizeof *self->limit);
    self->residual = malloc((self->count + 1) * sizeof *self->residual);
    if (self->code && self->square && self->limit && self->residual)
        return OK;
    return error_set(error, ERR_MEMORY, "no memory for the codes of %zu slots", self->count);
}

int coded_sample_init(coded_sample_t *self, const task_state_t *state, const codes_view_t *view,
                      const uint32_t *slots, size_t count, error_t *error)
{
    size_t head = view->codes.head;
    *self = (coded_sample_t){
        .view = view, .kernel = compute_int8(state->context->compute), .count = count};
    int code = allocate(self, error);
    if (code)
        return code;
    for (size_t i = 0; i < count; i++) {
        uint32_t place = view->place_of[slots[i]];
        int8_t *codes = self->code + i * head;
        memcpy(codes, view->code + (size_t)place * view->codes.width, head);
        self->square[i] = self->kernel->dot(codes, codes, head);
        self->residual[i] = view->residual_head[place];
        if (self->residual[i] < INFINITY && self->residual[i] > self->usual)
            self->usual = self->residual[i];
    }
    for (size_t i = 0; i < count; i++)
        coded_sample_settle(self, i, INFINITY);
    return OK;
}

void coded_sample_clear(coded_sample_t *self)
{
    free(self->code);
    free(self->square);
    free(self->limit);
    free(self->residual);
    *self = (coded_sample_t){0};
}

void coded_sample_settle(coded_sample_t *self, size_t i, float d2)
{
    const codes_t *codes = &self->view->codes;
    self->limit[i] =
        codes_limit(codes, self->square[i], codes_reach(codes, d2), self->residual[i], self->usual);
}

void coded_sample_centre(coded_sample_t *self, size_t i)
{
    const codes_t *codes = &self->view->codes;
    self->centre = self->code + i * codes->head;
    self->start = codes_start(codes, self->square[i], self->residual[i], self->usual, 0);
}

size_t coded_sample_near(const coded_sample_t *self, size_t first, size_t count, uint32_t *out)
{
    size_t head = self->view->codes.head, found = 0;
    for (size_t i = first; i < first + count; i++) {
        int32_t product = self->kernel->dot(self->code + i * head, self->centre, head);
        out[found] = (uint32_t)i;
        found += product + self->start >= self->limit[i];
    }
    return found;
}
