#include "coordinator/stage_file.h"

#include "coordinator/merge/advance.h"

#include <stdlib.h>
#include <string.h>

int stage_file_read(spool_t *spool, const stage_name_t *name, stage_t *out, sha256_t *fingerprint,
                    error_t *error)
{
    uint8_t *bytes = NULL;
    size_t length;
    memset(out, 0, sizeof *out);
    int code = spool_get(spool, name->job_id, &name->stage_sha, &bytes, &length, error);
    if (!code)
        code = stage_decode(bytes, length, out, error);
    if (!code && out->task_count != name->task_count)
        code = error_set(error, ERR_INTERNAL, "stage %u has %u tasks where %u were announced",
                         name->number, out->task_count, name->task_count);
    if (!code)
        code = advance_index_fingerprint(spool, name->job_id, &name->state_sha, fingerprint, error);
    if (code)
        stage_clear(out);
    free(bytes);
    return code;
}

sha256_t *stage_file_recall(spool_t *spool, const stage_name_t *name)
{
    sha256_t *found = calloc((size_t)name->task_count + 1, sizeof *found);
    sha256_t stage = spool_stage_name(&name->stage_sha, &name->state_sha);
    if (found && !spool_recall(spool, name->job_id, &stage, found, name->task_count, NULL))
        return found;
    free(found);
    return NULL;
}
