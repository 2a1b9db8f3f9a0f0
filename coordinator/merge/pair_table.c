#include "coordinator/merge/pair_table.h"

#include <math.h>
#include <stdlib.h>

#define DAYS_MOST 36500 /* as a window's */

static double factor_of(const job_spec_t *spec, int32_t days)
{
    double share = (double)days / spec->decay_days;
    switch (spec->decay) {
    case DECAY_EXPONENTIAL:
        return exp(-share);
    case DECAY_HALF_LIFE:
        return exp2(-share);
    case DECAY_LINEAR:
        return share < 1 ? 1 - share : 0;
    default:
        return 1;
    }
}

/* Factors only fall: the first that is under the floor ends the table. */
static int32_t reach_of(const job_spec_t *spec)
{
    int32_t days = 0;
    while (days < DAYS_MOST && factor_of(spec, days + 1) >= spec->min_weight)
        days++;
    return days;
}

int pair_table_make(const job_spec_t *spec, double **factor, size_t *count, error_t *error)
{
    int32_t reach = spec->decay == DECAY_NONE ? -1 : reach_of(spec);
    *count = (size_t)((int64_t)reach + 1);
    *factor = malloc((*count + 1) * sizeof **factor);
    if (*factor == NULL)
        return error_set(error, ERR_MEMORY, "out of memory for the weights of %zu days", *count);
    for (int32_t days = 0; days <= reach; days++)
        (*factor)[days] = factor_of(spec, days);
    return OK;
}

int32_t pair_table_window(const job_spec_t *spec)
{
    if (spec->decay == DECAY_NONE)
        return spec->window_days;
    int32_t reach = reach_of(spec);
    return spec->window_days >= 0 && spec->window_days < reach ? spec->window_days : reach;
}
