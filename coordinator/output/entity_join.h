/* entity_join.h - which entities a document mentions, from the entities level of the same folder.
 *
 * Documents and events carry no entities of their own; the entities level does, with the document
 * each was found in. A document that mentions an entity five times mentions it once. */
#ifndef STAGE4_COORDINATOR_OUTPUT_ENTITY_JOIN_H
#define STAGE4_COORDINATOR_OUTPUT_ENTITY_JOIN_H

#include "coordinator/output/tally.h"

typedef struct entity_join entity_join_t;

/* Reads the entities level of `indices_folder`. OK and *out NULL when the folder has none. */
int entity_join_open(const char *indices_folder, const char *cache_folder, uint32_t dimension,
                     entity_join_t **out, error_t *error);
void entity_join_close(entity_join_t **self);

/* Adds the entities of one document to the tally; nothing when self is NULL. */
void entity_join_add(const entity_join_t *self, string_view_t document_id, tally_t *tally);

#endif
