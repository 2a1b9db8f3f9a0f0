#include "coordinator/store/ledger.h"

#include <stdlib.h>

void ledger_job_clear(ledger_job_t *self)
{
    free(self->spec_json);
    free(self->report_json);
    self->spec_json = NULL;
    self->report_json = NULL;
}

int ledger_fenced(const char *where, const char *owner, error_t *error)
{
    return error_field(
        error, ERR_CONFLICT, LEDGER_OWNER,
        "another coordinator has the ledger in %s: %s; this one must not write to it", where,
        owner);
}
