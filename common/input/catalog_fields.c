#include "common/input/catalog_fields.h"

#include <string.h>

#define DOCUMENTS (1u << LEVEL_DOCUMENTS)
#define EVENTS (1u << LEVEL_EVENTS)
#define ENTITIES (1u << LEVEL_ENTITIES)
#define STORYLINES (1u << LEVEL_STORYLINES)
#define ALL (DOCUMENTS | EVENTS | ENTITIES | STORYLINES)

typedef struct {
    place_t place;
    unsigned levels;
    const char *key;
    field_t field;
} key_row_t;

static const key_row_t KEYS[] = {
    {PLACE_TOP, ALL, "metadata_store", FIELD_STORE},
    {PLACE_TOP, ALL, "id_map", FIELD_ID_MAP},
    {PLACE_TOP, ALL, "reverse_id_map", FIELD_REVERSE_MAP},
    {PLACE_ENTRY, ALL, "source_id", FIELD_SOURCE_ID},
    {PLACE_ENTRY, ALL, "embedding_type", FIELD_EMBEDDING_TYPE},
    {PLACE_ENTRY, ALL, "metadata", FIELD_METADATA},
    {PLACE_METADATA, ALL, "document_id", FIELD_DOCUMENT_ID},
    {PLACE_METADATA, ALL, "domain", FIELD_DOMAIN},
    {PLACE_METADATA, DOCUMENTS, "title", FIELD_TEXT},
    {PLACE_METADATA, DOCUMENTS | ENTITIES, "publication_date", FIELD_TIME},
    {PLACE_METADATA, EVENTS, "event_type", FIELD_TYPE},
    {PLACE_METADATA, EVENTS, "event_description", FIELD_TEXT},
    {PLACE_METADATA, EVENTS | ENTITIES, "temporal_reference", FIELD_TIME},
    {PLACE_METADATA, ENTITIES, "entity_type", FIELD_TYPE},
    {PLACE_METADATA, ENTITIES, "entity_text", FIELD_TEXT},
    {PLACE_METADATA, STORYLINES, "storyline_summary", FIELD_TEXT},
    {PLACE_METADATA, STORYLINES, "temporal_span", FIELD_SPAN},
    {PLACE_METADATA, STORYLINES, "event_ids", FIELD_EVENTS},
};

typedef struct {
    place_t from;
    field_t field;
    int is_map;
    place_t to;
} door_t;

static const door_t DOORS[] = {
    {PLACE_START, FIELD_NONE, 1, PLACE_TOP},
    {PLACE_TOP, FIELD_STORE, 1, PLACE_STORE},
    {PLACE_TOP, FIELD_ID_MAP, 1, PLACE_ID_MAP},
    {PLACE_TOP, FIELD_REVERSE_MAP, 1, PLACE_REVERSE_MAP},
    {PLACE_STORE, FIELD_VECTOR_ID, 1, PLACE_ENTRY},
    {PLACE_ENTRY, FIELD_METADATA, 1, PLACE_METADATA},
    {PLACE_METADATA, FIELD_SPAN, 0, PLACE_SPAN},
    {PLACE_METADATA, FIELD_EVENTS, 0, PLACE_EVENTS},
};

field_t catalog_field(place_t place, level_t level, const char *key, size_t length)
{
    if (place == PLACE_STORE || place == PLACE_ID_MAP)
        return FIELD_VECTOR_ID;
    if (place == PLACE_REVERSE_MAP)
        return FIELD_POSITION;
    for (size_t i = 0; i < sizeof KEYS / sizeof *KEYS; i++) {
        const key_row_t *row = &KEYS[i];
        if (row->place == place && (row->levels & 1u << level) && strlen(row->key) == length &&
            memcmp(row->key, key, length) == 0)
            return row->field;
    }
    return FIELD_NONE;
}

place_t catalog_enter(place_t from, field_t field, int is_map)
{
    for (size_t i = 0; i < sizeof DOORS / sizeof *DOORS; i++) {
        if (DOORS[i].from == from && DOORS[i].field == field && DOORS[i].is_map == is_map)
            return DOORS[i].to;
    }
    return from;
}

place_t catalog_leave(place_t from)
{
    for (size_t i = 0; i < sizeof DOORS / sizeof *DOORS; i++) {
        if (DOORS[i].to == from)
            return from == PLACE_TOP ? PLACE_END : DOORS[i].from;
    }
    return PLACE_END;
}
