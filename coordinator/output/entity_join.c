#include "coordinator/output/entity_join.h"

#include "common/input/flat_index.h"
#include "coordinator/output/level_files.h"

#include <stdlib.h>

struct entity_join {
    level_files_t files;
    uint32_t *rows; /* sorted by (document, text), each pair once */
    size_t count;
};

static int by_document_and_text(const void *a, const void *b, void *context)
{
    const catalog_t *catalog = context;
    uint32_t left = *(const uint32_t *)a;
    uint32_t right = *(const uint32_t *)b;
    int order =
        view_compare(catalog_document_id(catalog, left), catalog_document_id(catalog, right));
    if (!order)
        order = view_compare(catalog_text(catalog, left), catalog_text(catalog, right));
    return order;
}

static int collect_rows(entity_join_t *self, error_t *error)
{
    catalog_t *catalog = self->files.catalog;
    uint32_t total = catalog_rows(catalog);
    self->rows = malloc(((size_t)total + 1) * sizeof *self->rows);
    if (!self->rows)
        return error_set(error, ERR_MEMORY, "no memory for %u entities", total);
    for (uint32_t row = 0; row < total; row++)
        if (catalog_row_valid(catalog, row) && catalog_document_id(catalog, row).length &&
            catalog_text(catalog, row).length)
            self->rows[self->count++] = row;
    qsort_r(self->rows, self->count, sizeof *self->rows, by_document_and_text, catalog);
    size_t kept = 0;
    for (size_t i = 0; i < self->count; i++)
        if (!kept || by_document_and_text(&self->rows[kept - 1], &self->rows[i], catalog))
            self->rows[kept++] = self->rows[i];
    self->count = kept;
    return OK;
}

int entity_join_open(const char *indices_folder, const char *cache_folder, uint32_t dimension,
                     entity_join_t **out, error_t *error)
{
    entity_join_t *self = calloc(1, sizeof *self);
    *out = NULL;
    if (!self)
        return error_set(error, ERR_MEMORY, "no memory for the entities");
    int code = level_files_open(&self->files, indices_folder, cache_folder, LEVEL_ENTITIES,
                                dimension, error);
    if (code == OK)
        code = collect_rows(self, error);
    if (code == OK) {
        *out = self;
        return OK;
    }
    entity_join_close(&self);
    return code == ERR_NOT_FOUND ? OK : code;
}

void entity_join_close(entity_join_t **self)
{
    if (!*self)
        return;
    level_files_close(&(*self)->files);
    free((*self)->rows);
    free(*self);
    *self = NULL;
}

/* The first entry whose document is not before `document_id`. */
static size_t lower_bound(const entity_join_t *self, string_view_t document_id)
{
    size_t low = 0;
    size_t high = self->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (view_compare(catalog_document_id(self->files.catalog, self->rows[middle]),
                         document_id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void entity_join_add(const entity_join_t *self, string_view_t document_id, tally_t *tally)
{
    if (!self)
        return;
    for (size_t i = lower_bound(self, document_id); i < self->count; i++) {
        if (view_compare(catalog_document_id(self->files.catalog, self->rows[i]), document_id))
            return;
        tally_add(tally, catalog_text(self->files.catalog, self->rows[i]));
    }
}
