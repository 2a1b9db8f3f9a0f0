/* input_fixture.h - index files and metadata files for tests: made in memory, written to a folder.
 */
#ifndef STAGE4_TESTS_INPUT_FIXTURE_H
#define STAGE4_TESTS_INPUT_FIXTURE_H

#include "common/input/flat_index.h"

#include "lib/folder.h"
#include "lib/random.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INDEX_HEADER 45

/* A flat index as FAISS writes it. The caller frees. */
static inline uint8_t *make_index(const char *fourcc, int32_t dimension, int64_t rows,
                                  int32_t metric, const float *vectors, size_t *length)
{
    uint64_t floats = (uint64_t)rows * (uint64_t)dimension;
    int64_t unused = 1 << 20;
    *length = INDEX_HEADER + floats * sizeof(float);
    uint8_t *bytes = calloc(1, *length);
    if (bytes == NULL)
        abort();
    memcpy(bytes, fourcc, 4);
    memcpy(bytes + 4, &dimension, 4);
    memcpy(bytes + 8, &rows, 8);
    memcpy(bytes + 16, &unused, 8);
    memcpy(bytes + 24, &unused, 8);
    bytes[32] = 1;
    memcpy(bytes + 33, &metric, 4);
    memcpy(bytes + 37, &floats, 8);
    if (floats > 0)
        memcpy(bytes + INDEX_HEADER, vectors, floats * sizeof(float));
    return bytes;
}

/* rows x dimension floats, each row of unit length. */
static inline float *make_vectors(random_t *random, size_t rows, size_t dimension)
{
    float *vectors = malloc((rows * dimension + 1) * sizeof(float));
    if (vectors == NULL)
        abort();
    for (size_t row = 0; row < rows; row++) {
        double sum = 0;
        float *vector = vectors + row * dimension;
        for (size_t i = 0; i < dimension; i++) {
            vector[i] = (float)(random_unit(random) - 0.5);
            sum += (double)vector[i] * vector[i];
        }
        for (size_t i = 0; i < dimension; i++)
            vector[i] = (float)(vector[i] / sqrt(sum));
    }
    return vectors;
}

static inline void write_file(const char *path, const void *bytes, size_t length)
{
    FILE *file = fopen(path, "wb");
    if (file == NULL || (length > 0 && fwrite(bytes, 1, length, file) != length) ||
        fclose(file) != 0) {
        perror(path);
        abort();
    }
}

static inline void write_text(const char *path, const char *text)
{
    write_file(path, text, strlen(text));
}

#endif
