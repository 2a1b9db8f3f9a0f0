#include "worker/tasks/plan_view.h"

#include "common/clock.h"

static int check_partitions(const plan_view_t *self, error_t *error)
{
    const uint32_t *begin = self->partition_begin;
    for (uint32_t p = 0; p < self->partitions; p++) {
        if (begin[p] > begin[p + 1])
            return error_set(error, ERR_PROTOCOL, "plan: partition %u begins at slot %u, after %u",
                             p, begin[p], begin[p + 1]);
    }
    if (begin[0] != 0 || begin[self->partitions] != self->slots)
        return error_set(error, ERR_PROTOCOL,
                         "plan: partitions cover slots %u to %u, but there are %u", begin[0],
                         begin[self->partitions], self->slots);
    return OK;
}

static int check_rows(const plan_view_t *self, uint32_t index_rows, error_t *error)
{
    for (uint32_t slot = 0; slot < self->slots; slot++) {
        if (self->rows[slot] >= index_rows)
            return error_set(error, ERR_PROTOCOL, "plan: slot %u is row %u of an index of %u rows",
                             slot, self->rows[slot], index_rows);
    }
    return OK;
}

/* Bands are found by bisection, so the days of a partition with a window must rise. */
static int check_days(const plan_view_t *self, error_t *error)
{
    for (uint32_t p = 0; p < self->partitions; p++) {
        uint32_t begin = self->partition_begin[p];
        uint32_t end = self->partition_begin[p + 1];
        if (self->partition_window[p] < 0 || begin == end)
            continue;
        if (!self->day || self->day[begin] == DAY_NONE)
            return error_set(error, ERR_PROTOCOL, "plan: partition %u has a window but no days", p);
        for (uint32_t slot = begin + 1; slot < end; slot++) {
            if (self->day[slot] < self->day[slot - 1])
                return error_set(error, ERR_PROTOCOL,
                                 "plan: slot %u is earlier than the one before", slot);
        }
    }
    return OK;
}

static int read_columns(plan_view_t *self, error_t *error)
{
    const void *values;
    size_t count;
    int code = columns_get(self->columns, "rows", COLUMN_U32, SIZE_MAX, &values, &count, error);
    if (code)
        return code;
    if (count >= SLOT_NONE)
        return error_set(error, ERR_PROTOCOL, "plan: %zu slots are too many", count);
    self->rows = values;
    self->slots = (uint32_t)count;
    code =
        columns_get(self->columns, "partition_begin", COLUMN_U32, SIZE_MAX, &values, &count, error);
    if (code)
        return code;
    if (count < 1 || count >= SLOT_NONE)
        return error_set(error, ERR_PROTOCOL, "plan: partition_begin has %zu entries", count);
    self->partition_begin = values;
    self->partitions = (uint32_t)(count - 1);
    code = columns_get(self->columns, "partition_window", COLUMN_I32, self->partitions, &values,
                       NULL, error);
    if (code)
        return code;
    self->partition_window = values;
    if (columns_has(self->columns, "day")) {
        code = columns_get(self->columns, "day", COLUMN_I32, self->slots, &values, NULL, error);
        if (code)
            return code;
        self->day = values;
    }
    code = columns_get(self->columns, "dimension", COLUMN_U32, 1, &values, NULL, error);
    if (!code)
        self->dimension = *(const uint32_t *)values;
    return code;
}

int plan_view_open(plan_view_t *self, const void *bytes, size_t length, uint32_t index_rows,
                   error_t *error)
{
    *self = (plan_view_t){0};
    int code = columns_open(bytes, length, "plan", &self->columns, error);
    if (!code)
        code = read_columns(self, error);
    if (!code)
        code = check_partitions(self, error);
    if (!code)
        code = check_rows(self, index_rows, error);
    if (!code)
        code = check_days(self, error);
    if (code)
        plan_view_close(self);
    return code;
}

void plan_view_close(plan_view_t *self)
{
    columns_close(&self->columns);
    *self = (plan_view_t){0};
}

/* The first slot of [begin, end) on `day` or later. */
static uint32_t first_on(const plan_view_t *self, band_t slots, int64_t day)
{
    while (slots.begin < slots.end) {
        uint32_t middle = slots.begin + (slots.end - slots.begin) / 2;
        if (self->day[middle] < day)
            slots.begin = middle + 1;
        else
            slots.end = middle;
    }
    return slots.begin;
}

band_t plan_view_band(const plan_view_t *self, uint32_t partition, uint32_t slot)
{
    band_t all = {self->partition_begin[partition], self->partition_begin[partition + 1]};
    int64_t window = self->partition_window[partition];
    if (window < 0)
        return all;
    int64_t day = self->day[slot];
    return (band_t){first_on(self, all, day - window), first_on(self, all, day + window + 1)};
}

int plan_view_check(const plan_view_t *self, const segment_t *segment, error_t *error)
{
    if (segment->partition >= self->partitions)
        return error_set(error, ERR_PROTOCOL, "segment of partition %u: the plan has %u",
                         segment->partition, self->partitions);
    uint32_t begin = self->partition_begin[segment->partition];
    uint32_t end = self->partition_begin[segment->partition + 1];
    if (segment->begin > segment->end || segment->begin < begin || segment->end > end)
        return error_set(error, ERR_PROTOCOL,
                         "segment of slots %u to %u: partition %u has slots %u to %u",
                         segment->begin, segment->end, segment->partition, begin, end);
    return OK;
}
