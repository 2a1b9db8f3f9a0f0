#include "coordinator/output/member_rows.h"

#include <stdlib.h>
#include <string.h>

#define NOISE_ROWS 4096

void member_rows_clear(member_rows_t *self)
{
    free(self->rows);
    free(self->text);
    *self = (member_rows_t){0};
}

static size_t text_size(const catalog_t *catalog, uint32_t row)
{
    return catalog_source_id(catalog, row).length + catalog_vector_id(catalog, row).length +
           catalog_document_id(catalog, row).length + 3;
}

/* Room for `count` rows and `text` bytes; what was there is gone. */
static int reserve(member_rows_t *self, size_t count, size_t text, error_t *error)
{
    if (count > self->capacity || text > self->text_capacity) {
        member_rows_clear(self);
        self->rows = calloc(count, sizeof *self->rows);
        self->text = malloc(text);
        if (!self->rows || !self->text)
            return error_set(error, ERR_MEMORY, "no memory for the rows of %zu members", count);
        self->capacity = count;
        self->text_capacity = text;
    }
    self->count = 0;
    return OK;
}

static const char *copy(char **text, string_view_t view)
{
    char *start = *text;
    if (view.length)
        memcpy(start, view.text, view.length);
    start[view.length] = 0;
    *text += view.length + 1;
    return start;
}

static member_row_t *add(member_rows_t *self, const catalog_t *catalog, uint32_t row, char **text)
{
    member_row_t *out = &self->rows[self->count++];
    out->source_id = copy(text, catalog_source_id(catalog, row));
    out->vector_id = copy(text, catalog_vector_id(catalog, row));
    out->document_id = copy(text, catalog_document_id(catalog, row));
    return out;
}

int member_rows_fill(member_rows_t *self, const cluster_t *cluster, const cluster_source_t *source,
                     error_t *error)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < cluster->from.size; i++)
        bytes += text_size(source->catalog, cluster->members[i].row);
    int code = reserve(self, cluster->from.size, bytes, error);
    if (code != OK)
        return code;
    char *text = self->text;
    for (uint32_t i = 0; i < cluster->from.size; i++) {
        const cluster_member_t *member = &cluster->members[i];
        member_row_t *row = add(self, source->catalog, member->row, &text);
        row->assignment = "core";
        row->strength = (double)outcome_strength(source->outcome, member->slot);
        row->outlier_score = (double)outcome_outlier(source->outcome, member->slot);
        row->similarity = (double)member->similarity;
    }
    return OK;
}

int member_rows_noise(member_rows_t *self, const cluster_source_t *source, uint32_t *next,
                      error_t *error)
{
    uint32_t slots[NOISE_ROWS];
    size_t count = 0;
    size_t bytes = 0;
    for (; *next < outcome_slots(source->outcome) && count < NOISE_ROWS; (*next)++) {
        if (!outcome_is_noise(source->outcome, *next))
            continue;
        uint32_t row = outcome_row(source->outcome, *next);
        if (row >= catalog_rows(source->catalog) || !catalog_row_valid(source->catalog, row))
            return error_set(error, ERR_PROTOCOL, "the outcome has row %u, which was left out",
                             row);
        slots[count++] = *next;
        bytes += text_size(source->catalog, row);
    }
    int code = reserve(self, count, bytes, error);
    if (code != OK)
        return code;
    char *text = self->text;
    for (size_t i = 0; i < count; i++) {
        member_row_t *row =
            add(self, source->catalog, outcome_row(source->outcome, slots[i]), &text);
        row->assignment = "noise";
        row->strength = 0;
        row->outlier_score = (double)outcome_outlier(source->outcome, slots[i]);
        row->similarity = 0;
    }
    return OK;
}
