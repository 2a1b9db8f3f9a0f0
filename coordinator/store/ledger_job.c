#include "coordinator/store/ledger.h"

#include <stdlib.h>

void ledger_job_clear(ledger_job_t *self)
{
    free(self->spec_json);
    free(self->report_json);
    self->spec_json = NULL;
    self->report_json = NULL;
}
