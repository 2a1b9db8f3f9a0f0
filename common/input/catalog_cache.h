/* catalog_cache.h - a built catalog as one file, to be mapped the next time.
 *
 * <folder>/<level>-<first 32 digits of the metadata's fingerprint>-<rows>.catalog: a header with
 * magic, version, what it was built from, the sizes and a checksum; then the sections. Written to a
 * temporary file, renamed; not synced. The format is this machine's own: a file that does not verify
 * is no error, it is built again. */
#ifndef STAGE4_COMMON_INPUT_CATALOG_CACHE_H
#define STAGE4_COMMON_INPUT_CATALOG_CACHE_H

#include "common/input/catalog_parts.h"

/* 1 when the sections of `self` (level, rows, file and fingerprint set) are mapped, else 0 and
 * `self` untouched. */
int catalog_cache_load(catalog_t *self, const char *folder);

/* 1 when the file is there and durable, else 0 and nothing is left behind. */
int catalog_cache_save(const catalog_t *self, const char *folder);

/* Removes the catalogs of the folder that nobody has used for so long, also those of metadata that
 * have changed since. Returns how many. */
size_t catalog_cache_sweep(const char *folder, int64_t now_s, int64_t unused_s);

#endif
