#include "worker/tasks/crowds.h"

#include <math.h>
#include <stdlib.h>

#define ROUNDED 1e-6  /* more than a float and some float64 operations are off */
#define NOT_JOINED -1 /* in the place of a square */

int crowds_init(crowds_t *self, const codes_view_t *view, const int8_kernel_t *kernel,
                error_t *error)
{
    self->view = view;
    self->kernel = kernel;
    self->place = malloc((size_t)CODE_TILE * CROWD_MOST * sizeof *self->place);
    self->square = malloc((size_t)CODE_TILE * CROWD_MOST * sizeof *self->square);
    crowds_begin(self, 0, 0);
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

void crowds_begin(crowds_t *self, double radius, size_t recent)
{
    self->radius = radius;
    self->recent = recent;
    self->count = 0;
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

/* Takes the place into the crowd when it is near enough to its first. */
static int join(crowds_t *self, size_t crowd, uint32_t place, int32_t square_head, int32_t square)
{
    const codes_view_t *view = self->view;
    size_t at = crowd * CROWD_MOST;
    const int8_t *codes = codes_at(self, place), *of_first = codes_at(self, self->place[at]);
    if (self->size[crowd] == CROWD_MOST || self->first_square[crowd] == NOT_JOINED)
        return 0;
    double head = apart(self, self->first_square[crowd], square_head,
                        self->kernel->dot(codes, of_first, view->codes.head));
    if (!(head <= self->radius))
        return 0;
    double whole = apart(self, self->square[at], square,
                         self->kernel->dot(codes, of_first, view->codes.width));
    self->residual_head[crowd] =
        widened(self->residual_head[crowd], view->residual_head[place], head);
    self->residual[crowd] = widened(self->residual[crowd], view->residual[place], whole);
    self->place[at + self->size[crowd]] = place;
    self->square[at + self->size[crowd]++] = square;
    return 1;
}

int crowds_add(crowds_t *self, uint32_t place, int alone)
{
    const codes_view_t *view = self->view;
    const int8_t *codes = codes_at(self, place);
    int32_t square = self->kernel->dot(codes, codes, view->codes.width), head = NOT_JOINED;
    alone |= !(self->radius > 0) || !(view->residual_head[place] < INFINITY);
    if (!alone)
        head = self->kernel->dot(codes, codes, view->codes.head);
    for (size_t back = 1; !alone && back <= self->recent && back <= self->count; back++)
        if (join(self, self->count - back, place, head, square))
            return 1;
    if (self->count == CODE_TILE)
        return 0;
    size_t crowd = self->count++;
    self->size[crowd] = 1;
    self->first_square[crowd] = head;
    self->residual_head[crowd] = view->residual_head[place];
    self->residual[crowd] = view->residual[place];
    self->place[crowd * CROWD_MOST] = place;
    self->square[crowd * CROWD_MOST] = square;
    return 1;
}
