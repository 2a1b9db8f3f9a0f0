#include "proto/columns.h"

#include <stdlib.h>
#include <string.h>

/* Layout: header | directory of `count` entries | padding | arrays, each on a multiple of 64.
 * All integers little-endian; the project runs on little-endian machines only (asserted below). */
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "columns are little-endian in memory and on disk"
#endif

#define MAGIC "S4COLS1"
#define ALIGNMENT 64u

typedef struct {
    char magic[8];
    char kind[COLUMN_NAME_LIMIT + 1];
    uint32_t count;
    uint32_t reserved;
    uint64_t length; /* of the whole payload */
} header_t;

typedef struct {
    char name[COLUMN_NAME_LIMIT + 1];
    uint32_t type;
    uint32_t reserved;
    uint64_t count;
    uint64_t offset;
} entry_t;

struct columns_writer {
    header_t header;
    entry_t entries[COLUMN_COUNT_LIMIT];
    uint8_t *bytes; /* the arrays; offsets are relative to its start until finish */
    size_t length;
    size_t capacity;
    error_t error;
};

struct columns {
    const uint8_t *bytes;
    const entry_t *entries;
    uint32_t count;
};

static size_t type_size(uint32_t type)
{
    static const uint8_t SIZES[] = {0, 1, 4, 4, 8, 8, 4, 8};
    return type < sizeof SIZES ? SIZES[type] : 0;
}

static const char *type_name(uint32_t type)
{
    static const char *const NAMES[] = {"?", "u8", "u32", "i32", "u64", "i64", "f32", "f64"};
    return type < sizeof NAMES / sizeof *NAMES ? NAMES[type] : "?";
}

static size_t align_up(size_t value) { return (value + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1); }

columns_writer_t *columns_writer_new(const char *kind)
{
    columns_writer_t *self = calloc(1, sizeof *self);
    if (!self)
        return NULL;
    memcpy(self->header.magic, MAGIC, sizeof self->header.magic);
    if (strlen(kind) > COLUMN_NAME_LIMIT)
        error_set(&self->error, ERR_INTERNAL, "payload kind '%s' is too long", kind);
    else
        strcpy(self->header.kind, kind);
    return self;
}

void columns_writer_destroy(columns_writer_t **self)
{
    if (*self) {
        free((*self)->bytes);
        free(*self);
        *self = NULL;
    }
}

static int reserve(columns_writer_t *self, size_t length)
{
    if (length <= self->capacity)
        return OK;
    size_t capacity = self->capacity ? self->capacity : 4096;
    while (capacity < length)
        capacity *= 2;
    uint8_t *bytes = realloc(self->bytes, capacity);
    if (!bytes)
        return error_set(&self->error, ERR_MEMORY, "no memory for a payload of %zu bytes", length);
    self->bytes = bytes;
    self->capacity = capacity;
    return OK;
}

static const entry_t *find(const entry_t *entries, uint32_t count, const char *name)
{
    for (uint32_t i = 0; i < count; i++)
        if (!strcmp(entries[i].name, name))
            return &entries[i];
    return NULL;
}

static int check_put(columns_writer_t *self, const char *name, size_t size, size_t count)
{
    if (self->error.code)
        return self->error.code;
    if (strlen(name) > COLUMN_NAME_LIMIT || find(self->entries, self->header.count, name))
        return error_set(&self->error, ERR_INTERNAL, "column '%s': name too long or twice", name);
    if (self->header.count == COLUMN_COUNT_LIMIT)
        return error_set(&self->error, ERR_INTERNAL, "more than %d columns", COLUMN_COUNT_LIMIT);
    if (!size || count > SIZE_MAX / 4 / size)
        return error_set(&self->error, ERR_TOO_LARGE, "column '%s' is too large", name);
    return OK;
}

/* The next column, and where its array goes; the bytes there are not set. */
static uint8_t *add_column(columns_writer_t *self, const char *name, column_type_t type,
                           size_t count)
{
    if (!self || check_put(self, name, type_size(type), count))
        return NULL;
    size_t length = count * type_size(type);
    size_t begin = align_up(self->length);
    if (reserve(self, begin + length + 1))
        return NULL;
    if (begin > self->length) /* an empty first column has no bytes yet */
        memset(self->bytes + self->length, 0, begin - self->length);
    self->length = begin + length;
    entry_t *entry = &self->entries[self->header.count++];
    strcpy(entry->name, name);
    entry->type = type;
    entry->count = count;
    entry->offset = begin;
    return self->bytes + begin;
}

void columns_put(columns_writer_t *self, const char *name, column_type_t type, const void *values,
                 size_t count)
{
    uint8_t *place = add_column(self, name, type, count);
    if (place && count)
        memcpy(place, values, count * type_size(type));
}

void *columns_make(columns_writer_t *self, const char *name, column_type_t type, size_t count)
{
    uint8_t *place = add_column(self, name, type, count);
    if (place)
        memset(place, 0, count * type_size(type));
    return place;
}

void columns_put_strings(columns_writer_t *self, const char *name, const char *const *texts,
                         size_t count)
{
    if (!self || self->error.code)
        return;
    uint64_t *ends = malloc((count + 1) * sizeof *ends);
    size_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += strlen(texts[i]);
    uint8_t *bytes = malloc(total + 1);
    char end_name[COLUMN_NAME_LIMIT + 8];
    if (!ends || !bytes || strlen(name) + 4 > COLUMN_NAME_LIMIT) {
        error_set(&self->error, ERR_MEMORY, "no memory for the strings of '%s'", name);
        goto done;
    }
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(texts[i]);
        memcpy(bytes + used, texts[i], length);
        used += length;
        ends[i] = used;
    }
    strcpy(end_name, name);
    strcat(end_name, "_end");
    columns_put(self, name, COLUMN_U8, bytes, total);
    columns_put(self, end_name, COLUMN_U64, ends, count);
