#include "worker/tasks/coded_sample.h"

#include "worker/compute/int8.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int allocate(coded_sample_t *self, error_t *error)
{
    self->code = malloc(self->count * self->view->codes.width + 1);
    self->square = malloc((self->count + 1) * sizeof *self->square);
    self->whole = malloc((self->count + 1) * sizeof *self->whole);
    self->limit = malloc((self->count + 1) * sizeof *self->limit);
    self->reach = malloc((self->count + 1) * sizeof *self->reach);
    self->residual = malloc((self->count + 1) * sizeof *self->residual);
    if (self->code && self->square && self->whole && self->limit && self->reach && self->residual)
        return OK;
    return error_set(error, ERR_MEMORY, "no memory for the codes of %zu slots", self->count);
}

int coded_sample_init(coded_sample_t *self, const task_state_t *state, const codes_view_t *view,
                      const uint32_t *slots, size_t count, error_t *error)
{
    size_t head = view->codes.head, width = view->codes.width;
    *self = (coded_sample_t){
        .view = view, .kernel = compute_int8(state->context->compute), .count = count};
    int code = allocate(self, error);
    if (code)
        return code;
    for (size_t i = 0; i < count; i++) {
        uint32_t place = view->place_of[slots[i]];
        int8_t *codes = self->code + i * width;
        memcpy(codes, view->code + (size_t)place * width, width);
        self->square[i] = self->kernel->dot(codes, codes, head);
        self->whole[i] = self->kernel->dot(codes, codes, width);
        self->residual[i] = (residual_t){view->residual_head[place], view->residual[place]};
        if (self->residual[i].head < INFINITY && self->residual[i].head > self->usual)
            self->usual = self->residual[i].head;
    }
    for (size_t i = 0; i < count; i++)
        coded_sample_settle(self, i, INFINITY);
    return OK;
}

void coded_sample_clear(coded_sample_t *self)
{
    free(self->code);
    free(self->square);
    free(self->whole);
    free(self->limit);
    free(self->reach);
    free(self->residual);
    *self = (coded_sample_t){0};
}

void coded_sample_settle(coded_sample_t *self, size_t i, float d2)
{
    const codes_t *codes = &self->view->codes;
    self->reach[i] = codes_reach(codes, d2);
    self->limit[i] =
        codes_limit(codes, self->square[i], self->reach[i], self->residual[i].head, self->usual);
}

void coded_sample_centre(coded_sample_t *self, size_t i)
{
    self->centre = i;
    self->start =
        codes_start(&self->view->codes, self->square[i], self->residual[i].head, self->usual, 0);
}

/* The whole codes are asked where the head's have not decided. */
static int apart(const coded_sample_t *self, size_t i, int32_t product)
{
    const codes_t *codes = &self->view->codes;
    const int8_t *tail = self->code + i * codes->width + codes->head;
    const int8_t *of_centre = self->code + self->centre * codes->width + codes->head;
    product += self->kernel->dot(tail, of_centre, codes->width - codes->head);
    return codes_apart(codes, self->whole[i] + self->whole[self->centre] - 2 * product,
                       self->reach[i], self->residual[i].whole, self->residual[self->centre].whole);
}

size_t coded_sample_near(const coded_sample_t *self, size_t first, size_t count, uint32_t *out)
{
    const codes_t *codes = &self->view->codes;
    const int8_t *centre = self->code + self->centre * codes->width;
    size_t found = 0;
    for (size_t i = first; i < first + count; i++) {
        int32_t product = self->kernel->dot(self->code + i * codes->width, centre, codes->head);
        if (product + self->start >= self->limit[i] && !apart(self, i, product))
            out[found++] = (uint32_t)i;
    }
    return found;
}
