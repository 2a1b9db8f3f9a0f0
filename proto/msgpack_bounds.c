#include "proto/msgpack_bounds.h"

#include <stdint.h>

typedef struct {
    const uint8_t *bytes;
    size_t length;
    size_t offset;
} cursor_t;

/* What follows a leading byte: a length field, bytes, and values. */
typedef struct {
    unsigned length_bytes;    /* of a big-endian length field: 0, 1, 2 or 4 */
    unsigned values_per_unit; /* 0: the length counts bytes; 1: array entries; 2: map entries */
    size_t body;              /* bytes after it, beside what the field says */
    size_t count;             /* when there is no length field */
} shape_t;

static int shape_of_fixed(uint8_t lead, shape_t *out)
{
    *out = (shape_t){0, 0, 0, 0};
    if (lead <= 0x7f || lead >= 0xe0)
        return 1; /* small integers */
    if (lead <= 0x8f)
        *out = (shape_t){0, 2, 0, lead & 0x0f};
    else if (lead <= 0x9f)
        *out = (shape_t){0, 1, 0, lead & 0x0f};
    else if (lead <= 0xbf)
        out->body = lead & 0x1f;
    else
        return 0;
    return 1;
}

/* The formats 0xc0 to 0xdf, https://github.com/msgpack/msgpack/blob/master/spec.md */
static int shape_of(uint8_t lead, shape_t *out)
{
    static const shape_t SHAPES[32] = {
        [0x04] = {1, 0, 0, 0},  [0x05] = {2, 0, 0, 0}, [0x06] = {4, 0, 0, 0}, /* bin */
        [0x07] = {1, 0, 1, 0},  [0x08] = {2, 0, 1, 0}, [0x09] = {4, 0, 1, 0}, /* ext */
        [0x0a] = {0, 0, 4, 0},  [0x0b] = {0, 0, 8, 0},                        /* float */
        [0x0c] = {0, 0, 1, 0},  [0x0d] = {0, 0, 2, 0}, [0x0e] = {0, 0, 4, 0}, /* uint */
        [0x0f] = {0, 0, 8, 0},  [0x10] = {0, 0, 1, 0}, [0x11] = {0, 0, 2, 0}, /* int */
        [0x12] = {0, 0, 4, 0},  [0x13] = {0, 0, 8, 0}, [0x14] = {0, 0, 2, 0}, /* fixext */
        [0x15] = {0, 0, 3, 0},  [0x16] = {0, 0, 5, 0}, [0x17] = {0, 0, 9, 0}, /* fixext */
        [0x18] = {0, 0, 17, 0}, [0x19] = {1, 0, 0, 0}, [0x1a] = {2, 0, 0, 0}, /* str */
        [0x1b] = {4, 0, 0, 0},  [0x1c] = {2, 1, 0, 0}, [0x1d] = {4, 1, 0, 0}, /* array */
        [0x1e] = {2, 2, 0, 0},  [0x1f] = {4, 2, 0, 0},                        /* map */
    };
    if (shape_of_fixed(lead, out))
        return 1;
    *out = SHAPES[lead - 0xc0];
    return lead != 0xc1; /* "never used" */
}

static int take(cursor_t *cursor, size_t count)
{
    if (cursor->length - cursor->offset < count)
        return 0;
    cursor->offset += count;
    return 1;
}

/* Passes one value's head and bytes; *values is how many values follow as its content. */
static int pass_head(cursor_t *cursor, size_t *values)
{
    shape_t shape;
    if (!take(cursor, 1) || !shape_of(cursor->bytes[cursor->offset - 1], &shape))
        return 0;
    size_t count = shape.count;
    for (unsigned i = 0; i < shape.length_bytes; i++) {
        if (!take(cursor, 1))
            return 0;
        count = count << 8 | cursor->bytes[cursor->offset - 1];
    }
    *values = 0;
    if (!shape.values_per_unit)
        return take(cursor, shape.body) && take(cursor, count);
    *values = count * shape.values_per_unit;
    return count <= MSGPACK_COUNT_LIMIT;
}

int msgpack_bounds_check(const void *bytes, size_t length, error_t *error)
{
    cursor_t cursor = {bytes, length, 0};
    size_t left[MSGPACK_DEPTH_LIMIT + 1]; /* values still to come, at each depth */
    size_t depth = 0;
    left[0] = 1;
    for (;;) {
        while (depth && !left[depth])
            depth--;
        if (!left[depth])
            break;
        left[depth]--;
        size_t values;
        if (!pass_head(&cursor, &values))
            return error_set(error, ERR_PROTOCOL, "malformed msgpack at byte %zu of %zu",
                             cursor.offset, length);
        if (values && depth == MSGPACK_DEPTH_LIMIT)
            return error_set(error, ERR_PROTOCOL, "msgpack nested deeper than %d at byte %zu",
                             MSGPACK_DEPTH_LIMIT, cursor.offset);
        if (values)
            left[++depth] = values;
    }
    if (cursor.offset != length)
        return error_set(error, ERR_PROTOCOL, "%zu bytes after the message",
                         length - cursor.offset);
    return OK;
}
