#include "worker/tasks/crowds.h"

#include <math.h>
#include <stdlib.h>

#define ROUNDED 1e-6 /* more than a float and some float64 operations are off */

int crowds_init(crowds_t *self, const codes_view_t *view, const int8_kernel_t *kernel,
                error_t *error)
{
    self->view = view;
    self->kernel = kernel;
    self->place = malloc((size_t)CODE_TILE * CROWD_MOST * sizeof *self->place);
    self->square = malloc((size_t)CODE_TILE * CROWD_MOST * sizeof *self->square);
    crowds_begin(self, 0);
    return self->place && self->square
               ? OK
               : error_set(error, ERR_MEMORY, "no memory for crowds of %d places", CODE_TILE);
}

void crowds_clear(crowds_t *self)
{
    free(self->place);
    free(self->square);
    self->place = NULL;
    self->square = NULL;
}

void crowds_begin(crowds_t *self, double radius)
{
    self->radius = radius;
    self->count = 0;
    self->begin[0] = 0;
}

static const int8_t *codes_at(const crowds_t *self, uint32_t place)
{
    return self->view->code + (size_t)place * self->view->codes.width;
}

static double apart(const crowds_t *self, int32_t square, int32_t other, int32_t product)
{
    return self->view->codes.scale * sqrt((double)square + (double)other - 2.0 * (double)product);
}

static float widened(float residual, float other, double distance)
{
    float wide = (float)(((double)other + distance) * (1 + ROUNDED));
    return wide > residual ? wide : residual;
}

/* Takes the place into the last crowd when it is near enough to its first. */
static int join(crowds_t *self, uint32_t place, int32_t square_head, int32_t square)
{
    const codes_view_t *view = self->view;
    if (!self->count || !(self->radius > 0) || !(view->residual_head[place] < INFINITY))
        return 0;
    size_t last = self->count - 1, end = self->begin[self->count];
    uint32_t first = self->place[self->begin[last]];
    const int8_t *codes = codes_at(self, place), *of_first = codes_at(self, first);
    if (end - self->begin[last] == CROWD_MOST)
        return 0;
    double head = apart(self, self->first_square, square_head,
                        self->kernel->dot(codes, of_first, view->codes.head));
    if (!(head <= self->radius))
        return 0;
    double whole = apart(self, self->square[self->begin[last]], square,
                         self->kernel->dot(codes, of_first, view->codes.width));
    self->residual_head[last] =
        widened(self->residual_head[last], view->residual_head[place], head);
    self->residual[last] = widened(self->residual[last], view->residual[place], whole);
    return 1;
}

int crowds_add(crowds_t *self, uint32_t place)
{
    const codes_view_t *view = self->view;
    const int8_t *codes = codes_at(self, place);
    int32_t head = self->kernel->dot(codes, codes, view->codes.head);
    int32_t square = self->kernel->dot(codes, codes, view->codes.width);
    if (!join(self, place, head, square)) {
        if (self->count == CODE_TILE)
            return 0;
        self->begin[self->count + 1] = self->begin[self->count];
        self->residual_head[self->count] = view->residual_head[place];
        self->residual[self->count] = view->residual[place];
        self->first_square = head;
        self->count++;
    }
    self->place[self->begin[self->count]] = place;
    self->square[self->begin[self->count]++] = square;
    return 1;
}
