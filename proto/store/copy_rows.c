#include "proto/store/copy_rows.h"

#include <stdlib.h>
#include <string.h>

static const unsigned char HEADER[19] = {'P', 'G', 'C', 'O', 'P', 'Y', '\n', 0xFF, '\r', '\n'};

void copy_rows_clear(copy_rows_t *self)
{
    free(self->bytes);
    *self = (copy_rows_t){0};
}

void copy_rows_forget(copy_rows_t *self)
{
    self->length = 0;
    self->failed = 0;
}

int copy_rows_empty(const copy_rows_t *self) { return self->length == 0; }

static unsigned char *room(copy_rows_t *self, size_t length)
{
    size_t needed = self->length + length;
    if (self->failed)
        return NULL;
    if (needed > self->capacity) {
        size_t capacity = needed + needed / 2 + 4096;
        unsigned char *bytes = realloc(self->bytes, capacity);
        self->failed = !bytes;
        if (!bytes)
            return NULL;
        self->bytes = bytes;
        self->capacity = capacity;
    }
    unsigned char *at = self->bytes + self->length;
    self->length = needed;
    return at;
}

/* The lowest `size` bytes, the highest of them first. */
static void put_number(copy_rows_t *self, uint64_t value, size_t size)
{
    unsigned char *at = room(self, size);
    for (size_t i = 0; at && i < size; i++)
        at[i] = (unsigned char)(value >> 8 * (size - 1 - i));
}

static void put_bytes(copy_rows_t *self, const void *bytes, size_t length)
{
    unsigned char *at = room(self, length);
    if (at)
        memcpy(at, bytes, length);
}

void copy_row(copy_rows_t *self, int16_t fields)
{
    if (self->length == 0)
        put_bytes(self, HEADER, sizeof HEADER);
    put_number(self, (uint16_t)fields, 2);
}

void copy_bytes(copy_rows_t *self, const char *text, size_t length)
{
    if (length > INT32_MAX)
        self->failed = 1;
    put_number(self, length, 4);
    put_bytes(self, text, length);
}

void copy_text(copy_rows_t *self, const char *text) { copy_bytes(self, text, strlen(text)); }

void copy_int8(copy_rows_t *self, int64_t value)
{
    put_number(self, 8, 4);
    put_number(self, (uint64_t)value, 8);
}

void copy_real(copy_rows_t *self, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_number(self, 8, 4);
    put_number(self, bits, 8);
}

void copy_null(copy_rows_t *self) { put_number(self, UINT32_MAX, 4); }

int copy_rows_end(copy_rows_t *self, error_t *error)
{
    put_number(self, UINT16_MAX, 2);
    return self->failed
               ? error_set(error, ERR_MEMORY, "no memory for %zu bytes of rows", self->length)
               : OK;
}
