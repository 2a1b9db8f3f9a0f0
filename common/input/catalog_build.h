/* catalog_build.h - from what the metadata says, in any order, to the sections of a catalog.
 *
 * The stream reports ids, entries and positions as they come; finish holds them against each other
 * and gives every row and every stray id at most one problem. Memory is bounded by the number of
 * rows and the size of the file, and no hash table is ever iterated. */
#ifndef STAGE4_COMMON_INPUT_CATALOG_BUILD_H
#define STAGE4_COMMON_INPUT_CATALOG_BUILD_H

#include "common/input/catalog_parts.h"

typedef struct catalog_build catalog_build_t;

#define NO_ROW UINT32_MAX

/* For `catalog`'s level, rows and file. `memory_limit` in bytes. */
int catalog_build_new(catalog_t *catalog, size_t memory_limit, catalog_build_t **out,
                      error_t *error);
void catalog_build_destroy(catalog_build_t **self);

/* The number of a vector id, known or new. ERR_INPUT when there are far more ids than rows. */
int catalog_build_id(catalog_build_t *self, const char *text, size_t length, uint32_t *id,
                     error_t *error);

/* What an entry of metadata_store says, before its strings are kept. A view of length 0 with NULL
 * text is absent. */
typedef struct {
    string_view_t source_id;
    string_view_t document_id;
    string_view_t text;
    string_view_t domain;
    string_view_t type;
    int64_t time_ms;
    int64_t time_end_ms;
    uint64_t metadata_offset;
    uint64_t metadata_length; /* 0: no metadata object */
    int other_level;          /* its embedding_type is another level's */
} entry_facts_t;

/* An event of the storyline whose entry comes next. */
int catalog_build_event(catalog_build_t *self, const char *text, size_t length, error_t *error);
int catalog_build_entry(catalog_build_t *self, uint32_t id, const entry_facts_t *facts,
                        error_t *error);

/* id_map says that `id` stands at `row` (NO_ROW: it says nothing usable). */
void catalog_build_position(catalog_build_t *self, uint32_t id, uint32_t row);
/* reverse_id_map says that `row` (NO_ROW: unusable) holds `id`. */
void catalog_build_reverse(catalog_build_t *self, uint32_t row, uint32_t id);
/* reverse_id_map holds no id for `row` (NO_ROW: unusable). */
void catalog_build_reverse_bad(catalog_build_t *self, uint32_t row);

/* ERR_MEMORY when the limit is passed; called now and then. */
int catalog_build_check_memory(const catalog_build_t *self, error_t *error);

/* Resolves everything into catalog->sections. */
int catalog_build_finish(catalog_build_t *self, error_t *error);

#endif
