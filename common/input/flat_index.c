#include "common/input/flat_index.h"
#include "common/input/source_file.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "FAISS writes little-endian files and rows are read as they stand"
#endif

/* What faiss/impl/index_write.cpp writes before the vectors: fourcc, then write_index_header, then
 * the length of the vector of floats. */
enum {
    AT_FOURCC = 0,
    AT_DIMENSION = 4, /* int32 */
    AT_ROWS = 8,      /* int64 */
    AT_TRAINED = 32,  /* uint8, after two unused int64 */
    AT_METRIC = 33,   /* int32 */
    AT_FLOATS = 37,   /* uint64; a float metric_arg would come first for metrics over 1 */
    HEADER_BYTES = 45,
};

struct flat_index {
    source_file_t file;
    uint32_t rows;
    uint32_t dimension;
    index_metric_t metric;
    sha256_t fingerprint;
};

typedef struct {
    char fourcc[5];
    const char *name;
} index_type_t;

/* Other types FAISS writes, to name them: this service needs the vectors themselves. */
static const index_type_t OTHER_TYPES[] = {
    {"IwFl", "IndexIVFFlat"},
    {"IwFL", "IndexIVFFlat"},
    {"IwSq", "IndexIVFScalarQuantizer"},
    {"IwSQ", "IndexIVFScalarQuantizer"},
    {"IwPQ", "IndexIVFPQ"},
    {"IwQR", "IndexIVFPQR"},
    {"IwPf", "IndexIVFPQFastScan"},
    {"IPfs", "IndexPQFastScan"},
    {"IxPq", "IndexPQ"},
    {"IxPQ", "IndexPQ"},
    {"IxSQ", "IndexScalarQuantizer"},
    {"IxHe", "IndexLSH"},
    {"IxPT", "IndexPreTransform"},
    {"IxRF", "IndexRefineFlat"},
    {"IxMp", "IndexIDMap"},
    {"IxM2", "IndexIDMap2"},
    {"IHNf", "IndexHNSWFlat"},
    {"IHNp", "IndexHNSWPQ"},
    {"IHNs", "IndexHNSWSQ"},
    {"IHN2", "IndexHNSW2Level"},
    {"INSf", "IndexNSGFlat"},
    {"IBxF", "IndexBinaryFlat"},
    {"IBwF", "IndexBinaryIVF"},
    {"IBHf", "IndexBinaryHNSW"},
};

static const char *other_type(const uint8_t *fourcc)
{
    for (size_t i = 0; i < sizeof OTHER_TYPES / sizeof *OTHER_TYPES; i++) {
        if (memcmp(fourcc, OTHER_TYPES[i].fourcc, 4) == 0)
            return OTHER_TYPES[i].name;
    }
    return NULL;
}

static int32_t int32_at(const uint8_t *header, size_t offset)
{
    int32_t value;
    memcpy(&value, header + offset, sizeof value);
    return value;
}

static int64_t int64_at(const uint8_t *header, size_t offset)
{
    int64_t value;
    memcpy(&value, header + offset, sizeof value);
    return value;
}

static int reject_type(const flat_index_t *self, const uint8_t *fourcc, error_t *error)
{
    const char *name = other_type(fourcc);
    if (name != NULL)
        return error_set(
            error, ERR_INPUT,
            "%s: is an %s (%.4s); flat indices are required (IndexFlatIP, IndexFlatL2)",
            self->file.path, name, (const char *)fourcc);
    for (int i = 0; i < 4; i++) {
        if (!isalnum(fourcc[i]))
            return error_set(error, ERR_INPUT,
                             "%s: is no FAISS index: it begins with the bytes %02x %02x %02x %02x; "
                             "IxFI, IxF2 or IxFl was expected",
                             self->file.path, fourcc[0], fourcc[1], fourcc[2], fourcc[3]);
    }
    return error_set(error, ERR_INPUT,
                     "%s: has the type \"%.4s\"; flat indices are required (IxFI, IxF2, IxFl)",
                     self->file.path, (const char *)fourcc);
}

/* The type names the metric of IxFI and IxF2; the header must not say otherwise. */
static int read_metric(flat_index_t *self, const uint8_t *header, error_t *error)
{
    int32_t metric = int32_at(header, AT_METRIC);
    char kind = (char)header[AT_FOURCC + 3];
    if (metric != 0 && metric != 1)
        return error_set(error, ERR_INPUT,
                         "%s: has the metric %" PRId32 " at byte %d; 0 (inner product) or 1 (L2) "
                         "was expected",
                         self->file.path, metric, AT_METRIC);
    if ((kind == 'I' && metric != 0) || (kind == '2' && metric != 1))
        return error_set(error, ERR_INPUT,
                         "%s: contradicts itself: its type is %.4s but its metric is %s (byte %d)",
                         self->file.path, (const char *)header,
                         metric == 0 ? "inner product" : "L2", AT_METRIC);
    self->metric = metric == 0 ? INDEX_INNER_PRODUCT : INDEX_L2;
    return OK;
}

