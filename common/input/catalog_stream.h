/* catalog_stream.h - the metadata JSON, piece by piece, into a build; the only file that knows
 * yajl.
 *
 * Memory: one piece of the file, one entry's strings. A string over 1 MiB, a key over 64 KiB, more
 * than 64 levels of nesting and malformed UTF-8 are errors. */
#ifndef STAGE4_COMMON_INPUT_CATALOG_STREAM_H
#define STAGE4_COMMON_INPUT_CATALOG_STREAM_H

#include "common/input/catalog_build.h"

#define CATALOG_DEPTH_LIMIT 64
#define CATALOG_KEY_LIMIT (64u << 10)

/* `non_finite` allows NaN and the infinities, at the price of one more pass over every piece. Sets
 * *retry when it was not set and the text fails at what may be one of them. ERR_INPUT with the byte
 * offset, or what reading and building return. */
int catalog_stream(const source_file_t *file, level_t level, catalog_build_t *build, int non_finite,
                   int *retry, error_t *error);

#endif
