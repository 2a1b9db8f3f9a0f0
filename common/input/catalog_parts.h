/* catalog_parts.h - what a catalog is made of; shared by the files that build, cache and read it.
 *
 * A catalog is a few sections of plain data. They lie in arenas while it is built, and in one
 * mapped cache file afterwards; everything else reads them the same way. */
#ifndef STAGE4_COMMON_INPUT_CATALOG_PARTS_H
#define STAGE4_COMMON_INPUT_CATALOG_PARTS_H

#include "common/input/arena.h"
#include "common/input/catalog.h"
#include "common/input/source_file.h"
#include "common/input/string_table.h"

#define CATALOG_SAMPLE_BLOCK 4096
#define TEXT_LIMIT 512
#define PROBLEM_ID_LIMIT 256

/* One good entry of metadata_store. */
typedef struct {
    string_ref_t vector_id;
    string_ref_t source_id;
    string_ref_t document_id;
    string_ref_t text;
    int64_t time_ms;
    int64_t time_end_ms;
    uint64_t metadata_offset;
    uint64_t metadata_length;
    uint32_t domain;         /* number of a term + 1; 0 is none */
    uint32_t type;           /* the same */
    uint64_t document_begin; /* storylines: first of document_count in SECTION_DOCUMENTS */
    uint64_t document_count;
} catalog_entry_t;

typedef struct {
    uint32_t kind;
    uint32_t row;
    string_ref_t vector_id; /* NUL-terminated in the heap */
} catalog_problem_t;

typedef enum {
    SECTION_HEAP,      /* the bytes of all strings */
    SECTION_ENTRIES,   /* catalog_entry_t, in the order of the file */
    SECTION_ROWS,      /* uint32_t a row: entry + 1, or 0 when the row was left out */
    SECTION_ORDER,     /* uint32_t: valid rows by vector_id */
    SECTION_TERMS,     /* string_ref_t: distinct domains and types */
    SECTION_DOCUMENTS, /* string_ref_t: documents of storylines */
    SECTION_PROBLEMS,  /* catalog_problem_t */
    SECTION_COUNT
} section_t;

typedef struct {
    const void *data;
    size_t bytes;
} catalog_section_t;

struct catalog {
    level_t level;
    uint32_t rows;
    source_file_t file;
    sha256_t fingerprint;
    catalog_section_t sections[SECTION_COUNT];
    uint64_t problem_counts[PROBLEM_KIND_COUNT];
    problem_t problems[PROBLEM_LIST_LIMIT];
    size_t problem_total;
    arena_t arenas[SECTION_COUNT]; /* empty when the sections are mapped */
    void *mapping;
    size_t mapping_bytes;
};

static inline const catalog_entry_t *catalog_entries(const catalog_t *self)
{
    return self->sections[SECTION_ENTRIES].data;
}

#endif
