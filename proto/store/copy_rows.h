/* copy_rows.h - rows in the binary format of PostgreSQL's COPY, collected in memory.
 *
 * https://www.postgresql.org/docs/15/sql-copy.html, "Binary Format": a header, for each row the
 * number of its fields and each field as length and bytes (big endian), and a trailer. */
#ifndef STAGE4_PROTO_STORE_COPY_ROWS_H
#define STAGE4_PROTO_STORE_COPY_ROWS_H

#include "common/error.h"

#include <stddef.h>
#include <stdint.h>

typedef struct {
    unsigned char *bytes; /* begins with the header once there is a row */
    size_t length;
    size_t capacity;
    int failed; /* no memory: said by copy_rows_end */
} copy_rows_t;

void copy_rows_clear(copy_rows_t *self);  /* frees */
void copy_rows_forget(copy_rows_t *self); /* empties, keeps the memory */
int copy_rows_empty(const copy_rows_t *self);

/* A row, then as many fields as it said: */
void copy_row(copy_rows_t *self, int16_t fields);
void copy_bytes(copy_rows_t *self, const char *text, size_t length);
void copy_text(copy_rows_t *self, const char *text);
void copy_int8(copy_rows_t *self, int64_t value);
void copy_real(copy_rows_t *self, double value);
void copy_null(copy_rows_t *self);

/* Adds the trailer. ERR_MEMORY when a row did not fit. */
int copy_rows_end(copy_rows_t *self, error_t *error);

#endif
