#include "common/input/catalog.h"
#include "common/clock.h"
#include "common/input/catalog_build.h"
#include "common/input/catalog_cache.h"
#include "common/input/catalog_parts.h"
#include "common/input/catalog_stream.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define MEMORY_LIMIT_DEFAULT ((size_t)1 << 30)

static void release_arenas(catalog_t *self)
{
    for (int i = 0; i < SECTION_COUNT; i++)
        arena_release(&self->arenas[i]);
}

static int build_once(catalog_t *self, size_t memory_limit, int non_finite, int *retry,
                      error_t *error)
{
    catalog_build_t *build = NULL;
    *retry = 0;
    int code = catalog_build_new(self, memory_limit, &build, error);
    if (code == OK)
        code = catalog_stream(&self->file, self->level, build, non_finite, retry, error);
    if (code == OK)
        code = catalog_build_finish(build, error);
    catalog_build_destroy(&build);
    if (code != OK)
        release_arenas(self);
    return code;
}

/* A file with NaN in it is rare: it is found out when plain JSON fails there, and read again. */
static int build(catalog_t *self, size_t memory_limit, error_t *error)
{
    int retry;
    int code = build_once(self, memory_limit, 0, &retry, error);
    if (code != OK && retry) {
        memset(self->problem_counts, 0, sizeof self->problem_counts);
        code = build_once(self, memory_limit, 1, &retry, error);
    }
    return code == OK ? catalog_check(self, error) : code;
}

/* A cache that cannot be written is no reason to fail: the catalog is there. */
static void settle_in_cache(catalog_t *self, const char *cache_folder)
{
    if (catalog_cache_save(self, cache_folder) && catalog_cache_load(self, cache_folder))
        release_arenas(self);
}

static void list_problems(catalog_t *self)
{
    const catalog_section_t *section = &self->sections[SECTION_PROBLEMS];
    const catalog_problem_t *problems = section->data;
    size_t count = section->bytes / sizeof *problems;
    const catalog_section_t *heap = &self->sections[SECTION_HEAP];
    for (size_t i = 0; i < count && i < PROBLEM_LIST_LIMIT; i++) {
        uint64_t offset = string_ref_offset(problems[i].vector_id);
        const char *text = offset < heap->bytes ? (const char *)heap->data + offset : "";
        self->problems[i] = (problem_t){(problem_kind_t)problems[i].kind, problems[i].row, text};
        self->problem_total++;
    }
}

int catalog_open(const char *metadata_path, level_t level, uint32_t rows, const char *cache_folder,
                 size_t memory_limit, catalog_t **out, error_t *error)
{
    *out = NULL;
    catalog_t *self = calloc(1, sizeof *self);
    if (self == NULL)
        return error_set(error, ERR_MEMORY, "%s: out of memory", metadata_path);
    self->level = level;
    self->rows = rows;
    int code = source_file_open(metadata_path, &self->file, error);
    if (code == OK)
        code = source_file_sample(&self->file, 0, CATALOG_SAMPLE_BLOCK, &self->fingerprint, error);
    if (code != OK)
        goto fail;
    if (cache_folder == NULL || !catalog_cache_load(self, cache_folder)) {
        code = build(self, memory_limit ? memory_limit : MEMORY_LIMIT_DEFAULT, error);
        if (code != OK)
            goto fail;
        if (cache_folder != NULL)
            settle_in_cache(self, cache_folder);
    }
    list_problems(self);
    *out = self;
    return OK;
fail:
    catalog_close(&self);
    return code;
}

void catalog_close(catalog_t **self)
{
    if (self == NULL || *self == NULL)
        return;
    release_arenas(*self);
    if ((*self)->mapping != NULL)
        munmap((*self)->mapping, (*self)->mapping_bytes);
    source_file_close(&(*self)->file);
    free(*self);
    *self = NULL;
}

int catalog_check(const catalog_t *self, error_t *error)
{
    return source_file_check(&self->file, 0, CATALOG_SAMPLE_BLOCK, &self->fingerprint, error);
}
