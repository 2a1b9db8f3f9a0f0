#include "coordinator/plan/plan.h"

#include "proto/columns.h"

#include <stdlib.h>
#include <string.h>

/* Enough that four fifths of the tree need no search; a wider list costs memory and merge time. */
#define NEIGHBOURS_MIN 31u

int plan_init(plan_t *self, uint32_t count, uint32_t partitions, int with_days, error_t *error)
{
    *self = (plan_t){.count = count, .partition_count = partitions};
    size_t rows = count > 0 ? count : 1;
    self->rows = malloc(rows * sizeof *self->rows);
    if (with_days)
        self->day = malloc(rows * sizeof *self->day);
    self->partition_begin = malloc(((size_t)partitions + 1) * sizeof *self->partition_begin);
    self->partition_window = malloc(((size_t)partitions + 1) * sizeof *self->partition_window);
    self->partition_name = calloc((size_t)partitions + 1, sizeof *self->partition_name);
    if (self->rows && (!with_days || self->day) && self->partition_begin &&
        self->partition_window && self->partition_name)
        return OK;
    plan_clear(self);
    return error_set(error, ERR_MEMORY, "out of memory to plan %u rows", count);
}

void plan_clear(plan_t *self)
{
    free(self->rows);
    free(self->day);
    free(self->partition_begin);
    free(self->partition_window);
    if (self->partition_name != NULL)
        for (uint32_t p = 0; p < self->partition_count; p++)
            free(self->partition_name[p]);
    free(self->partition_name);
    *self = (plan_t){0};
}

int plan_encode(const plan_t *self, uint8_t **bytes, size_t *length, error_t *error)
{
    columns_writer_t *writer = columns_writer_new("plan");
    columns_put(writer, "rows", COLUMN_U32, self->rows, self->count);
    if (self->day != NULL)
        columns_put(writer, "day", COLUMN_I32, self->day, self->count);
    columns_put(writer, "partition_begin", COLUMN_U32, self->partition_begin,
                (size_t)self->partition_count + 1);
    columns_put(writer, "partition_window", COLUMN_I32, self->partition_window,
                self->partition_count);
    columns_put_strings(writer, "partition_name", (const char *const *)self->partition_name,
                        self->partition_count);
    columns_put(writer, "dimension", COLUMN_U32, &self->dimension, 1);
    return columns_writer_finish(&writer, bytes, length, error);
}

static int check_begins(const uint32_t *begin, size_t partitions, size_t slots, error_t *error)
{
    int good = begin[0] == 0 && begin[partitions] == slots;
    for (size_t p = 0; p < partitions; p++)
        good = good && begin[p] <= begin[p + 1];
    return good ? OK : error_set(error, ERR_PROTOCOL, "plan: partitions out of order");
}

static int copy_names(const columns_t *columns, plan_t *out, error_t *error)
{
    for (uint32_t p = 0; p < out->partition_count; p++) {
        const char *text;
        size_t length;
        int code = columns_string(columns, "partition_name", p, &text, &length, error);
        if (code != OK)
            return code;
        out->partition_name[p] = strndup(text, length);
        if (out->partition_name[p] == NULL)
            return error_set(error, ERR_MEMORY, "out of memory for partition names");
    }
    return OK;
}

static int decode_columns(const columns_t *columns, plan_t *out, error_t *error)
{
    const void *rows, *begin, *window, *dimension, *day = NULL;
    size_t slots, begins;
    int code = columns_get(columns, "rows", COLUMN_U32, SIZE_MAX, &rows, &slots, error);
    if (code == OK)
        code =
            columns_get(columns, "partition_begin", COLUMN_U32, SIZE_MAX, &begin, &begins, error);
    if (code == OK && (begins == 0 || begins > UINT32_MAX || slots > UINT32_MAX))
        code = error_set(error, ERR_PROTOCOL, "plan: %zu rows, %zu begins", slots, begins);
    if (code == OK)
        code =
            columns_get(columns, "partition_window", COLUMN_I32, begins - 1, &window, NULL, error);
    if (code == OK)
        code = columns_get(columns, "dimension", COLUMN_U32, 1, &dimension, NULL, error);
    if (code == OK && columns_has(columns, "day"))
        code = columns_get(columns, "day", COLUMN_I32, slots, &day, NULL, error);
    if (code == OK)
        code = check_begins(begin, begins - 1, slots, error);
    if (code == OK)
        code = plan_init(out, (uint32_t)slots, (uint32_t)(begins - 1), day != NULL, error);
    if (code != OK)
        return code;
    memcpy(out->rows, rows, slots * sizeof *out->rows);
    if (day != NULL)
        memcpy(out->day, day, slots * sizeof *out->day);
    memcpy(out->partition_begin, begin, begins * sizeof *out->partition_begin);
    memcpy(out->partition_window, window, (begins - 1) * sizeof *out->partition_window);
    memcpy(&out->dimension, dimension, sizeof out->dimension);
    return copy_names(columns, out, error);
}

int plan_decode(const void *bytes, size_t length, plan_t *out, error_t *error)
{
    columns_t *columns = NULL;
    *out = (plan_t){0};
    int code = columns_open(bytes, length, "plan", &columns, error);
    if (code == OK)
        code = decode_columns(columns, out, error);
    columns_close(&columns);
    if (code != OK)
        plan_clear(out);
    return code;
}

uint32_t plan_partition_size(const plan_t *self, uint32_t partition)
{
    return self->partition_begin[partition + 1] - self->partition_begin[partition];
}

uint32_t plan_largest_partition(const plan_t *self)
{
    uint32_t largest = 0;
    for (uint32_t p = 0; p < self->partition_count; p++)
        if (plan_partition_size(self, p) > largest)
            largest = plan_partition_size(self, p);
    return largest;
}

uint64_t plan_pairs(const plan_t *self, uint32_t partition)
{
    uint32_t begin = self->partition_begin[partition], end = self->partition_begin[partition + 1];
    int64_t window = self->partition_window[partition];
    if (window < 0 || self->day == NULL)
        return (uint64_t)(end - begin) * (end - begin);
    uint64_t pairs = 0;
    for (uint32_t i = begin, low = begin, high = begin; i < end; i++) {
        while ((int64_t)self->day[i] - self->day[low] > window)
            low++;
        while (high < end && (int64_t)self->day[high] - self->day[i] <= window)
            high++;
        pairs += high - low;
    }
    return pairs;
}

uint32_t plan_list_length(const job_spec_t *spec, uint32_t largest)
{
    uint32_t k = job_spec_min_samples(spec) - 1, most = largest - 1;
    if (k < NEIGHBOURS_MIN)
        k = NEIGHBOURS_MIN;
    return k < most ? k : most;
}
