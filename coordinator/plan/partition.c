#include "coordinator/plan/partition.h"

#include "common/clock.h"

#include <stdlib.h>
#include <stdio.h>
#include <string.h>

typedef struct {
    const job_spec_t *spec;
    const catalog_t *catalog;
} order_t;

static int compare_views(string_view_t x, string_view_t y)
{
    size_t shorter = x.length < y.length ? x.length : y.length;
    int order = shorter > 0 ? memcmp(x.text, y.text, shorter) : 0;
    if (order != 0)
        return order;
    return x.length < y.length ? -1 : x.length > y.length;
}

static string_view_t value_or_unknown(string_view_t view)
{
    return view.length > 0 ? view : (string_view_t){"unknown", 7};
}

static int by_type(const job_spec_t *spec)
{
    return (spec->partition_by & (PARTITION_EVENT_TYPE | PARTITION_ENTITY_TYPE)) != 0;
}

static int32_t day_of(const order_t *self, uint32_t row)
{
    return time_day(catalog_time_ms(self->catalog, row));
}

static int compare_partitions(const order_t *self, uint32_t x, uint32_t y)
{
    const catalog_t *catalog = self->catalog;
    int order = 0;
    if (self->spec->partition_by & PARTITION_DOMAIN)
        order = compare_views(value_or_unknown(catalog_domain_long(catalog, x)),
                              value_or_unknown(catalog_domain_long(catalog, y)));
    if (order == 0 && by_type(self->spec))
        order = compare_views(value_or_unknown(catalog_type(catalog, x)),
                              value_or_unknown(catalog_type(catalog, y)));
    if (order == 0 && self->spec->window_days >= 0)
        order = (day_of(self, x) == DAY_NONE) - (day_of(self, y) == DAY_NONE);
    return order;
}

static int compare_rows(const void *x, const void *y, void *context)
{
    const order_t *self = context;
    uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;
    int order = compare_partitions(self, a, b);
    if (order == 0 && self->spec->window_days >= 0) {
        int32_t day_a = day_of(self, a), day_b = day_of(self, b);
        order = (day_a > day_b) - (day_a < day_b);
    }
    if (order == 0)
        order =
            compare_views(catalog_vector_id(self->catalog, a), catalog_vector_id(self->catalog, b));
    return order;
}

/* "domain=military_operations,event_type=conflict_attack,undated"; "" when nothing divides. */
static char *name_partition(const order_t *self, uint32_t row)
{
    char *name = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&name, &length);
    if (out == NULL)
        return NULL;
    const char *separator = "";
    if (self->spec->partition_by & PARTITION_DOMAIN) {
        string_view_t domain = value_or_unknown(catalog_domain_long(self->catalog, row));
        fprintf(out, "domain=%.*s", (int)domain.length, domain.text);
        separator = ",";
    }
    if (by_type(self->spec)) {
        string_view_t type = value_or_unknown(catalog_type(self->catalog, row));
        fprintf(out, "%s%s=%.*s", separator,
                self->spec->partition_by & PARTITION_EVENT_TYPE ? "event_type" : "entity_type",
                (int)type.length, type.text);
        separator = ",";
    }
    if (self->spec->window_days >= 0 && day_of(self, row) == DAY_NONE)
        fprintf(out, "%sundated", separator);
    return fclose(out) == 0 ? name : NULL;
}

static uint32_t count_partitions(const order_t *order, const uint32_t *rows, uint32_t count)
{
    uint32_t partitions = count > 0;
    for (uint32_t i = 1; i < count; i++)
        partitions += compare_partitions(order, rows[i - 1], rows[i]) != 0;
    return partitions;
}

static int fill_partitions(const order_t *order, const uint32_t *rows, plan_t *plan, error_t *error)
{
    uint32_t partition = 0;
    for (uint32_t i = 0; i < plan->count; i++) {
        if (i > 0 && compare_partitions(order, rows[i - 1], rows[i]) == 0)
            continue;
        int dated = order->spec->window_days >= 0 && day_of(order, rows[i]) != DAY_NONE;
        plan->partition_begin[partition] = i;
        plan->partition_window[partition] = dated ? order->spec->window_days : -1;
        plan->partition_name[partition] = name_partition(order, rows[i]);
        if (plan->partition_name[partition++] == NULL)
            return error_set(error, ERR_MEMORY, "out of memory for partition names");
    }
    plan->partition_begin[partition] = plan->count;
    return OK;
}

int partition_rows(const job_spec_t *spec, const catalog_t *catalog, uint32_t *rows, uint32_t count,
                   plan_t *out, uint32_t *undated, error_t *error)
{
    order_t order = {spec, catalog};
    *undated = 0;
    qsort_r(rows, count, sizeof *rows, compare_rows, &order);
    int code =
        plan_init(out, count, count_partitions(&order, rows, count), spec->window_days >= 0, error);
    if (code != OK)
        return code;
    out->dimension = spec->dimension;
    memcpy(out->rows, rows, count * sizeof *rows);
    for (uint32_t i = 0; i < count && out->day != NULL; i++) {
        out->day[i] = day_of(&order, rows[i]);
        *undated += out->day[i] == DAY_NONE;
    }
    code = fill_partitions(&order, rows, out, error);
    if (code != OK)
        plan_clear(out);
    return code;
}
