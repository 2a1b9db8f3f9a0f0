/* catalog.h - what the metadata of one level says about each row of its index, as columns.
 *
 * Built by streaming <level>_metadata.json (metadata_store, id_map, reverse_id_map) once with
 * bounded memory, never holding the JSON; written to a cache file named by the fingerprints of both
 * files and mapped from there the next time. A row is an index position. What disagrees (a position
 * without metadata, an id twice, id_map against reverse_id_map, an id without a position, a position
 * past the index, wrong embedding_type) is a problem: counted by kind, the first 100 listed, and the
 * row is left out.
 *
 * document_id comes from the metadata, else from source_id: a document's source_id is its
 * document_id; for the other levels the longest suffix `_event_<digits>`, `_entity_<digits>` or
 * `_storyline_<digits>` is cut off; a source_id without such a suffix has no document.
 * A storyline's documents come from its event_ids by the same rule; its document_id is that of the
 * first event that has one.
 *
 * NaN, Infinity and -Infinity, which Python writes, are read as numbers that nobody asks for. */
#ifndef STAGE4_COMMON_INPUT_CATALOG_H
#define STAGE4_COMMON_INPUT_CATALOG_H

#include "common/error.h"
#include "common/level.h"
#include "common/sha256.h"

#include <stddef.h>
#include <stdint.h>

typedef struct catalog catalog_t;

typedef enum {
    PROBLEM_NO_METADATA,   /* a position that no id maps to, or whose id has no metadata */
    PROBLEM_DUPLICATE_ID,  /* an id twice in metadata_store or id_map, or two ids at one position */
    PROBLEM_MAPS_DISAGREE, /* id_map and reverse_id_map say different things */
    PROBLEM_NO_POSITION,   /* metadata whose id has no position */
    PROBLEM_BAD_POSITION,  /* a position past the index, negative or not a number */
    PROBLEM_BAD_ENTRY,     /* an entry without source_id or metadata, or of another level */
    PROBLEM_NOT_FINITE,    /* set by the planner from vector_check */
    PROBLEM_NORM,          /* set by the planner from vector_check */
    PROBLEM_KIND_COUNT
} problem_kind_t;

const char *problem_name(problem_kind_t kind); /* "no_metadata" ... */

#define PROBLEM_LIST_LIMIT 100

typedef struct {
    problem_kind_t kind;
    uint32_t row;          /* UINT32_MAX when the problem has no row */
    const char *vector_id; /* at most 256 bytes of it; may be "" */
} problem_t;

/* A string inside the catalog: not NUL-terminated, lives as long as the catalog. */
typedef struct {
    const char *text;
    size_t length;
} string_view_t;

/* Streams `metadata_path`, for an index of `rows` rows. `cache_folder` NULL: no cache is read or
 * written; a cache file that does not verify is rebuilt. `memory_limit` in bytes bounds the build
 * (0: 1 GiB). ERR_NOT_FOUND, ERR_INPUT (with the byte offset), ERR_MEMORY, ERR_IO. */
int catalog_open(const char *metadata_path, level_t level, uint32_t rows, const char *cache_folder,
                 size_t memory_limit, catalog_t **out, error_t *error);
void catalog_close(catalog_t **self);

level_t catalog_level(const catalog_t *self);
uint32_t catalog_rows(const catalog_t *self);
int catalog_row_valid(const catalog_t *self, uint32_t row); /* 0: left out, see the problems */
uint64_t catalog_file_bytes(const catalog_t *self);         /* of the metadata file */
sha256_t catalog_fingerprint(const catalog_t *self); /* of the metadata file: size, sampled hash */
/* ERR_CHANGED when the metadata file is no longer what was streamed. */
int catalog_check(const catalog_t *self, error_t *error);

string_view_t catalog_vector_id(const catalog_t *self, uint32_t row);
string_view_t catalog_source_id(const catalog_t *self, uint32_t row);
string_view_t catalog_document_id(const catalog_t *self, uint32_t row); /* empty when none */
/* The distinct documents of a row in the order of their bytes: those of a storyline's events, else
 * at most its document_id. */
size_t catalog_document_count(const catalog_t *self, uint32_t row);
string_view_t catalog_document(const catalog_t *self, uint32_t row, size_t index);
/* title | event_description | entity_text | storyline_summary, at most 512 bytes, cut at a UTF-8
 * boundary; empty when none. */
string_view_t catalog_text(const catalog_t *self, uint32_t row);
/* The raw value; catalog_domain_long gives the alias' long form ("diplomatic" ->
 * "diplomatic_relations"). Empty when none. */
string_view_t catalog_domain(const catalog_t *self, uint32_t row);
string_view_t catalog_domain_long(const catalog_t *self, uint32_t row);
/* event_type for events, entity_type for entities, else empty. */
string_view_t catalog_type(const catalog_t *self, uint32_t row);
/* publication_date | temporal_reference | start of temporal_span; TIME_NONE when absent, null or
 * unreadable. catalog_time_end: the end of temporal_span for storylines, else the same. */
int64_t catalog_time_ms(const catalog_t *self, uint32_t row);
int64_t catalog_time_end_ms(const catalog_t *self, uint32_t row);

/* The valid rows, sorted by the bytes of their vector_id; as many as catalog_valid_rows. */
const uint32_t *catalog_id_order(const catalog_t *self);
uint32_t catalog_valid_rows(const catalog_t *self);

/* The row's `metadata` object as it stands in the file (raw JSON), read with pread; NaN and the
 * infinities become null. NUL-terminated; the caller frees *json. ERR_SHAPE for a row that was left
 * out, ERR_CHANGED, ERR_IO, ERR_MEMORY. */
int catalog_metadata(const catalog_t *self, uint32_t row, char **json, size_t *length,
                     error_t *error);

uint64_t catalog_problem_count(const catalog_t *self, problem_kind_t kind);
size_t catalog_problem_list(const catalog_t *self, const problem_t **out); /* at most 100 */

#endif
