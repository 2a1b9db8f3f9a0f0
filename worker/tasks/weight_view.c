#include "worker/tasks/weight_view.h"

#include <math.h>

#define STEPS_MOST 1024u
/* A weight that rises by less from one step to the next is not divided: its rounding would show. */
#define LEAST_RISE 1e-4

static int read_shape(pair_weight_t *weight, const columns_t *columns, size_t entries,
                      error_t *error)
{
    const void *shape;
    if (!columns_has(columns, "shape"))
        return OK;
    int code = columns_get(columns, "shape", COLUMN_U32, 2, &shape, NULL, error);
    if (code)
        return code;
    weight->steps = ((const uint32_t *)shape)[0];
    weight->period = ((const uint32_t *)shape)[1];
    if (weight->steps < 1 || weight->steps > STEPS_MOST || weight->period < 1 || entries == 0 ||
        entries % (weight->steps + 1) != 0)
        return error_set(error, ERR_PROTOCOL, "weight: %zu entries in rows of %u steps, %u days",
                         entries, weight->steps, weight->period);
    weight->count = entries / (weight->steps + 1);
    for (size_t i = 1; i < entries; i++)
        if (i % (weight->steps + 1) != 0 && weight->factor[i] < weight->factor[i - 1])
            return error_set(error, ERR_PROTOCOL, "weight: entry %zu falls with the similarity", i);
    return OK;
}

int weight_view_open(const task_state_t *state, columns_t **columns, pair_weight_t *weight,
                     error_t *error)
{
    const void *floor, *factor;
    size_t count = 0;
    int code = task_state_input(state, "weight", columns, error);
    if (!code)
        code = columns_get(*columns, "floor", COLUMN_F64, 1, &floor, NULL, error);
    if (!code)
        code = columns_get(*columns, "factor", COLUMN_F64, SIZE_MAX, &factor, &count, error);
    if (code)
        return code;
    *weight = (pair_weight_t){.floor = *(const double *)floor, .count = count, .factor = factor};
    for (size_t i = 0; i < count; i++)
        if (!(weight->factor[i] >= 0 && weight->factor[i] <= 1))
            return error_set(error, ERR_PROTOCOL, "weight: a factor of %g", weight->factor[i]);
    if (!(weight->floor > 0 && weight->floor <= 1))
        return error_set(error, ERR_PROTOCOL, "weight: a floor of %g", weight->floor);
    return read_shape(weight, *columns, count, error);
}

/* The least similarity whose weight in the row reaches the floor, or less; over 1: none does. */
static double least_similarity(const pair_weight_t *self, const double *row)
{
    uint32_t step = 0;
    if (row[0] >= self->floor)
        return -INFINITY;
    while (step < self->steps && row[step + 1] < self->floor)
        step++;
    if (step == self->steps)
        return 2;
    double rise = row[step + 1] - row[step];
    double part = rise >= LEAST_RISE ? (self->floor - row[step]) / rise : 0;
    return (step + part) / self->steps;
}

static double least_of_all(const pair_weight_t *self)
{
    double least = 2, largest = self->count ? 0 : 1;
    if (self->steps > 0) {
        for (size_t r = 0; r < self->count; r++)
            least = fmin(least, least_similarity(self, self->factor + r * (self->steps + 1)));
        return least;
    }
    for (size_t i = 0; i < self->count; i++)
        largest = fmax(largest, self->factor[i]);
    return largest > 0 ? self->floor / largest : 2;
}

float weight_view_threshold(const pair_weight_t *weight)
{
    double dist2 = 2 * (1 - least_of_all(weight)) + 1e-12 + (weight->steps > 0 ? 1e-9 : 0);
    return dist2 > 0 ? nextafterf((float)dist2, INFINITY) : 0;
}
