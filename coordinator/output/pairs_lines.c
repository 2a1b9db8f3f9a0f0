#include "coordinator/output/pairs_lines.h"

#include "common/clock.h"
#include "coordinator/merge/pair_table.h"
#include "coordinator/output/json_text.h"
#include "proto/pair_weight.h"

#include <stdlib.h>

typedef struct {
    const cluster_source_t *source;
    outcome_side_t side;
    double *factor;
    pair_weight_t weight;
    size_t count;
    const uint32_t *a;
    const uint32_t *b;
    const float *dist2;
    json_text_t line;
} lines_t;

static int put_id(lines_t *self, const char *key, uint32_t slot, error_t *error)
{
    const catalog_t *catalog = self->source->catalog;
    uint32_t row = slot < outcome_slots(self->source->outcome)
                       ? outcome_row(self->source->outcome, slot)
                       : UINT32_MAX;
    if (row >= catalog_rows(catalog))
        return error_set(error, ERR_PROTOCOL, "the outcome has a pair of a row that is not there");
    string_view_t id = catalog_vector_id(catalog, row);
    json_text_key(&self->line, key);
    json_text_string(&self->line, id.text, id.length);
    return OK;
}

static void put_weight(lines_t *self, size_t i)
{
    int32_t a = outcome_day(self->source->outcome, self->a[i]);
    int32_t b = outcome_day(self->source->outcome, self->b[i]);
    int64_t days = a == DAY_NONE || b == DAY_NONE ? 0 : (int64_t)b - a;
    json_text_key(&self->line, "similarity");
    json_text_double(&self->line, pair_similarity(self->dist2[i]));
    json_text_key(&self->line, "days");
    if (a == DAY_NONE || b == DAY_NONE)
        json_text_raw(&self->line, "null", 4);
    else
        json_text_integer(&self->line, days);
    json_text_key(&self->line, "weight");
    json_text_double(&self->line, pair_weight(&self->weight, self->dist2[i], days));
}

static int put_pair(lines_t *self, size_t i, side_file_t *out, error_t *error)
{
    json_text_reset(&self->line);
    json_text_raw(&self->line, "{", 1);
    int code = put_id(self, "a", self->a[i], error);
    if (code == OK)
        code = put_id(self, "b", self->b[i], error);
    if (code != OK)
        return code;
    put_weight(self, i);
    json_text_raw(&self->line, "}", 1);
    if (json_text_failed(&self->line))
        return error_set(error, ERR_MEMORY, "no memory for a pair");
    return side_file_add(out, self->line.bytes, self->line.length, error);
}

static int open_pairs(lines_t *self, error_t *error)
{
    const void *a, *b, *dist2;
    const columns_t *columns;
    int code = outcome_side_open(self->source->outcome, 0, "pairs", &self->side, error);
    if (code != OK)
        return code;
    columns = self->side.columns;
    code = columns_get(columns, "a", COLUMN_U32, SIZE_MAX, &a, &self->count, error);
    if (code == OK)
        code = columns_get(columns, "b", COLUMN_U32, self->count, &b, NULL, error);
    if (code == OK)
        code = columns_get(columns, "d2", COLUMN_F32, self->count, &dist2, NULL, error);
    if (code != OK)
        return code;
    self->a = a;
    self->b = b;
    self->dist2 = dist2;
    return pair_table_make(self->source->spec, &self->weight, &self->factor, error);
}

int pairs_lines(const cluster_source_t *source, side_file_t *out, error_t *error)
{
    lines_t self = {.source = source};
    int code = open_pairs(&self, error);
    for (size_t i = 0; code == OK && i < self.count; i++)
        code = put_pair(&self, i, out, error);
    outcome_side_close(&self.side);
    json_text_clear(&self.line);
    free(self.factor);
    return code;
}
