/* source_file.h - one read-only input file, and the proof that it still is what was opened.
 *
 * Stage 3 may replace a file under us. Every read is a pread on the descriptor that was opened, and
 * a snapshot (device, inode, size, mtime) with a sampled hash tells whether it changed. */
#ifndef STAGE4_COMMON_INPUT_SOURCE_FILE_H
#define STAGE4_COMMON_INPUT_SOURCE_FILE_H

#include "common/error.h"
#include "common/sha256.h"

#include <stddef.h>
#include <stdint.h>

typedef struct {
    char *path;
    int descriptor;
    uint64_t device;
    uint64_t inode;
    uint64_t size;
    int64_t mtime_ns;
} source_file_t;

#define SOURCE_FILE_CLOSED                                                                         \
    {                                                                                              \
        NULL, -1, 0, 0, 0, 0                                                                       \
    }

/* A regular file that can be read. ERR_NOT_FOUND, ERR_IO, ERR_INPUT (a directory, a device ...) or
 * ERR_MEMORY; `out` is closed then. */
int source_file_open(const char *path, source_file_t *out, error_t *error);
void source_file_close(source_file_t *self);

/* Exactly `length` bytes at `offset`. ERR_CHANGED when the file ends before, ERR_IO. */
int source_file_read(const source_file_t *self, uint64_t offset, void *out, size_t length,
                     error_t *error);

/* SHA-256 over `header` bytes from the start, the size, and at most 258 blocks of `block` bytes
 * spread evenly over the rest, the first and the last among them. */
int source_file_sample(const source_file_t *self, size_t header, size_t block, sha256_t *out,
                       error_t *error);

/* 1 when the path still names the file that was opened, as far as its snapshot tells: nothing is read. */
int source_file_same(const source_file_t *self);
/* ERR_CHANGED, saying what differs, when the path no longer names the file that was opened or its
 * snapshot or sample is not what it was. */
int source_file_check(const source_file_t *self, size_t header, size_t block,
                      const sha256_t *sample, error_t *error);

#endif
