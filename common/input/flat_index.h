/* flat_index.h - rows of a FAISS flat index, read in place.
 *
 * Reads IxFI (inner product), IxF2 (L2) and IxFl (flat, metric in the header) with our own parser.
 * Every header field is checked against the file size before anything is allocated; rows are read
 * with pread, never mapped (a mapped file truncated under us would kill the process, pread gives an
 * error). Little-endian float32 only, as FAISS writes it. Read-only: no file is ever written.
 * Several threads may read from one flat_index_t at once. */
#ifndef STAGE4_COMMON_INPUT_FLAT_INDEX_H
#define STAGE4_COMMON_INPUT_FLAT_INDEX_H

#include "common/error.h"
#include "common/sha256.h"

#include <stddef.h>
#include <stdint.h>

#define CONTRACT_DIMENSION 768
#define DIMENSION_LIMIT 2048

typedef enum { INDEX_INNER_PRODUCT, INDEX_L2 } index_metric_t;

typedef struct flat_index flat_index_t;

/* Opens `path`. `dimension` is what the file must hold (768 is the contract). ERR_NOT_FOUND, ERR_IO
 * or ERR_INPUT with file, offset and what was expected. */
int flat_index_open(const char *path, uint32_t dimension, flat_index_t **out, error_t *error);
void flat_index_close(flat_index_t **self);

uint32_t flat_index_rows(const flat_index_t *self);
uint32_t flat_index_dimension(const flat_index_t *self);
index_metric_t flat_index_metric(const flat_index_t *self);
const char *flat_index_path(const flat_index_t *self);

/* rows [first, first + count) into `out` (count x dimension floats). ERR_CHANGED on a short read. */
int flat_index_read(const flat_index_t *self, uint32_t first, uint32_t count, float *out,
                    error_t *error);

/* The listed rows, in the order of the list. Runs of successive rows are read at once. */
int flat_index_read_list(const flat_index_t *self, const uint32_t *rows, size_t count, float *out,
                         error_t *error);

/* The content's identity: SHA-256 over header, size and a fixed sample of the rows. A copy of the
 * file has the same. Computed at open. */
sha256_t flat_index_fingerprint(const flat_index_t *self);

/* OK when the file (by path) still is what was opened: device, inode, size, mtime and the sampled
 * hash. ERR_CHANGED with a message that says which differs. */
int flat_index_check(const flat_index_t *self, error_t *error);
/* 1 when it is as far as device, inode, size and mtime tell: nothing is read. */
int flat_index_same(const flat_index_t *self);

#endif
