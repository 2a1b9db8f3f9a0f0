/* columns.h - a payload: named, typed, aligned arrays in one block of bytes.
 *
 * Every plan, partial result and intermediate state travels and rests in this form (proto/payload.h
 * lists them). The layout is little-endian, each array starts on a multiple of 64 bytes, and equal
 * content gives equal bytes, so a payload is named by its SHA-256. Opening checks every length and
 * offset before use and copies nothing: arrays point into the caller's bytes. */
#ifndef STAGE4_PROTO_COLUMNS_H
#define STAGE4_PROTO_COLUMNS_H

#include "common/error.h"

#include <stddef.h>
#include <stdint.h>

typedef enum {
    COLUMN_U8 = 1,
    COLUMN_U32,
    COLUMN_I32,
    COLUMN_U64,
    COLUMN_I64,
    COLUMN_F32,
    COLUMN_F64
} column_type_t;

#define COLUMN_NAME_LIMIT 31
#define COLUMN_COUNT_LIMIT 64

/* Writing: put each column once, in a fixed order, then finish. Errors are kept and reported by
 * finish (out of memory, a name too long or twice, too many columns). */
typedef struct columns_writer columns_writer_t;

columns_writer_t *columns_writer_new(const char *kind); /* kind: at most 31 characters */
void columns_writer_destroy(columns_writer_t **self);
void columns_put(columns_writer_t *self, const char *name, column_type_t type, const void *values,
                 size_t count);
/* As columns_put, but the caller fills the array: zeros until it does, and its place is good until
 * the next column. NULL after an error, which finish reports. */
void *columns_make(columns_writer_t *self, const char *name, column_type_t type, size_t count);
/* Strings: one u8 column `name` with the bytes and one u64 column `name`+"_end" with the ends. */
void columns_put_strings(columns_writer_t *self, const char *name, const char *const *texts,
                         size_t count);
/* The bytes (malloc'd, 64-byte aligned content offsets), owned by the caller; destroys the writer. */
int columns_writer_finish(columns_writer_t **self, uint8_t **bytes, size_t *length, error_t *error);

/* Reading. `bytes` must be 8-byte aligned (malloc and mmap are) and outlive the view. */
typedef struct columns columns_t;

int columns_open(const void *bytes, size_t length, const char *kind, columns_t **out,
                 error_t *error);
void columns_close(columns_t **self);
/* The array of that name and type; ERR_PROTOCOL when absent, of another type, or (count_expected !=
 * SIZE_MAX) of another count. `count` may be NULL. */
int columns_get(const columns_t *self, const char *name, column_type_t type, size_t count_expected,
                const void **values, size_t *count, error_t *error);
int columns_has(const columns_t *self, const char *name);
/* String number i of a strings column; checked against its ends. */
int columns_string(const columns_t *self, const char *name, size_t i, const char **text,
                   size_t *length, error_t *error);

#endif
