/* level_files.h - the index and the catalog of one level, opened together. */
#ifndef STAGE4_COORDINATOR_OUTPUT_LEVEL_FILES_H
#define STAGE4_COORDINATOR_OUTPUT_LEVEL_FILES_H

#include "common/input/catalog.h"
#include "common/input/flat_index.h"

typedef struct {
    flat_index_t *index;
    catalog_t *catalog;
} level_files_t;

/* <folder>/<plural>.index and <plural>_metadata.json. The errors of flat_index_open, catalog_open.
 */
int level_files_open(level_files_t *self, const char *indices_folder, const char *cache_folder,
                     level_t level, uint32_t dimension, error_t *error);
void level_files_close(level_files_t *self);

#endif