static int read_shape(flat_index_t *self, const uint8_t *header, uint32_t dimension, error_t *error)
{
    int32_t has = int32_at(header, AT_DIMENSION);
    int64_t rows = int64_at(header, AT_ROWS);
    const char *path = self->file.path;
    if (has < 1 || has > DIMENSION_LIMIT)
        return error_set(error, ERR_INPUT,
                         "%s: has dimension %" PRId32 " at byte %d; 1 to %d is possible", path, has,
                         AT_DIMENSION, DIMENSION_LIMIT);
    if ((uint32_t)has != dimension)
        return error_set(error, ERR_INPUT,
                         "%s: has dimension %" PRId32 ", expected %" PRIu32
                         "; --dimension allows another",
                         path, has, dimension);
    if (rows < 0 || rows > (int64_t)UINT32_MAX)
        return error_set(error, ERR_INPUT,
                         "%s: claims %" PRId64 " vectors at byte %d; 0 to %" PRIu32 " is possible",
                         path, rows, AT_ROWS, UINT32_MAX);
    if (header[AT_TRAINED] != 1)
        return error_set(error, ERR_INPUT,
                         "%s: says it is not trained (byte %d is %u); a flat index always is", path,
                         AT_TRAINED, header[AT_TRAINED]);
    self->dimension = dimension;
    self->rows = (uint32_t)rows;
    return OK;
}

static int check_size(const flat_index_t *self, const uint8_t *header, error_t *error)
{
    uint64_t floats = (uint64_t)int64_at(header, AT_FLOATS);
    uint64_t expected = (uint64_t)self->rows * self->dimension; /* < 2^43: both are checked */
    if (floats != expected)
        return error_set(error, ERR_INPUT,
                         "%s: announces %" PRIu64 " floats at byte %d; %" PRIu32
                         " vectors of dimension %" PRIu32 " are %" PRIu64,
                         self->file.path, floats, AT_FLOATS, self->rows, self->dimension, expected);
    uint64_t size = HEADER_BYTES + expected * sizeof(float);
    if (self->file.size < size)
        return error_set(error, ERR_INPUT,
                         "%s: is truncated: %" PRIu64 " bytes, its header announces %" PRIu64,
                         self->file.path, self->file.size, size);
    if (self->file.size > size)
        return error_set(error, ERR_INPUT,
                         "%s: has %" PRIu64 " bytes after its last vector (byte %" PRIu64 ")",
                         self->file.path, self->file.size - size, size);
    return OK;
}

static int read_header(flat_index_t *self, uint32_t dimension, error_t *error)
{
    static const char *const flat_types[] = {"IxFI", "IxF2", "IxFl"};
    uint8_t header[HEADER_BYTES] = {0};
    uint64_t size = self->file.size;
    if (size == 0)
        return error_set(error, ERR_INPUT, "%s: is empty; a FAISS flat index was expected",
                         self->file.path);
    int code = source_file_read(&self->file, 0, header,
                                size < HEADER_BYTES ? (size_t)size : HEADER_BYTES, error);
    if (code != OK)
        return code;
    int flat = 0;
    for (int i = 0; i < 3; i++)
        flat |= memcmp(header, flat_types[i], 4) == 0;
    if (size >= 4 && !flat)
        return reject_type(self, header, error);
    if (size < HEADER_BYTES)
        return error_set(error, ERR_INPUT,
                         "%s: is truncated: %" PRIu64 " bytes, the header of a flat index has %d",
                         self->file.path, size, HEADER_BYTES);
    if ((code = read_metric(self, header, error)) != OK ||
        (code = read_shape(self, header, dimension, error)) != OK)
        return code;
    return check_size(self, header, error);
}

static size_t row_bytes(const flat_index_t *self) { return self->dimension * sizeof(float); }

int flat_index_open(const char *path, uint32_t dimension, flat_index_t **out, error_t *error)
{
    *out = NULL;
    flat_index_t *self = calloc(1, sizeof *self);
    if (self == NULL)
        return error_set(error, ERR_MEMORY, "%s: out of memory", path);
    int code = source_file_open(path, &self->file, error);
    if (code == OK)
        code = read_header(self, dimension, error);
    if (code == OK)
        code = source_file_sample(&self->file, HEADER_BYTES, row_bytes(self), &self->fingerprint,
                                  error);
    if (code != OK)
        flat_index_close(&self);
    *out = self;
    return code;
}

void flat_index_close(flat_index_t **self)
{
    if (self == NULL || *self == NULL)
        return;
    source_file_close(&(*self)->file);
    free(*self);
    *self = NULL;
}

uint32_t flat_index_rows(const flat_index_t *self) { return self->rows; }
uint32_t flat_index_dimension(const flat_index_t *self) { return self->dimension; }
index_metric_t flat_index_metric(const flat_index_t *self) { return self->metric; }
const char *flat_index_path(const flat_index_t *self) { return self->file.path; }
sha256_t flat_index_fingerprint(const flat_index_t *self) { return self->fingerprint; }

int flat_index_read(const flat_index_t *self, uint32_t first, uint32_t count, float *out,
                    error_t *error)
{
    if (first > self->rows || count > self->rows - first)
        return error_set(error, ERR_SHAPE,
                         "%s: rows %" PRIu32 " to %" PRIu64 " were asked for, it has %" PRIu32,
                         self->file.path, first, (uint64_t)first + count, self->rows);
    uint64_t offset = HEADER_BYTES + (uint64_t)first * row_bytes(self);
    return source_file_read(&self->file, offset, out, count * row_bytes(self), error);
}

int flat_index_read_list(const flat_index_t *self, const uint32_t *rows, size_t count, float *out,
                         error_t *error)
{
    size_t done = 0;
    while (done < count) {
        size_t run = 1;
        while (done + run < count && run < UINT32_MAX &&
               rows[done + run] == (uint64_t)rows[done] + run)
            run++;
        int code =
            flat_index_read(self, rows[done], (uint32_t)run, out + done * self->dimension, error);
        if (code != OK)
            return code;
        done += run;
    }
    return OK;
}

int flat_index_check(const flat_index_t *self, error_t *error)
{
    return source_file_check(&self->file, HEADER_BYTES, row_bytes(self), &self->fingerprint, error);
}

int flat_index_same(const flat_index_t *self) { return source_file_same(&self->file); }