done:
    free(ends);
    free(bytes);
}

int columns_writer_finish(columns_writer_t **writer, uint8_t **bytes, size_t *length,
                          error_t *error)
{
    columns_writer_t *self = *writer;
    if (!self)
        return error_set(error, ERR_MEMORY, "no memory for a payload");
    int code = self->error.code;
    if (code) {
        error_set(error, code, "%s", self->error.message);
        columns_writer_destroy(writer);
        return code;
    }
    size_t directory = self->header.count * sizeof(entry_t);
    size_t start = align_up(sizeof(header_t) + directory);
    /* The arrays move up to make room: a payload of hundreds of megabytes is in memory once. */
    uint8_t *out = realloc(self->bytes, start + self->length + 1);
    if (!out) {
        columns_writer_destroy(writer);
        return error_set(error, ERR_MEMORY, "no memory for a payload of %zu bytes", start);
    }
    self->bytes = NULL;
    memmove(out + start, out, self->length);
    memset(out, 0, start);
    out[start + self->length] = 0;
    self->header.length = start + self->length;
    for (uint32_t i = 0; i < self->header.count; i++)
        self->entries[i].offset += start;
    memcpy(out, &self->header, sizeof self->header);
    memcpy(out + sizeof self->header, self->entries, directory);
    *bytes = out;
    *length = start + self->length;
    columns_writer_destroy(writer);
    return OK;
}

/* Every entry: a terminated name, a known type, and an array inside the payload. */
static int check_entry(const entry_t *entry, uint64_t length, error_t *error)
{
    size_t size = type_size(entry->type);
    if (!memchr(entry->name, 0, sizeof entry->name) || !size)
        return error_set(error, ERR_PROTOCOL, "payload: a column has no name or no known type");
    if (entry->offset % ALIGNMENT || entry->offset > length ||
        entry->count > (length - entry->offset) / size)
        return error_set(error, ERR_PROTOCOL, "payload: column '%s' lies outside the %llu bytes",
                         entry->name, (unsigned long long)length);
    return OK;
}

int columns_open(const void *bytes, size_t length, const char *kind, columns_t **out,
                 error_t *error)
{
    const header_t *header = bytes;
    if (length < sizeof *header || memcmp(header->magic, MAGIC, sizeof header->magic))
        return error_set(error, ERR_PROTOCOL, "payload: %zu bytes that are no columns", length);
    if (!memchr(header->kind, 0, sizeof header->kind) || strcmp(header->kind, kind))
        return error_set(error, ERR_PROTOCOL, "payload: kind '%.31s', expected '%s'", header->kind,
                         kind);
    if (header->length != length || header->count > COLUMN_COUNT_LIMIT ||
        header->count * sizeof(entry_t) > length - sizeof *header)
        return error_set(error, ERR_PROTOCOL, "payload: says %llu bytes and %u columns, has %zu",
                         (unsigned long long)header->length, header->count, length);
    const entry_t *entries = (const entry_t *)(header + 1);
    for (uint32_t i = 0; i < header->count; i++) {
        int code = check_entry(&entries[i], length, error);
        if (code)
            return code;
    }
    columns_t *self = malloc(sizeof *self);
    if (!self)
        return error_set(error, ERR_MEMORY, "no memory for a payload's view");
    *self = (columns_t){bytes, entries, header->count};
    *out = self;
    return OK;
}

void columns_close(columns_t **self)
{
    free(*self);
    *self = NULL;
}

int columns_has(const columns_t *self, const char *name)
{
    return find(self->entries, self->count, name) != NULL;
}

int columns_get(const columns_t *self, const char *name, column_type_t type, size_t count_expected,
                const void **values, size_t *count, error_t *error)
{
    const entry_t *entry = find(self->entries, self->count, name);
    if (!entry)
        return error_set(error, ERR_PROTOCOL, "payload: column '%s' is missing", name);
    if (entry->type != (uint32_t)type)
        return error_set(error, ERR_PROTOCOL, "payload: column '%s' is %s, expected %s", name,
                         type_name(entry->type), type_name(type));
    if (count_expected != SIZE_MAX && entry->count != count_expected)
        return error_set(error, ERR_PROTOCOL, "payload: column '%s' has %llu values, expected %zu",
                         name, (unsigned long long)entry->count, count_expected);
    *values = self->bytes + entry->offset;
    if (count)
        *count = entry->count;
    return OK;
}

int columns_string(const columns_t *self, const char *name, size_t i, const char **text,
                   size_t *length, error_t *error)
{
    char end_name[COLUMN_NAME_LIMIT + 8];
    const void *bytes, *values;
    size_t total, count;
    if (strlen(name) + 4 > COLUMN_NAME_LIMIT)
        return error_set(error, ERR_INTERNAL, "column name '%s' is too long", name);
    strcpy(end_name, name);
    strcat(end_name, "_end");
    int code = columns_get(self, name, COLUMN_U8, SIZE_MAX, &bytes, &total, error);
    if (!code)
        code = columns_get(self, end_name, COLUMN_U64, SIZE_MAX, &values, &count, error);
    if (code)
        return code;
    const uint64_t *ends = values;
    uint64_t begin = i && i < count ? ends[i - 1] : 0;
    if (i >= count || ends[i] > total || begin > ends[i])
        return error_set(error, ERR_PROTOCOL, "payload: string %zu of '%s' is out of bounds", i,
                         name);
    *text = (const char *)bytes + begin;
    *length = ends[i] - begin;
    return OK;
}
