#include "coordinator/merge/kmeans_runs.h"

#include <string.h>

int kmeans_run_save(const kmeans_run_t *self, const plan_t *plan, const advance_input_t *input,
                    sha256_t *out, error_t *error)
{
    columns_writer_t *writer = columns_writer_new("best");
    columns_put(writer, "label", COLUMN_U32, self->label, plan->count);
    columns_put(writer, "d2", COLUMN_F32, self->d2, plan->count);
    return payload_save(input, &writer, out, error);
}

static double sum_of(const float *d2, uint32_t begin, uint32_t end)
{
    double sum = 0;
    for (uint32_t i = begin; i < end; i++)
        sum += (double)d2[i];
    return sum;
}

int kmeans_run_merge(const kmeans_run_t *self, const plan_t *plan, const advance_input_t *input,
                     const sha256_t *earlier, error_t *error)
{
    const uint32_t *label = NULL;
    const float *d2 = NULL;
    payload_t payload = {0};
    int code = payload_open(&payload, input, earlier, "best", error);
    if (code == OK)
        code = payload_u32(&payload, "label", plan->count, &label, error);
    if (code == OK)
        code = payload_f32(&payload, "d2", plan->count, &d2, error);
    for (uint32_t p = 0; p < plan->partition_count && code == OK; p++) {
        uint32_t begin = plan->partition_begin[p], end = plan->partition_begin[p + 1];
        if (sum_of(d2, begin, end) > sum_of(self->d2, begin, end))
            continue;
        memcpy(self->label + begin, label + begin, (end - begin) * sizeof *label);
        memcpy(self->d2 + begin, d2 + begin, (end - begin) * sizeof *d2);
    }
    payload_close(&payload);
    return code;
}
