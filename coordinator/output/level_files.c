#include "coordinator/output/level_files.h"

#include <limits.h>
#include <stdio.h>

int level_files_open(level_files_t *self, const char *indices_folder, const char *cache_folder,
                     level_t level, uint32_t dimension, error_t *error)
{
    char path[PATH_MAX];
    *self = (level_files_t){0};
    snprintf(path, sizeof path, "%s/%s.index", indices_folder, level_plural(level));
    int code = flat_index_open(path, dimension, &self->index, error);
    if (code != OK)
        return code;
    snprintf(path, sizeof path, "%s/%s_metadata.json", indices_folder, level_plural(level));
    code = catalog_open(path, level, flat_index_rows(self->index), cache_folder, 0, &self->catalog,
                        error);
    if (code != OK)
        level_files_close(self);
    return code;
}

void level_files_close(level_files_t *self)
{
    if (self->catalog)
        catalog_close(&self->catalog);
    if (self->index)
        flat_index_close(&self->index);
}
