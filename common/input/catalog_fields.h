/* catalog_fields.h - the places of a metadata file and the keys that mean something there, as
 * tables. */
#ifndef STAGE4_COMMON_INPUT_CATALOG_FIELDS_H
#define STAGE4_COMMON_INPUT_CATALOG_FIELDS_H

#include "common/level.h"

#include <stddef.h>

typedef enum {
    PLACE_START,
    PLACE_TOP,         /* {"metadata_store": ..., "id_map": ..., "reverse_id_map": ...} */
    PLACE_STORE,       /* {"<vector_id>": entry} */
    PLACE_ENTRY,       /* {"source_id", "embedding_type", "metadata"} */
    PLACE_METADATA,    /* the fields of one level */
    PLACE_SPAN,        /* [start, end] */
    PLACE_EVENTS,      /* [event id, ...] */
    PLACE_ID_MAP,      /* {"<vector_id>": position} */
    PLACE_REVERSE_MAP, /* {"<position>": "<vector_id>"} */
    PLACE_END
} place_t;

typedef enum {
    FIELD_NONE,
    FIELD_STORE,
    FIELD_ID_MAP,
    FIELD_REVERSE_MAP,
    FIELD_VECTOR_ID, /* any key of metadata_store or id_map */
    FIELD_POSITION,  /* any key of reverse_id_map */
    FIELD_METADATA,
    FIELD_SPAN,
    FIELD_EVENTS,
    FIELD_TIME,
    FIELD_EMBEDDING_TYPE,
    FIELD_SOURCE_ID, /* from here on: strings that are kept */
    FIELD_DOCUMENT_ID,
    FIELD_TEXT,
    FIELD_DOMAIN,
    FIELD_TYPE,
    FIELD_COUNT
} field_t;

#define FIRST_KEPT_FIELD FIELD_SOURCE_ID

/* What a key means at a place in the file of a level; FIELD_NONE when nothing. */
field_t catalog_field(place_t place, level_t level, const char *key, size_t length);

/* Where a map or a list under `field` leads from `from`; `from` when it is of no interest. */
place_t catalog_enter(place_t from, field_t field, int is_map);
place_t catalog_leave(place_t from);

#endif
