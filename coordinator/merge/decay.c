#include "coordinator/merge/decay.h"

#include "coordinator/merge/pair_table.h"

#include <stdlib.h>

int decay_save(const step_t *self, int *given, sha256_t *out, error_t *error)
{
    const job_spec_t *spec = self->input->spec;
    double *factor = NULL;
    pair_weight_t weight;
    *given = spec->algorithm == ALGORITHM_HDBSCAN && spec->decay != DECAY_NONE;
    if (!*given)
        return OK;
    int code = pair_table_make(spec, &weight, &factor, error);
    if (code == OK) {
        columns_writer_t *writer = columns_writer_new("decay");
        columns_put(writer, "factor", COLUMN_F64, factor, weight.count);
        code = payload_save(self->input, &writer, out, error);
    }
    free(factor);
    return code;
}
