#include "worker/tasks/all_points.h"

#include <math.h>

static double power(double base, uint32_t exponent)
{
    double product = 1;
    for (; exponent > 0; exponent >>= 1) {
        if (exponent & 1)
            product *= base;
        base *= base;
    }
    return product;
}

/* The largest number of [low, high] whose power is at most `value`, as far as powers rise. */
static double root(double value, uint32_t exponent, double low, double high)
{
    for (;;) {
        double middle = low + (high - low) / 2;
        if (middle <= low || middle >= high)
            return low;
        if (power(middle, exponent) <= value)
            low = middle;
        else
            high = middle;
    }
}

void all_points_init(all_points_t *self, metric_t metric, uint32_t dimension)
{
    *self = (all_points_t){metric, dimension, root(0x1p-80, dimension, 0, 1)};
}

static float nearest_of(const float *dist2, size_t count)
{
    float nearest = INFINITY;
    for (size_t i = 0; i < count; i++)
        if (dist2[i] > 0 && dist2[i] < nearest)
            nearest = dist2[i];
    return nearest;
}

float all_points_core(const all_points_t *self, const float *dist2, size_t count)
{
    float nearest = nearest_of(dist2, count);
    if (isinf(nearest))
        return 0;
    double least = metric_distance(self->metric, nearest), sum = 0;
    for (size_t i = 0; i < count; i++) {
        double ratio = dist2[i] > 0 ? least / metric_distance(self->metric, dist2[i]) : 0;
        if (ratio > self->least_ratio)
            sum += power(ratio, self->dimension);
    }
    /* Bernoulli: (1 + (x - 1) / d)^d is at least x. */
    double spread = (double)(count - 1) / sum;
    double core = least * root(spread, self->dimension, 1, 1 + (spread - 1) / self->dimension);
    return (float)(self->metric == METRIC_COSINE ? 2 * core : core * core);
}
