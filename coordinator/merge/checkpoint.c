#include "coordinator/merge/checkpoint.h"

#include <stdlib.h>
#include <string.h>

static int read_report(checkpoint_t *self, error_t *error)
{
    const char *text;
    size_t length;
    int code = columns_string(self->payload.columns, "report", 0, &text, &length, error);
    if (code != OK)
        return code;
    self->report = json_loadb(text, length, 0, NULL);
    return self->report != NULL ? OK : error_set(error, ERR_PROTOCOL, "the report is no JSON");
}

static int read_plan(checkpoint_t *self, const advance_input_t *input, error_t *error)
{
    uint8_t *bytes = NULL;
    size_t length = 0;
    int code = spool_get(input->spool, input->job_id, &self->plan_sha, &bytes, &length, error);
    if (code == OK)
        code = plan_decode(bytes, length, &self->plan, error);
    free(bytes);
    return code;
}

int checkpoint_read(checkpoint_t *self, const advance_input_t *input, error_t *error)
{
    *self = (checkpoint_t){0};
    int code = payload_open(&self->payload, input, &input->state_sha, "state", error);
    if (code == OK)
        code = payload_sha(&self->payload, "plan", &self->plan_sha, error);
    if (code == OK)
        code = payload_sha(&self->payload, "index_fingerprint", &self->index_fingerprint, error);
    if (code == OK)
        code =
            payload_sha(&self->payload, "metadata_fingerprint", &self->metadata_fingerprint, error);
    if (code == OK)
        code = read_report(self, error);
    if (code == OK)
        code = read_plan(self, input, error);
    if (code != OK) {
        checkpoint_clear(self);
        if (code == ERR_NOT_FOUND || code == ERR_INPUT)
            error_wrap(error, "the job's state in the spool is lost");
    }
    return code;
}

void checkpoint_clear(checkpoint_t *self)
{
    json_decref(self->report);
    plan_clear(&self->plan);
    payload_close(&self->payload);
    *self = (checkpoint_t){0};
}

columns_writer_t *checkpoint_writer(const checkpoint_t *self, const char *kind)
{
    char *report = json_dumps(self->report, JSON_COMPACT | JSON_SORT_KEYS);
    columns_writer_t *writer = report != NULL ? columns_writer_new(kind) : NULL;
    if (writer != NULL) {
        columns_put_sha(writer, "plan", &self->plan_sha);
        columns_put_sha(writer, "index_fingerprint", &self->index_fingerprint);
        columns_put_sha(writer, "metadata_fingerprint", &self->metadata_fingerprint);
        columns_put_strings(writer, "report", (const char *const *)&report, 1);
    }
    free(report);
    return writer;
}

int checkpoint_leave(const advance_input_t *input, task_cutter_t *cutter, columns_writer_t **writer,
                     advance_output_t *out, error_t *error)
{
    uint8_t *bytes = NULL;
    size_t length = 0;
    out->kind = cutter->stage.kind;
    int code = task_cutter_finish(cutter, &bytes, &length, &out->task_count, &out->work, error);
    if (code == OK)
        code = payload_save_bytes(input, bytes, length, &out->stage_sha, error);
    if (code == OK)
        code = payload_save(input, writer, &out->state_sha, error);
    columns_writer_destroy(writer);
    return code;
}

uint64_t advance_memory(spool_t *spool, const char *job_id, const sha256_t *state_sha)
{
    checkpoint_t state = {0};
    advance_input_t input = {.job_id = job_id, .spool = spool};
    json_int_t memory = 0;
    int code = payload_open(&state.payload, &input, state_sha, "state", NULL);
    if (code == OK && read_report(&state, NULL) == OK)
        memory = json_integer_value(json_object_get(state.report, "memory_foreseen_bytes"));
    checkpoint_clear(&state);
    return memory > 0 ? (uint64_t)memory : 0;
}

int advance_index_fingerprint(spool_t *spool, const char *job_id, const sha256_t *state_sha,
                              sha256_t *out, error_t *error)
{
    uint8_t *bytes = NULL;
    size_t length;
    columns_t *columns = NULL;
    const void *value;
    int code = spool_get(spool, job_id, state_sha, &bytes, &length, error);
    if (code == OK)
        code = columns_open(bytes, length, "state", &columns, error);
    if (code == OK)
        code = columns_get(columns, "index_fingerprint", COLUMN_U8, sizeof out->bytes, &value, NULL,
                           error);
    if (code == OK)
        memcpy(out->bytes, value, sizeof out->bytes);
    columns_close(&columns);
    free(bytes);
    return code;
}
