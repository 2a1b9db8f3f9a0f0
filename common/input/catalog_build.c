#include "common/input/catalog_build.h"
#include "common/clock.h"
#include "common/input/id_order.h"
#include "common/utf8.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* What was said about an id. */
enum {
    ID_ENTRY = 1,
    ID_ENTRY_BAD = 2,
    ID_TWICE = 4, /* in metadata_store or in id_map */
    ID_POSITION = 8,
    ID_POSITION_BAD = 16,
    ID_REVERSE = 32,
    ID_REVERSE_BAD = 64,
};

/* What was said about a row. */
enum { ROW_TWICE = 1, ROW_REVERSE_BAD = 2 };

typedef struct {
    uint32_t entry; /* + 1; 0 is none */
    uint32_t flags;
} id_facts_t;

typedef struct {
    uint32_t by_map;     /* id + 1 that id_map puts here; 0 is none */
    uint32_t by_reverse; /* id + 1 that reverse_id_map puts here */
    uint32_t flags;
} row_facts_t;

struct catalog_build {
    catalog_t *catalog;
    size_t memory_limit;
    string_table_t ids;
    string_table_t terms;
    arena_t id_facts;
    arena_t row_facts;
    uint64_t events_begin; /* in SECTION_DOCUMENTS: of the entry that is being read */
    uint64_t events_end;
};

static arena_t *arena_of(catalog_build_t *self, section_t section)
{
    return &self->catalog->arenas[section];
}

static id_facts_t *facts_of_id(const catalog_build_t *self, uint32_t id)
{
    return (id_facts_t *)(void *)self->id_facts.base + id;
}

static row_facts_t *facts_of_row(const catalog_build_t *self, uint32_t row)
{
    return (row_facts_t *)(void *)self->row_facts.base + row;
}

static int no_memory(const catalog_build_t *self, error_t *error)
{
    return error_set(error, ERR_MEMORY, "%s: out of memory for its catalog",
                     self->catalog->file.path);
}

/* The shortest thing that names an id is `"":0,`; more ids than twice the rows are no metadata of
 * this index. */
static uint32_t limit_of_ids(uint32_t rows, uint64_t file_size)
{
    uint64_t limit = 2 * (uint64_t)rows + 65536;
    uint64_t most = file_size / 5 + 1;
    limit = limit < most ? limit : most;
    return limit < UINT32_MAX - 1 ? (uint32_t)limit : UINT32_MAX - 1;
}

/* Every string that is kept stands in the file at least as long, so the heap cannot outgrow it. */
static int reserve_sections(catalog_build_t *self, uint32_t id_limit)
{
    uint64_t file_size = self->catalog->file.size;
    size_t rows = self->catalog->rows;
    size_t events = self->catalog->level == LEVEL_STORYLINES ? file_size : 0;
    size_t heap = file_size + PROBLEM_LIST_LIMIT * (PROBLEM_ID_LIMIT + 1);
    return arena_reserve(arena_of(self, SECTION_HEAP), heap) &&
           arena_reserve(arena_of(self, SECTION_ENTRIES), id_limit * sizeof(catalog_entry_t)) &&
           arena_reserve(arena_of(self, SECTION_ROWS), rows * sizeof(uint32_t)) &&
           arena_reserve(arena_of(self, SECTION_ORDER), rows * sizeof(uint32_t)) &&
           arena_reserve(arena_of(self, SECTION_TERMS), file_size) &&
           arena_reserve(arena_of(self, SECTION_DOCUMENTS), events) &&
           arena_reserve(arena_of(self, SECTION_PROBLEMS),
                         PROBLEM_LIST_LIMIT * sizeof(catalog_problem_t)) &&
           arena_reserve(&self->id_facts, id_limit * sizeof(id_facts_t)) &&
           arena_reserve(&self->row_facts, rows * sizeof(row_facts_t));
}

int catalog_build_new(catalog_t *catalog, size_t memory_limit, catalog_build_t **out,
                      error_t *error)
{
    catalog_build_t *self = calloc(1, sizeof *self);
    *out = NULL;
    if (self == NULL)
        return error_set(error, ERR_MEMORY, "%s: out of memory", catalog->file.path);
    self->catalog = catalog;
    self->memory_limit = memory_limit;
    uint32_t id_limit = limit_of_ids(catalog->rows, catalog->file.size);
    uint64_t seed;
    memcpy(&seed, catalog->fingerprint.bytes, sizeof seed);
    arena_t *heap = arena_of(self, SECTION_HEAP);
    if (!reserve_sections(self, id_limit) || !string_table_init(&self->ids, heap, id_limit, seed) ||
        !string_table_init(&self->terms, heap, id_limit, seed)) {
        int code = no_memory(self, error);
        catalog_build_destroy(&self);
        return code;
    }
    *out = self;
    return OK;
}

