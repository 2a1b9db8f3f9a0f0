#include "coordinator/output/cluster_build.h"

#include "common/clock.h"
#include "coordinator/output/cluster_label.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TALLIES(self)                                                                              \
    {                                                                                              \
        &(self)->documents, &(self)->entities, &(self)->domains, &(self)->types,                   \
            &(self)->mentions, &(self)->events, &(self)->categories                                \
    }
#define TALLY_COUNT 7

void cluster_clear(cluster_t *self)
{
    tally_t *tallies[TALLY_COUNT] = TALLIES(self);
    for (size_t i = 0; i < TALLY_COUNT; i++)
        tally_clear(tallies[i]);
    free(self->members);
    *self = (cluster_t){0};
}

static void reset(cluster_t *self)
{
    tally_t *tallies[TALLY_COUNT] = TALLIES(self);
    for (size_t i = 0; i < TALLY_COUNT; i++)
        tally_reset(tallies[i]);
    self->time_start_ms = TIME_NONE;
    self->time_end_ms = TIME_NONE;
    self->word_sum = 0;
    self->word_count = 0;
}

static int tallies_failed(cluster_t *self)
{
    tally_t *tallies[TALLY_COUNT] = TALLIES(self);
    int failed = 0;
    for (size_t i = 0; i < TALLY_COUNT; i++)
        failed |= tallies[i]->failed;
    return failed;
}

static int by_vector_id(const void *a, const void *b, void *context)
{
    const catalog_t *catalog = context;
    return view_compare(catalog_vector_id(catalog, ((const cluster_member_t *)a)->row),
                        catalog_vector_id(catalog, ((const cluster_member_t *)b)->row));
}

static int take_members(cluster_t *self, const cluster_source_t *source, error_t *error)
{
    const outcome_cluster_t *from = &self->from;
    if (from->size > self->member_capacity) {
        cluster_member_t *members = realloc(self->members, from->size * sizeof *members);
        if (!members)
            return error_set(error, ERR_MEMORY, "no memory for a cluster of %u", from->size);
        self->members = members;
        self->member_capacity = from->size;
    }
    for (uint32_t i = 0; i < from->size; i++) {
        uint32_t row = outcome_row(source->outcome, from->slots[i]);
        if (row >= catalog_rows(source->catalog) || !catalog_row_valid(source->catalog, row))
            return error_set(error, ERR_PROTOCOL, "the outcome has row %u, which was left out",
                             row);
        self->members[i] = (cluster_member_t){from->slots[i], row, from->similarity[i]};
    }
    qsort_r(self->members, from->size, sizeof *self->members, by_vector_id,
            (void *)source->catalog);
    return OK;
}

/* "event_cluster_" and 16 hex digits of a hash over the job's identity and the member ids: the same
 * members found by the same job have the same id, whatever the rows and the other clusters are. */
static void name_cluster(cluster_t *self, const cluster_source_t *source)
{
    char hex[65];
    sha256_stream_t *stream = sha256_stream_new();
    sha256_stream_add(stream, source->identity.bytes, sizeof source->identity.bytes);
    for (uint32_t i = 0; i < self->from.size; i++) {
        string_view_t id = catalog_vector_id(source->catalog, self->members[i].row);
        sha256_stream_add(stream, id.text, id.length);
        sha256_stream_add(stream, "", 1); /* the NUL: ids cannot run into each other */
    }
    sha256_t hash = sha256_stream_finish(&stream);
    sha256_hex(&hash, hex);
    snprintf(self->id, sizeof self->id, "%s_cluster_%.16s", level_singular(source->spec->level),
             hex);
}

static void add_strings(tally_t *tally, const json_t *array)
{
    size_t index;
    json_t *value;
    json_array_foreach(array, index, value) if (json_is_string(value))
        tally_add_copy(tally, json_string_value(value), json_string_length(value));
}

