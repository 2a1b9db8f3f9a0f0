#include "worker/compute/screen.h"

#include <math.h>

#define UNIT 0x1p-24          /* half the distance from 1 to the next float32 */
#define NORM_ERROR 0x1p-36    /* more than the float64 roundings of norms and bounds amount to */
#define COMPARE_ERROR 0x1p-22 /* conversions to float32 and the addition of the two bounds */
#define HUGE_NORM2 1e30       /* products of longer vectors may overflow */
#define LANES 16

/* The bound on n successive roundings: (1 + u)^n - 1 <= gamma(n). */
static double gamma_of(double n) { return n * UNIT / (1 - n * UNIT); }

void screen_init(screen_t *self, size_t dimension)
{
    double product = gamma_of((double)dimension);
    double canonical = gamma_of((double)((dimension + LANES - 1) / LANES) + 6);
    self->keep = 1 - product - NORM_ERROR;
    self->stretch = 1 + 2 * canonical + NORM_ERROR;
    self->spread = 2 * product + 0x1p-18;
    self->tiny = (double)dimension * 0x1p-120;
}

double screen_norm2(const float *vector, size_t dimension)
{
    double lane[8] = {0};
    size_t i = 0;
    for (; i + 8 <= dimension; i += 8) {
        for (size_t l = 0; l < 8; l++)
            lane[l] += (double)vector[i + l] * (double)vector[i + l];
    }
    double sum = 0;
    for (; i < dimension; i++)
        sum += (double)vector[i] * (double)vector[i];
    for (size_t l = 0; l < 8; l++)
        sum += lane[l];
    return sum;
}

/* To float32 and then below the value by more than the conversion and the later addition cost. */
static float lowered(double value) { return (float)(value - fabs(value) * COMPARE_ERROR); }

float screen_column_bound(const screen_t *self, double norm2)
{
    if (!(norm2 <= HUGE_NORM2))
        return NAN;
    return lowered(norm2 * self->keep / 2);
}

float screen_row_bound(const screen_t *self, double norm2, float threshold)
{
    if (!(norm2 <= HUGE_NORM2))
        return NAN;
    return lowered((norm2 * self->keep - (double)threshold * self->stretch) / 2 - self->tiny);
}

float screen_upper(const screen_t *self, double norm2, float bound_max, float key)
{
    if (!(norm2 <= HUGE_NORM2) || !isfinite(bound_max) || !isfinite(key))
        return INFINITY;
    double half = norm2 / 2 * (1 + self->spread) + (double)key + fabs((double)key) * COMPARE_ERROR +
                  (double)bound_max * self->spread + self->tiny;
    if (half < 0) /* below what any pair can have: the columns do not obey the margin */
        return INFINITY;
    return nextafterf((float)(2 * half * self->stretch + self->tiny), INFINITY);
}

double screen_product_error(size_t dimension, double norm2_a, double norm2_b)
{
    return gamma_of((double)dimension) * sqrt(norm2_a * norm2_b) * (1 + NORM_ERROR) +
           (double)dimension * 0x1p-120;
}