void catalog_build_destroy(catalog_build_t **self)
{
    if (self == NULL || *self == NULL)
        return;
    string_table_release(&(*self)->ids);
    string_table_release(&(*self)->terms);
    arena_release(&(*self)->id_facts);
    arena_release(&(*self)->row_facts);
    free(*self);
    *self = NULL;
}

int catalog_build_id(catalog_build_t *self, const char *text, size_t length, uint32_t *id,
                     error_t *error)
{
    uint32_t before = self->ids.count;
    if (!string_table_number(&self->ids, text, length, id))
        return error_set(error, ERR_INPUT,
                         "%s: names more than %" PRIu32 " vector ids; its index has %" PRIu32
                         " rows",
                         self->catalog->file.path, self->ids.limit, self->catalog->rows);
    if (self->ids.count > before)
        arena_take(&self->id_facts, sizeof(id_facts_t));
    return OK;
}

/* The part of `source` before `_event_<digits>`, `_entity_<digits>` or `_storyline_<digits>`; 0
 * when it does not end so. */
static size_t document_length(const char *source, size_t length)
{
    static const char *const marks[] = {"_event_", "_entity_", "_storyline_"};
    size_t end = length;
    while (end > 0 && source[end - 1] >= '0' && source[end - 1] <= '9')
        end--;
    if (end == length)
        return 0;
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        size_t mark = strlen(marks[i]);
        if (end > mark && memcmp(source + end - mark, marks[i], mark) == 0)
            return end - mark;
    }
    return 0;
}

int catalog_build_event(catalog_build_t *self, const char *text, size_t length, error_t *error)
{
    size_t document = document_length(text, length);
    if (document == 0 || self->catalog->level != LEVEL_STORYLINES)
        return OK;
    string_ref_t *ref = arena_take(arena_of(self, SECTION_DOCUMENTS), sizeof *ref);
    if (ref == NULL || !string_heap_put(arena_of(self, SECTION_HEAP), text, document, ref))
        return no_memory(self, error);
    self->events_end++;
    return OK;
}

static const char *text_of(const catalog_build_t *self, string_ref_t ref)
{
    return self->catalog->arenas[SECTION_HEAP].base + string_ref_offset(ref);
}

/* Keeps `view`, as a part of `whole` when it stands at its end or its beginning. */
static int keep_within(catalog_build_t *self, string_ref_t whole, string_view_t view,
                       string_ref_t *out)
{
    size_t length = string_ref_length(whole);
    if (view.length <= length) {
        const char *text = text_of(self, whole);
        uint64_t offset = string_ref_offset(whole);
        size_t tail = length - view.length;
        if (memcmp(text + tail, view.text, view.length) == 0) {
            *out = string_ref(offset + tail, view.length);
            return 1;
        }
        if (memcmp(text, view.text, view.length) == 0) {
            *out = string_ref(offset, view.length);
            return 1;
        }
    }
    return string_heap_put(arena_of(self, SECTION_HEAP), view.text, view.length, out);
}

static int keep_term(catalog_build_t *self, string_view_t view, uint32_t *out)
{
    uint32_t number;
    *out = 0;
    if (view.length == 0)
        return 1;
    uint32_t before = self->terms.count;
    if (!string_table_number(&self->terms, view.text, view.length, &number))
        return 0;
    *out = number + 1;
    if (self->terms.count == before)
        return 1;
    string_ref_t *ref = arena_take(arena_of(self, SECTION_TERMS), sizeof *ref);
    if (ref != NULL)
        *ref = string_table_ref(&self->terms, number);
    return ref != NULL;
}

typedef struct {
    const char *heap;
} by_bytes_t;

static int compare_refs(const void *a, const void *b, void *context)
{
    const char *heap = ((const by_bytes_t *)context)->heap;
    string_ref_t left, right;
    memcpy(&left, a, sizeof left);
    memcpy(&right, b, sizeof right);
    size_t left_length = string_ref_length(left), right_length = string_ref_length(right);
    size_t common = left_length < right_length ? left_length : right_length;
    int order = memcmp(heap + string_ref_offset(left), heap + string_ref_offset(right), common);
    return order != 0 ? order : (left_length > right_length) - (left_length < right_length);
}

