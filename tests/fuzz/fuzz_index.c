/* Any bytes as an index file: read to the last row, or refused with words. */
#include "common/input/flat_index.h"
#include "common/input/vector_check.h"

#include "fuzz/memory_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static void use(flat_index_t *index)
{
    float vector[DIMENSION_LIMIT];
    uint32_t rows = flat_index_rows(index);
    uint8_t *states = malloc((size_t)rows + 1);
    if (states == NULL || vector_check(index, states, NULL) != OK ||
        (rows > 0 && flat_index_read(index, rows - 1, 1, vector, NULL) != OK))
        abort();
    free(states);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    memory_file_t file = memory_file_new(bytes, length);
    flat_index_t *index;
    error_t error = ERROR_INIT;
    int code = flat_index_open(file.path, 4, &index, &error);
    if (code == OK)
        use(index);
    else if (error.message[0] == '\0' || index != NULL)
        abort();
    flat_index_close(&index);
    memory_file_close(&file);
    return 0;
}
