#include "coordinator/merge/members.h"

int members_open(members_t *self, const advance_input_t *input, const sha256_t *sha256,
                 error_t *error)
{
    size_t begins = 0, count = 0;
    int code = payload_open(&self->payload, input, sha256, "members", error);
    if (code == OK)
        code = payload_list(&self->payload, "cluster_begin", &self->begin, &begins, error);
    if (code == OK)
        code = payload_list(&self->payload, "member", &self->member, &count, error);
    if (code != OK)
        return code;
    if (begins == 0 || self->begin[begins - 1] != count)
        return error_set(error, ERR_PROTOCOL, "members: %zu begins of %zu members", begins, count);
    self->clusters = (uint32_t)(begins - 1);
    self->count = (uint32_t)count;
    return OK;
}

void members_close(members_t *self) { payload_close(&self->payload); }

uint32_t members_size(const members_t *self, uint32_t cluster)
{
    return self->begin[cluster + 1] - self->begin[cluster];
}