/* The storyline's documents, each once, in the order of their bytes. */
static void settle_documents(catalog_build_t *self, catalog_entry_t *entry)
{
    string_ref_t *documents =
        (string_ref_t *)(void *)arena_of(self, SECTION_DOCUMENTS)->base + self->events_begin;
    uint64_t count = self->events_end - self->events_begin;
    uint64_t kept = 0;
    by_bytes_t context = {arena_of(self, SECTION_HEAP)->base};
    if (count > 0) {
        if (string_ref_length(entry->document_id) == 0)
            entry->document_id = documents[0];
        qsort_r(documents, count, sizeof *documents, compare_refs, &context);
    }
    for (uint64_t i = 0; i < count; i++) {
        if (kept == 0 || compare_refs(&documents[kept - 1], &documents[i], &context) != 0)
            documents[kept++] = documents[i];
    }
    entry->document_begin = self->events_begin;
    entry->document_count = kept;
}

static int keep_document(catalog_build_t *self, const entry_facts_t *facts, catalog_entry_t *entry)
{
    if (facts->document_id.length > 0)
        return keep_within(self, entry->source_id, facts->document_id, &entry->document_id);
    size_t length = string_ref_length(entry->source_id);
    if (self->catalog->level != LEVEL_DOCUMENTS)
        length = document_length(text_of(self, entry->source_id), length);
    entry->document_id = string_ref(string_ref_offset(entry->source_id), length);
    return 1;
}

static int keep_entry(catalog_build_t *self, uint32_t id, const entry_facts_t *facts,
                      error_t *error)
{
    catalog_entry_t *entry = arena_take(arena_of(self, SECTION_ENTRIES), sizeof *entry);
    if (entry == NULL)
        return no_memory(self, error);
    entry->vector_id = string_table_ref(&self->ids, id);
    entry->time_ms = facts->time_ms;
    entry->time_end_ms = facts->time_end_ms != TIME_NONE ? facts->time_end_ms : facts->time_ms;
    entry->metadata_offset = facts->metadata_offset;
    entry->metadata_length = facts->metadata_length;
    string_view_t text = facts->text;
    text.length = utf8_cut(text.text, text.length, TEXT_LIMIT);
    if (!keep_within(self, entry->vector_id, facts->source_id, &entry->source_id) ||
        !keep_document(self, facts, entry) ||
        !string_heap_put(arena_of(self, SECTION_HEAP), text.text, text.length, &entry->text) ||
        !keep_term(self, facts->domain, &entry->domain) ||
        !keep_term(self, facts->type, &entry->type))
        return no_memory(self, error);
    settle_documents(self, entry);
    size_t number = arena_of(self, SECTION_ENTRIES)->used / sizeof *entry;
    facts_of_id(self, id)->entry = (uint32_t)number;
    return OK;
}

int catalog_build_entry(catalog_build_t *self, uint32_t id, const entry_facts_t *facts,
                        error_t *error)
{
    id_facts_t *known = facts_of_id(self, id);
    int code = OK;
    int bad = facts->source_id.length == 0 || facts->metadata_length == 0 || facts->other_level;
    if (known->flags & (ID_ENTRY | ID_ENTRY_BAD))
        known->flags |= ID_TWICE; /* which of the two would be meant? neither is taken */
    else if (bad)
        known->flags |= ID_ENTRY_BAD;
    else
        code = keep_entry(self, id, facts, error);
    known->flags |= bad ? 0 : ID_ENTRY;
    self->events_begin = self->events_end;
    return code;
}

void catalog_build_position(catalog_build_t *self, uint32_t id, uint32_t row)
{
    id_facts_t *facts = facts_of_id(self, id);
    if (facts->flags & (ID_POSITION | ID_POSITION_BAD))
        facts->flags |= ID_TWICE;
    if (row == NO_ROW || row >= self->catalog->rows) {
        facts->flags |= ID_POSITION_BAD;
        return;
    }
    facts->flags |= ID_POSITION;
    row_facts_t *there = facts_of_row(self, row);
    if (there->by_map != 0 && there->by_map != id + 1)
        there->flags |= ROW_TWICE;
    else
        there->by_map = id + 1;
}

void catalog_build_reverse(catalog_build_t *self, uint32_t row, uint32_t id)
{
    id_facts_t *facts = facts_of_id(self, id);
    if (row == NO_ROW || row >= self->catalog->rows) {
        facts->flags |= ID_REVERSE_BAD;
        return;
    }
    facts->flags |= ID_REVERSE;
    row_facts_t *there = facts_of_row(self, row);
    if (there->by_reverse != 0)
        there->flags |= ROW_TWICE;
    else
        there->by_reverse = id + 1;
}

void catalog_build_reverse_bad(catalog_build_t *self, uint32_t row)
{
    if (row == NO_ROW || row >= self->catalog->rows)
        self->catalog->problem_counts[PROBLEM_BAD_POSITION]++;
    else
        facts_of_row(self, row)->flags |= ROW_REVERSE_BAD;
}

