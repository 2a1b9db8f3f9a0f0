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

static size_t entries_of(const job_spec_t *spec)
{
    if (spec->weight_table.rows > 0)
        return (size_t)spec->weight_table.rows * spec->weight_table.columns;
    return spec->decay == DECAY_NONE ? 0 : (size_t)reach_of(spec) + 1;
}

int pair_table_make(const job_spec_t *spec, pair_weight_t *out, double **factor, error_t *error)
{
    const weight_table_t *table = &spec->weight_table;
    size_t entries = entries_of(spec);
    *factor = malloc((entries + 1) * sizeof **factor);
    if (*factor == NULL)
        return error_set(error, ERR_MEMORY, "out of memory for %zu weights", entries);
    for (size_t i = 0; i < entries; i++)
        (*factor)[i] = table->rows > 0 ? table->value[i] : factor_of(spec, (int32_t)i);
    *out = (pair_weight_t){.floor = spec->min_weight, .count = entries, .factor = *factor};
    if (table->rows > 0) {
        out->count = table->rows;
        out->steps = table->columns - 1;
        out->period = spec->weight_days;
    }
    return OK;
}

/* The last day whose row reaches the floor; one row says that days do not matter. */
static int32_t reach_of_table(const job_spec_t *spec)
{
    const weight_table_t *table = &spec->weight_table;
    uint32_t rows = table->rows;
    while (rows > 0 && table->value[rows * table->columns - 1] < spec->min_weight)
        rows--;
    int64_t days = (int64_t)rows * spec->weight_days - 1;
    return rows == table->rows ? (rows > 1 ? DAYS_MOST : -1)
                               : (int32_t)(days < 0           ? 0
                                           : days < DAYS_MOST ? days
                                                              : DAYS_MOST);
}

int32_t pair_table_window(const job_spec_t *spec)
{
    if (spec->decay == DECAY_NONE && spec->weight_table.rows == 0)
        return spec->window_days;
    int32_t reach = spec->weight_table.rows > 0 ? reach_of_table(spec) : reach_of(spec);
    return reach < 0 || (spec->window_days >= 0 && spec->window_days < reach) ? spec->window_days
                                                                              : reach;
}
