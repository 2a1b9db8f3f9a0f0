/* Any bytes as a metadata file; the first chooses the level and the number of rows. */
#include "common/input/catalog.h"
#include "common/utf8.h"

#include "fuzz/memory_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static void check(string_view_t view)
{
    if (utf8_valid_prefix(view.text, view.length) != view.length)
        abort();
}

static void use(const catalog_t *catalog)
{
    for (uint32_t row = 0; row < catalog_rows(catalog); row++) {
        char *json = NULL;
        size_t size;
        check(catalog_vector_id(catalog, row));
        check(catalog_source_id(catalog, row));
        check(catalog_document_id(catalog, row));
        check(catalog_text(catalog, row));
        check(catalog_domain_long(catalog, row));
        check(catalog_type(catalog, row));
        for (size_t i = 0; i < catalog_document_count(catalog, row); i++)
            check(catalog_document(catalog, row, i));
        if (catalog_row_valid(catalog, row) &&
            catalog_metadata(catalog, row, &json, &size, NULL) != OK)
            abort();
        free(json);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    if (length == 0)
        return 0;
    memory_file_t file = memory_file_new(bytes + 1, length - 1);
    catalog_t *catalog;
    error_t error = ERROR_INIT;
    level_t level = (level_t)(bytes[0] % LEVEL_COUNT);
    int code =
        catalog_open(file.path, level, bytes[0] / LEVEL_COUNT % 8, NULL, 0, &catalog, &error);
    if (code == OK)
        use(catalog);
    else if (error.message[0] == '\0' || catalog != NULL)
        abort();
    catalog_close(&catalog);
    memory_file_close(&file);
    return 0;
}
