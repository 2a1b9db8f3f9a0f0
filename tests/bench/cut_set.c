#include "cut_set.h"

#include "common/input/flat_index.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATH_SIZE 4096
#define ROWS_AT_ONCE 1024u

static void path_of(char *path, const char *folder, const char *ending)
{
    snprintf(path, PATH_SIZE, "%s/" CUT_SET_LEVEL "%s", folder, ending);
}

/* As faiss writes IxFI: fourcc, dimension, rows, two unused, trained, metric, number of floats. */
static int write_header(FILE *stream, uint32_t rows, uint32_t dimension)
{
    const int32_t width = (int32_t)dimension, metric = 0;
    const int64_t count = rows, unused = 1 << 20;
    const uint64_t floats = (uint64_t)rows * dimension;
    const uint8_t trained = 1;
    return fwrite("IxFI", 4, 1, stream) && fwrite(&width, sizeof width, 1, stream) &&
           fwrite(&count, sizeof count, 1, stream) && fwrite(&unused, sizeof unused, 1, stream) &&
           fwrite(&unused, sizeof unused, 1, stream) && fwrite(&trained, 1, 1, stream) &&
           fwrite(&metric, sizeof metric, 1, stream) && fwrite(&floats, sizeof floats, 1, stream);
}

static int copy_rows(const flat_index_t *index, uint32_t rows, FILE *stream, error_t *error)
{
    uint32_t dimension = flat_index_dimension(index);
    float *values = malloc((size_t)ROWS_AT_ONCE * dimension * sizeof *values);
    int code = values ? OK : error_set(error, ERR_MEMORY, "no memory for %u rows", ROWS_AT_ONCE);
    if (!code && !write_header(stream, rows, dimension))
        code = error_set(error, ERR_IO, "the cut index cannot be written");
    for (uint32_t first = 0; first < rows && !code; first += ROWS_AT_ONCE) {
        uint32_t count = rows - first < ROWS_AT_ONCE ? rows - first : ROWS_AT_ONCE;
        code = flat_index_read(index, first, count, values, error);
        if (!code && fwrite(values, sizeof *values * dimension, count, stream) != count)
            code = error_set(error, ERR_IO, "the cut index cannot be written");
    }
    free(values);
    return code;
}

static void write_metadata(FILE *stream, uint32_t rows)
{
    fprintf(stream, "{\"metadata_store\": {");
    for (uint32_t i = 0; i < rows; i++)
        fprintf(stream,
                "%s\"e%u\": {\"source_id\": \"d%u_event_%u\", \"embedding_type\": \"event\", "
                "\"metadata\": {\"document_id\": \"d%u\"}}",
                i ? ", " : "", i, i / 7, i % 7, i / 7);
    fprintf(stream, "}, \"id_map\": {");
    for (uint32_t i = 0; i < rows; i++)
        fprintf(stream, "%s\"e%u\": %u", i ? ", " : "", i, i);
    fprintf(stream, "}, \"reverse_id_map\": {");
    for (uint32_t i = 0; i < rows; i++)
        fprintf(stream, "%s\"%u\": \"e%u\"", i ? ", " : "", i, i);
    fprintf(stream, "}}\n");
}

static int write_files(const flat_index_t *index, uint32_t rows, const char *folder, error_t *error)
{
    char path[PATH_SIZE];
    path_of(path, folder, ".index");
    FILE *vectors = fopen(path, "wb");
    path_of(path, folder, "_metadata.json");
    FILE *metadata = fopen(path, "wb");
    int code = vectors && metadata ? copy_rows(index, rows, vectors, error)
                                   : error_set(error, ERR_IO, "cannot write into %s", folder);
    if (!code)
        write_metadata(metadata, rows);
    if (vectors && fclose(vectors) && !code)
        code = error_set(error, ERR_IO, "cannot write into %s", folder);
    if (metadata && fclose(metadata) && !code)
        code = error_set(error, ERR_IO, "cannot write into %s", folder);
    return code;
}

int cut_set_make(const char *index, uint32_t rows, char *folder, size_t size, error_t *error)
{
    const char *temporary = getenv("TMPDIR");
    flat_index_t *opened = NULL;
    int code = flat_index_open(index, CONTRACT_DIMENSION, &opened, error);
    if (code)
        return code;
    if (!rows)
        rows = flat_index_rows(opened);
    snprintf(folder, size, "%s/stage4-bench-XXXXXX", temporary ? temporary : "/tmp");
    if (rows > flat_index_rows(opened))
        code = error_set(error, ERR_USAGE, "%s has %u rows, not %u", index, flat_index_rows(opened),
                         rows);
    else if (!mkdtemp(folder))
        code = error_set(error, ERR_IO, "cannot make the folder %s", folder);
    else if ((code = write_files(opened, rows, folder, error)) != OK)
        cut_set_remove(folder);
    flat_index_close(&opened);
    return code;
}

void cut_set_remove(const char *folder)
{
    char path[PATH_SIZE];
    path_of(path, folder, ".index");
    unlink(path);
    path_of(path, folder, "_metadata.json");
    unlink(path);
    rmdir(folder);
}