int catalog_build_check_memory(const catalog_build_t *self, error_t *error)
{
    size_t used = string_table_memory(&self->ids) + string_table_memory(&self->terms) +
                  self->id_facts.used + self->row_facts.capacity;
    for (int i = 0; i < SECTION_COUNT; i++)
        used += self->catalog->arenas[i].used;
    /* To come: the row and order columns, and the sort's two buffers of 16 bytes a row. */
    used += (size_t)self->catalog->rows * (2 * sizeof(uint32_t) + 32);
    if (used <= self->memory_limit)
        return OK;
    return error_set(error, ERR_MEMORY, "%s: its catalog needs more than the %zu MiB allowed",
                     self->catalog->file.path, self->memory_limit >> 20);
}

static void note_problem(catalog_build_t *self, problem_kind_t kind, uint32_t row, uint32_t id)
{
    self->catalog->problem_counts[kind]++;
    arena_t *heap = arena_of(self, SECTION_HEAP);
    catalog_problem_t *problem = arena_take(arena_of(self, SECTION_PROBLEMS), sizeof *problem);
    if (problem == NULL)
        return; /* the list is full, the count goes on */
    *problem = (catalog_problem_t){kind, row, string_ref(heap->used, 0)};
    if (id != 0) {
        string_ref_t ref = string_table_ref(&self->ids, id - 1);
        const char *text = text_of(self, ref);
        size_t length = utf8_cut(text, string_ref_length(ref), PROBLEM_ID_LIMIT);
        string_heap_put(heap, text, length, &problem->vector_id);
    }
    arena_take(heap, 1); /* the NUL */
}

/* The one thing that is wrong with a row, the deepest cause first; PROBLEM_KIND_COUNT: nothing. */
static problem_kind_t problem_of_row(const catalog_build_t *self, uint32_t row)
{
    const row_facts_t *facts = facts_of_row(self, row);
    if (facts->flags & ROW_TWICE)
        return PROBLEM_DUPLICATE_ID;
    if (facts->by_map == 0 && facts->by_reverse == 0)
        return PROBLEM_NO_METADATA;
    if (facts->by_map != facts->by_reverse || facts->flags & ROW_REVERSE_BAD)
        return PROBLEM_MAPS_DISAGREE;
    const id_facts_t *id = facts_of_id(self, facts->by_map - 1);
    if (id->flags & ID_TWICE)
        return PROBLEM_DUPLICATE_ID;
    if (id->flags & ID_REVERSE_BAD)
        return PROBLEM_MAPS_DISAGREE;
    if (id->flags & ID_ENTRY_BAD)
        return PROBLEM_BAD_ENTRY;
    return id->flags & ID_ENTRY ? PROBLEM_KIND_COUNT : PROBLEM_NO_METADATA;
}

static void settle_rows(catalog_build_t *self)
{
    uint32_t rows = self->catalog->rows;
    uint32_t *entry_of_row = arena_take(arena_of(self, SECTION_ROWS), rows * sizeof(uint32_t));
    uint32_t *order = (uint32_t *)(void *)arena_of(self, SECTION_ORDER)->base;
    size_t valid = 0;
    for (uint32_t row = 0; row < rows; row++) {
        const row_facts_t *facts = facts_of_row(self, row);
        problem_kind_t problem = problem_of_row(self, row);
        if (problem == PROBLEM_KIND_COUNT) {
            entry_of_row[row] = facts_of_id(self, facts->by_map - 1)->entry;
            order[valid++] = row;
        } else {
            note_problem(self, problem, row, facts->by_map ? facts->by_map : facts->by_reverse);
        }
    }
    arena_take(arena_of(self, SECTION_ORDER), valid * sizeof(uint32_t));
}

/* Ids that no row was charged with. */
static void settle_ids(catalog_build_t *self)
{
    for (uint32_t id = 0; id < self->ids.count; id++) {
        uint32_t flags = facts_of_id(self, id)->flags;
        if (flags & ID_POSITION)
            continue;
        if (flags & (ID_POSITION_BAD | ID_REVERSE_BAD))
            note_problem(self, PROBLEM_BAD_POSITION, NO_ROW, id + 1);
        else if ((flags & ID_REVERSE) == 0)
            note_problem(self, PROBLEM_NO_POSITION, NO_ROW, id + 1);
    }
}

int catalog_build_finish(catalog_build_t *self, error_t *error)
{
    catalog_t *catalog = self->catalog;
    settle_rows(self);
    settle_ids(self);
    for (int i = 0; i < SECTION_COUNT; i++) {
        catalog->sections[i].data = catalog->arenas[i].base;
        catalog->sections[i].bytes = catalog->arenas[i].used;
    }
    if (!sort_rows_by_id(catalog, (uint32_t *)(void *)arena_of(self, SECTION_ORDER)->base))
        return no_memory(self, error);
    return OK;
}
