#include "coordinator/store/ledger.h"

#include <string.h>

int ledger_open(const ledger_options_t *options, ledger_t **out, error_t *warning, error_t *error)
{
    *out = NULL;
    if (!strcmp(options->kind, "sqlite"))
        return ledger_open_sqlite(options->path, out, error);
    if (!strcmp(options->kind, "redis"))
        return ledger_open_redis(&options->redis, out, warning, error);
    return error_field(error, ERR_USAGE, "ledger", "ledger is \"%s\"; it can be sqlite or redis",
                       options->kind);
}
