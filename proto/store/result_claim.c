#include "proto/store/result_store.h"

#include <stdio.h>

void result_claim_set(result_claim_t *self, const result_fence_t *fence)
{
    snprintf(self->ledger, sizeof self->ledger, "%s", fence->ledger);
    snprintf(self->owner, sizeof self->owner, "%s", fence->owner);
    self->number = fence->number;
}

int result_claim_refuse(const char *where, int64_t number, const char *owner,
                        const result_claim_t *ours, error_t *error)
{
    return error_field(error, ERR_CONFLICT, RESULT_OWNER,
                       "another coordinator has the results in %s: %s, number %lld; this one has "
                       "number %lld and must not write to them (if the ledger was put back from an "
                       "older copy, delete its row in the table result_fence)",
                       where, owner, (long long)number, (long long)ours->number);
}
