#include "worker/compute/codes.h"

#include "worker/compute/int8.h"

#include <math.h>

#define ROUNDED 1e-9 /* more than the float64 roundings of a bound amount to, relatively */
/* A bound that is not below is none: the row takes everything, the column is taken by all. */
#define BOUND_LIMIT (INT8_ROOM / 2)

static float upward(double value) { return nextafterf((float)(value * (1 + ROUNDED)), INFINITY); }

/* How far the float32 image may be from B x: each of `width` products errs by at most
 * gamma_d |b| |x|, and |b|^2 <= stretch. Then the roundings of y - s q, of at most |y| each. */
static double rest_error(const codes_t *self, size_t width, double norm2, double size)
{
    return sqrt((double)width) * screen_product_error(self->dimension, self->stretch, norm2) +
           sqrt(size) * 0x1p-50;
}

residual_t codes_make(const codes_t *self, const float *image, const float *offset, double norm2,
                      int8_t *codes)
{
    double inverse = 1 / self->scale;
    double lost = 0;
    double size = 0;
    residual_t out = {INFINITY, INFINITY};
    for (size_t i = 0; i < self->width; i++) {
        double value = (double)image[i] - (double)offset[i];
        double steps = value * inverse;
        steps = steps > CODE_LARGEST ? CODE_LARGEST : steps < -CODE_LARGEST ? -CODE_LARGEST : steps;
        codes[i] = steps == steps ? (int8_t)lrint(steps) : 0;
        double left = value - self->scale * codes[i];
        lost += left * left;
        size += value * value;
        if (i + 1 == self->head)
            out.head = upward(sqrt(lost) + rest_error(self, self->head, norm2, size));
    }
    out.whole = upward(sqrt(lost) + rest_error(self, self->width, norm2, size));
    if (!(out.head < INFINITY) || !(out.whole < INFINITY) || !(self->stretch < INFINITY))
        return (residual_t){INFINITY, INFINITY};
    return out;
}

double codes_reach(const codes_t *self, float threshold)
{
    double exact2 = (double)threshold * self->screen.stretch + self->screen.tiny;
    return sqrt(self->stretch * exact2) * (1 + ROUNDED);
}

static double steps2(const codes_t *self, double value)
{
    return value * (1 + ROUNDED) / (self->scale * self->scale);
}

int32_t codes_limit(const codes_t *self, int32_t q2, double reach, float residual, float usual)
{
    double bound = reach + (double)residual + (double)usual;
    double room = steps2(self, bound * bound) + 1;
    if (!(room < BOUND_LIMIT))
        return -INT8_ROOM;
    return (int32_t)floor(((double)q2 - room) / 2);
}

int32_t codes_start(const codes_t *self, int32_t q2, float residual, float usual, double farthest)
{
    double more = 0;
    if (!(residual <= usual)) {
        double wide = (double)residual - (double)usual;
        more = steps2(self, wide * (2 * farthest + (double)residual + (double)usual)) + 1;
    }
    if (!(more < BOUND_LIMIT))
        return INT8_ROOM;
    return -(int32_t)floor(((double)q2 - more) / 2);
}

int codes_apart(const codes_t *self, int32_t squares, double reach, float residual_a,
                float residual_b)
{
    double bound = reach + (double)residual_a + (double)residual_b;
    return (double)squares > steps2(self, bound * bound) + 1;
}
