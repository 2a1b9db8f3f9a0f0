#include "worker/compute/codes.h"

#include "worker/compute/int8.h"

#include <math.h>

#define LANES 8
/* A bound that is not below is none: the row takes everything, the column is taken by all. */
#define BOUND_LIMIT (INT8_ROOM / 2)

static float upward(double value)
{
    return nextafterf((float)(value * (1 + CODES_ROUNDED)), INFINITY);
}

/* How far the float32 image may be from B x: each of `width` products errs by at most
 * gamma_d |b| |x|, and |b|^2 <= stretch. Then the roundings of y - s q, of at most |y| each. */
static double rest_error(const codes_t *self, size_t width, double norm2, double size)
{
    return sqrt((double)width) * screen_product_error(self->dimension, self->stretch, norm2) +
           sqrt(size) * 0x1p-50;
}

/* Sums in lanes, which a compiler can keep side by side; in which order is all one (upward). */
typedef struct {
    double lost[LANES];
    double size[LANES];
} sums_t;

static double total_of(const double lane[LANES])
{
    double sum = 0;
    for (size_t l = 0; l < LANES; l++)
        sum += lane[l];
    return sum;
}

/* To the nearest whole number, of at most 2^51: what is added leaves no bits behind the point. */
static double nearest_whole(double value) { return (value + 0x1.8p52) - 0x1.8p52; }

/* Codes [begin, end), a multiple of LANES. What is not a number becomes 0. */
static void make_codes(const codes_t *self, const float *image, const float *offset, size_t begin,
                       size_t end, int8_t *codes, sums_t *sums)
{
    const double inverse = 1 / self->scale, scale = self->scale;
    for (size_t i = begin; i < end; i += LANES) {
        for (size_t l = 0; l < LANES; l++) {
            double value = (double)image[i + l] - (double)offset[i + l];
            double steps = value * inverse;
            steps = steps < CODE_LARGEST ? steps : CODE_LARGEST;
            steps = steps > -CODE_LARGEST ? steps : -CODE_LARGEST;
            steps = value == value ? nearest_whole(steps) : 0;
            double left = value - scale * steps;
            codes[i + l] = (int8_t)(int32_t)steps;
            sums->lost[l] += left * left;
            sums->size[l] += value * value;
        }
    }
}

residual_t codes_make(const codes_t *self, const float *image, const float *offset, double norm2,
                      int8_t *codes)
{
    sums_t sums = {{0}, {0}};
    residual_t out;
    make_codes(self, image, offset, 0, self->head, codes, &sums);
    out.head = upward(sqrt(total_of(sums.lost)) +
                      rest_error(self, self->head, norm2, total_of(sums.size)));
    make_codes(self, image, offset, self->head, self->width, codes, &sums);
    out.whole = upward(sqrt(total_of(sums.lost)) +
                       rest_error(self, self->width, norm2, total_of(sums.size)));
    if (!(out.head < INFINITY) || !(out.whole < INFINITY) || !(self->stretch < INFINITY))
        return (residual_t){INFINITY, INFINITY};
    return out;
}

double codes_reach(const codes_t *self, float threshold)
{
    double exact2 = (double)threshold * self->screen.stretch + self->screen.tiny;
    return sqrt(self->stretch * exact2) * (1 + CODES_ROUNDED);
}

static double steps2(const codes_t *self, double value)
{
    return value * (1 + CODES_ROUNDED) / (self->scale * self->scale);
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