/* What the catalog has no column for. */
static int add_metadata(cluster_t *self, const cluster_source_t *source, uint32_t row,
                        error_t *error)
{
    char *raw = NULL;
    size_t length = 0;
    int code = catalog_metadata(source->catalog, row, &raw, &length, error);
    if (code != OK)
        return code;
    json_t *metadata = json_loadb(raw, length, 0, NULL);
    free(raw);
    if (source->spec->level == LEVEL_STORYLINES) {
        add_strings(&self->entities, json_object_get(metadata, "primary_entities"));
        add_strings(&self->events, json_object_get(metadata, "event_ids"));
    } else {
        const json_t *words = json_object_get(metadata, "word_count");
        add_strings(&self->categories, json_object_get(metadata, "categories"));
        if (json_is_number(words)) {
            self->word_sum += json_number_value(words);
            self->word_count++;
        }
    }
    json_decref(metadata);
    return OK;
}

static void add_time(cluster_t *self, int64_t start_ms, int64_t end_ms)
{
    if (start_ms != TIME_NONE &&
        (self->time_start_ms == TIME_NONE || start_ms < self->time_start_ms))
        self->time_start_ms = start_ms;
    if (end_ms != TIME_NONE && (self->time_end_ms == TIME_NONE || end_ms > self->time_end_ms))
        self->time_end_ms = end_ms;
}

/* An open end is as long as what is known. */
static void close_span(cluster_t *self)
{
    if (self->time_start_ms == TIME_NONE)
        self->time_start_ms = self->time_end_ms;
    if (self->time_end_ms == TIME_NONE || self->time_end_ms < self->time_start_ms)
        self->time_end_ms = self->time_start_ms;
}

static int add_member(cluster_t *self, const cluster_source_t *source, uint32_t row, error_t *error)
{
    const catalog_t *catalog = source->catalog;
    level_t level = source->spec->level;
    add_time(self, catalog_time_ms(catalog, row), catalog_time_end_ms(catalog, row));
    tally_add(&self->domains, catalog_domain_long(catalog, row));
    tally_add(&self->types, catalog_type(catalog, row));
    for (size_t i = 0; i < catalog_document_count(catalog, row); i++)
        tally_add(&self->documents, catalog_document(catalog, row, i));
    if (level == LEVEL_ENTITIES)
        tally_add(&self->mentions, catalog_text(catalog, row));
    if (level == LEVEL_DOCUMENTS || level == LEVEL_STORYLINES)
        return add_metadata(self, source, row, error);
    return OK;
}

/* Storylines bring their own, entities are their own, the others are looked up by document. */
static void add_entities(cluster_t *self, const cluster_source_t *source)
{
    tally_t *from = source->spec->level == LEVEL_ENTITIES ? &self->mentions : NULL;
    if (source->spec->level == LEVEL_DOCUMENTS || source->spec->level == LEVEL_EVENTS)
        for (size_t i = 0; i < self->documents.count; i++)
            entity_join_add(source->entities, self->documents.entries[i].text, &self->entities);
    for (size_t i = 0; from && i < from->count; i++) {
        tally_add(&self->entities, from->entries[i].text);
        if (!self->entities.failed)
            self->entities.entries[self->entities.count - 1].count = from->entries[i].count;
    }
    tally_by_count(&self->entities);
}

int cluster_build(cluster_t *self, const cluster_source_t *source, uint32_t number, error_t *error)
{
    reset(self);
    int code = outcome_cluster(source->outcome, number, &self->from, error);
    if (code == OK)
        code = take_members(self, source, error);
    for (uint32_t i = 0; code == OK && i < self->from.size; i++)
        code = add_member(self, source, self->members[i].row, error);
    if (code != OK)
        return code;
    close_span(self);
    tally_by_bytes(&self->documents);
    tally_by_bytes(&self->events);
    tally_by_count(&self->domains);
    tally_by_count(&self->types);
    tally_by_count(&self->mentions);
    tally_by_count(&self->categories);
    add_entities(self, source);
    name_cluster(self, source);
    cluster_label(self, source, self->label);
    if (tallies_failed(self))
        return error_set(error, ERR_MEMORY, "no memory for a cluster of %u", self->from.size);
    return OK;
}
