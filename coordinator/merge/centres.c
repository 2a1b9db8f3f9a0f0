#include "coordinator/merge/centres.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Room for what self->begin says. */
static int allocate(centres_t *self, error_t *error)
{
    self->total = self->begin[self->partition_count];
    size_t values = (size_t)self->total * self->dimension;
    self->centre = malloc((values + 1) * sizeof *self->centre);
    self->sum = calloc(values + 1, sizeof *self->sum);
    self->count = calloc((size_t)self->total + 1, sizeof *self->count);
    if (self->centre && self->sum && self->count)
        return OK;
    centres_clear(self);
    return error_set(error, ERR_MEMORY, "out of memory for the centres");
}

static int allocate_begin(centres_t *self, const plan_t *plan, error_t *error)
{
    *self = (centres_t){.partition_count = plan->partition_count, .dimension = plan->dimension};
    self->begin = calloc((size_t)plan->partition_count + 1, sizeof *self->begin);
    return self->begin ? OK
                       : error_set(error, ERR_MEMORY, "out of memory for the centres of %u parts",
                                   plan->partition_count);
}

int centres_init(centres_t *self, const plan_t *plan, uint32_t k, error_t *error)
{
    int code = allocate_begin(self, plan, error);
    if (code != OK)
        return code;
    for (uint32_t p = 0; p < plan->partition_count; p++) {
        uint32_t size = plan_partition_size(plan, p);
        self->begin[p + 1] =
            self->begin[p] + (k < size ? k : size); /* at most all slots: it fits */
    }
    return allocate(self, error);
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

static int read_begin(centres_t *self, const plan_t *plan, const payload_t *payload, error_t *error)
{
    const uint32_t *begin;
    int code =
        payload_u32(payload, "centre_begin", (size_t)plan->partition_count + 1, &begin, error);
    if (code != OK)
        return code;
    memcpy(self->begin, begin, ((size_t)plan->partition_count + 1) * sizeof *begin);
    for (uint32_t p = 0; p < plan->partition_count; p++)
        if (begin[0] != 0 || begin[p + 1] < begin[p] ||
            begin[p + 1] - begin[p] > plan_partition_size(plan, p))
            return error_set(error, ERR_PROTOCOL, "partition %u has the centres %u to %u", p,
                             begin[p], begin[p + 1]);
    return OK;
}

int centres_load(centres_t *self, const plan_t *plan, const advance_input_t *input,
                 const sha256_t *sha256, error_t *error)
{
    payload_t payload = {0};
    const float *centre;
    int code = allocate_begin(self, plan, error);
    if (code == OK)
        code = payload_open(&payload, input, sha256, "centres", error);
    if (code == OK)
        code = read_begin(self, plan, &payload, error);
    if (code == OK)
        code = allocate(self, error);
    size_t values = (size_t)self->total * self->dimension;
    if (code == OK)
        code = payload_f32(&payload, "centre", values, &centre, error);
    if (code == OK)
        memcpy(self->centre, centre, values * sizeof *centre);
    payload_close(&payload);
    return code;
}

/* ---- distinct centres ---- */

typedef struct {
    const float *centre;
    size_t dimension;
    uint32_t number;
} numbered_t;

static int compare_values(const numbered_t *a, const numbered_t *b)
{
    for (size_t i = 0; i < a->dimension; i++)
        if (a->centre[i] != b->centre[i])
            return a->centre[i] < b->centre[i] ? -1 : 1;
    return 0;
}

static int compare_numbered(const void *x, const void *y)
{
    const numbered_t *a = x, *b = y;
    int order = compare_values(a, b);
    return order != 0 ? order : a->number < b->number ? -1 : a->number > b->number;
}

/* Marks in `equal` those of [begin, end) that an earlier one equals. */
static void mark_equal(const centres_t *self, uint32_t begin, uint32_t end, numbered_t *sorted,
                       uint8_t *equal)
{
    uint32_t count = end - begin;
    for (uint32_t i = 0; i < count; i++)
        sorted[i] = (numbered_t){self->centre + (size_t)(begin + i) * self->dimension,
                                 self->dimension, begin + i};
    qsort(sorted, count, sizeof *sorted, compare_numbered);
    for (uint32_t i = 1; i < count; i++)
        equal[sorted[i].number] = compare_values(&sorted[i - 1], &sorted[i]) == 0;
}

int centres_distinct(centres_t *self, error_t *error)
{
    numbered_t *sorted = malloc(((size_t)self->total + 1) * sizeof *sorted);
    uint8_t *equal = calloc((size_t)self->total + 1, 1);
    size_t d = self->dimension;
    uint32_t kept = 0;
    int code = OK;
    if (sorted == NULL || equal == NULL) {
        code = error_set(error, ERR_MEMORY, "out of memory to compare %u centres", self->total);
        goto fail;
    }
    for (uint32_t p = 0; p < self->partition_count; p++)
        mark_equal(self, self->begin[p], self->begin[p + 1], sorted, equal);
    for (uint32_t p = 0, c = 0; p < self->partition_count; p++) {
        for (; c < self->begin[p + 1]; c++)
            if (!equal[c])
                memmove(self->centre + kept++ * d, self->centre + c * d, d * sizeof *self->centre);
        self->begin[p + 1] = kept; /* c has gone by what it was */
    }
    self->total = kept;
fail:
    free(sorted);
    free(equal);
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
