#include "proto/store/result_store.h"

#include <string.h>

int result_store_open(const result_store_options_t *options, int read_only, result_store_t **out,
                      error_t *error)
{
    *out = NULL;
    if (!strcmp(options->kind, "sqlite"))
        return result_store_open_sqlite(options->path, read_only, out, error);
    if (!strcmp(options->kind, "postgres"))
        return result_store_open_postgres(&options->postgres, read_only, out, error);
    return error_field(error, ERR_USAGE, "results",
                       "results is \"%s\"; it can be sqlite or postgres", options->kind);
}
