/* What catalog.h says of an open catalog, row by row; catalog.c opens and closes it. */
#include "common/clock.h"
#include "common/input/catalog_parts.h"
#include "common/input/domains.h"
#include "common/input/non_finite.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char *const PROBLEM_NAMES[PROBLEM_KIND_COUNT] = {
    "no_metadata",  "duplicate_id", "maps_disagree", "no_position",
    "bad_position", "bad_entry",    "not_finite",    "norm",
};

const char *problem_name(problem_kind_t kind) { return PROBLEM_NAMES[kind]; }

level_t catalog_level(const catalog_t *self) { return self->level; }
uint32_t catalog_rows(const catalog_t *self) { return self->rows; }
uint64_t catalog_file_bytes(const catalog_t *self) { return self->file.size; }
sha256_t catalog_fingerprint(const catalog_t *self) { return self->fingerprint; }

/* NULL for a row that was left out. */
static const catalog_entry_t *entry_of(const catalog_t *self, uint32_t row)
{
    const uint32_t *entry_of_row = self->sections[SECTION_ROWS].data;
    if (row >= self->rows || entry_of_row[row] == 0)
        return NULL;
    return &catalog_entries(self)[entry_of_row[row] - 1];
}

int catalog_row_valid(const catalog_t *self, uint32_t row) { return entry_of(self, row) != NULL; }

static string_view_t view_of(const catalog_t *self, string_ref_t ref)
{
    return (string_view_t){(const char *)self->sections[SECTION_HEAP].data + string_ref_offset(ref),
                           string_ref_length(ref)};
}

static const string_view_t NOTHING = {"", 0};

string_view_t catalog_vector_id(const catalog_t *self, uint32_t row)
{
    const catalog_entry_t *entry = entry_of(self, row);
    return entry != NULL ? view_of(self, entry->vector_id) : NOTHING;
}

string_view_t catalog_source_id(const catalog_t *self, uint32_t row)
{
    const catalog_entry_t *entry = entry_of(self, row);
    return entry != NULL ? view_of(self, entry->source_id) : NOTHING;
}

string_view_t catalog_document_id(const catalog_t *self, uint32_t row)
{
    const catalog_entry_t *entry = entry_of(self, row);
    return entry != NULL ? view_of(self, entry->document_id) : NOTHING;
}

string_view_t catalog_text(const catalog_t *self, uint32_t row)
{
    const catalog_entry_t *entry = entry_of(self, row);
    return entry != NULL ? view_of(self, entry->text) : NOTHING;
}

size_t catalog_document_count(const catalog_t *self, uint32_t row)
{
    const catalog_entry_t *entry = entry_of(self, row);
    if (entry == NULL)
        return 0;
    return entry->document_count > 0 ? entry->document_count
                                     : string_ref_length(entry->document_id) > 0;
}

string_view_t catalog_document(const catalog_t *self, uint32_t row, size_t index)
{
    const catalog_entry_t *entry = entry_of(self, row);
    const string_ref_t *documents = self->sections[SECTION_DOCUMENTS].data;
    if (entry == NULL || index >= catalog_document_count(self, row))
        return NOTHING;
    return view_of(self, entry->document_count > 0 ? documents[entry->document_begin + index]
                                                   : entry->document_id);
}

static string_view_t term_of(const catalog_t *self, uint32_t number)
{
    const string_ref_t *terms = self->sections[SECTION_TERMS].data;
    return number > 0 ? view_of(self, terms[number - 1]) : NOTHING;
}

string_view_t catalog_domain(const catalog_t *self, uint32_t row)
{
    const catalog_entry_t *entry = entry_of(self, row);
    return entry != NULL ? term_of(self, entry->domain) : NOTHING;
}

string_view_t catalog_domain_long(const catalog_t *self, uint32_t row)
{
    string_view_t raw = catalog_domain(self, row);
    const char *known = domain_long_form(raw.text, raw.length);
    return known != NULL ? (string_view_t){known, strlen(known)} : raw;
}

string_view_t catalog_type(const catalog_t *self, uint32_t row)
{
    const catalog_entry_t *entry = entry_of(self, row);
    return entry != NULL ? term_of(self, entry->type) : NOTHING;
}

int64_t catalog_time_ms(const catalog_t *self, uint32_t row)
{
    const catalog_entry_t *entry = entry_of(self, row);
    return entry != NULL ? entry->time_ms : TIME_NONE;
}

int64_t catalog_time_end_ms(const catalog_t *self, uint32_t row)
{
    const catalog_entry_t *entry = entry_of(self, row);
    return entry != NULL ? entry->time_end_ms : TIME_NONE;
}

const uint32_t *catalog_id_order(const catalog_t *self)
{
    return self->sections[SECTION_ORDER].data;
}

uint32_t catalog_valid_rows(const catalog_t *self)
{
    return (uint32_t)(self->sections[SECTION_ORDER].bytes / sizeof(uint32_t));
}

int catalog_metadata(const catalog_t *self, uint32_t row, char **json, size_t *length,
                     error_t *error)
{
    const catalog_entry_t *entry = entry_of(self, row);
    *json = NULL;
    if (entry == NULL)
        return error_set(error, ERR_SHAPE, "%s: row %" PRIu32 " was left out, it has no metadata",
                         self->file.path, row);
    size_t bytes = entry->metadata_length;
    char *raw = malloc(bytes);
    int code = ERR_MEMORY;
    if (raw == NULL)
        goto out_of_memory;
    code = source_file_read(&self->file, entry->metadata_offset, raw, bytes, error);
    if (code == OK && (raw[0] != '{' || raw[bytes - 1] != '}'))
        code = error_set(error, ERR_CHANGED,
                         "%s: no longer holds an object at byte %" PRIu64 " (row %" PRIu32 ")",
                         self->file.path, entry->metadata_offset, row);
    if (code != OK)
        goto done;
    *json = non_finite_to_null(raw, &bytes);
    *length = bytes;
    code = *json != NULL ? OK : ERR_MEMORY;
out_of_memory:
    if (code == ERR_MEMORY)
        error_set(error, code, "%s: out of memory", self->file.path);
done:
    free(raw);
    return code;
}

uint64_t catalog_problem_count(const catalog_t *self, problem_kind_t kind)
{
    return self->problem_counts[kind];
}

size_t catalog_problem_list(const catalog_t *self, const problem_t **out)
{
    *out = self->problems;
    return self->problem_total;
}
