#include "coordinator/merge/centres.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int centres_init(centres_t *self, const plan_t *plan, uint32_t k, error_t *error)
{
    uint64_t total = 0;
    *self = (centres_t){.partition_count = plan->partition_count, .dimension = plan->dimension};
    self->begin = malloc(((size_t)plan->partition_count + 1) * sizeof *self->begin);
    for (uint32_t p = 0; self->begin != NULL && p < plan->partition_count; p++) {
        uint32_t size = plan_partition_size(plan, p);
        self->begin[p] = (uint32_t)total;
        total += k < size ? k : size; /* at most the plan's slots in all: it fits */
    }
    if (self->begin != NULL)
        self->begin[plan->partition_count] = (uint32_t)total;
    self->total = (uint32_t)total;
    size_t values = (size_t)total * plan->dimension;
    self->centre = malloc((values + 1) * sizeof *self->centre);
    self->sum = calloc(values + 1, sizeof *self->sum);
    self->count = calloc((size_t)total + 1, sizeof *self->count);
    if (self->begin && self->centre && self->sum && self->count)
        return OK;
    centres_clear(self);
    return error_set(error, ERR_MEMORY, "out of memory for %llu centres",
                     (unsigned long long)total);
}

void centres_clear(centres_t *self)
{
    free(self->begin);
    free(self->centre);
    free(self->sum);
    free(self->count);
    *self = (centres_t){0};
}

int centres_save(const centres_t *self, const advance_input_t *input, sha256_t *out, error_t *error)
{
    columns_writer_t *writer = columns_writer_new("centres");
    columns_put(writer, "centre", COLUMN_F32, self->centre, (size_t)self->total * self->dimension);
    columns_put(writer, "centre_begin", COLUMN_U32, self->begin, (size_t)self->partition_count + 1);
    return payload_save(input, &writer, out, error);
}

int centres_load(centres_t *self, const advance_input_t *input, const sha256_t *sha256,
                 error_t *error)
{
    payload_t payload = {0};
    const float *centre;
    size_t values = (size_t)self->total * self->dimension;
    int code = payload_open(&payload, input, sha256, "centres", error);
    if (code == OK)
        code = payload_f32(&payload, "centre", values, &centre, error);
    if (code == OK)
        memcpy(self->centre, centre, values * sizeof *centre);
    payload_close(&payload);
    return code;
}

int centres_add(centres_t *self, const payload_t *result, error_t *error)
{
    const uint32_t *touched, *count;
    const double *sum;
    size_t centres, d = self->dimension;
    int code = payload_list(result, "touched", &touched, &centres, error);
    if (code == OK)
        code = payload_u32(result, "count", centres, &count, error);
    if (code == OK)
        code = payload_f64(result, "sum", centres * d, &sum, error);
    if (code != OK)
        return code;
    for (size_t t = 0; t < centres; t++)
        if (touched[t] >= self->total || (t > 0 && touched[t - 1] >= touched[t]))
            return error_set(error, ERR_SHAPE, "centre %u is out of order or not there",
                             touched[t]);
    for (size_t t = 0; t < centres; t++) {
        double *total = self->sum + touched[t] * d;
        self->count[touched[t]] += count[t];
        for (size_t i = 0; i < d; i++)
            total[i] += sum[t * d + i];
    }
    return OK;
}

/* Moves one centre; the squared length of the move. */
static double move_one(centres_t *self, uint32_t c, metric_t metric)
{
    size_t d = self->dimension;
    const double *sum = self->sum + c * d;
    float *centre = self->centre + c * d;
    double scale = (double)self->count[c], moved = 0;
    if (metric == METRIC_COSINE) {
        double square = 0;
        for (size_t i = 0; i < d; i++)
            square += sum[i] * sum[i];
        scale = sqrt(square);
    }
    if (self->count[c] == 0 || scale == 0)
        return 0; /* nobody, or members that cancel out: it stays */
    for (size_t i = 0; i < d; i++) {
        float value = (float)(sum[i] / scale);
        double step = (double)value - centre[i];
        moved += step * step;
        centre[i] = value;
    }
    return moved;
}

/* Unit vectors: the variances of all dimensions sum to 1 - |mean|^2. */
static double mean_variance(const centres_t *self, uint32_t begin, uint32_t end)
{
    size_t d = self->dimension;
    double members = 0, square = 0;
    for (uint32_t c = begin; c < end; c++)
        members += (double)self->count[c];
    for (size_t i = 0; i < d && members > 0; i++) {
        double sum = 0;
        for (uint32_t c = begin; c < end; c++)
            sum += self->sum[c * d + i];
        square += sum / members * (sum / members);
    }
    return square < 1 ? (1 - square) / (double)d : 0;
}

int centres_move(centres_t *self, metric_t metric, double tolerance)
{
    int settled = 1;
    for (uint32_t p = 0; p < self->partition_count; p++) {
        double moved = 0;
        for (uint32_t c = self->begin[p]; c < self->begin[p + 1]; c++)
            moved += move_one(self, c, metric);
        if (moved > tolerance * mean_variance(self, self->begin[p], self->begin[p + 1]))
            settled = 0;
    }
    return settled;
}
