#include "coordinator/merge/payload_io.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int payload_open(payload_t *self, const advance_input_t *input, const sha256_t *sha256,
                 const char *kind, error_t *error)
{
    size_t length;
    int code = spool_get(input->spool, input->job_id, sha256, &self->bytes, &length, error);
    if (code == OK)
        code = columns_open(self->bytes, length, kind, &self->columns, error);
    return code;
}

void payload_close(payload_t *self)
{
    columns_close(&self->columns);
    free(self->bytes);
    *self = (payload_t){0};
}

int result_blame(uint32_t task, int code, error_t *error)
{
    char field[32], message[sizeof error->message] = "";
    if (code != ERR_INPUT && code != ERR_NOT_FOUND && code != ERR_PROTOCOL && code != ERR_SHAPE)
        return code;
    if (error != NULL && strncmp(error->field, "task:", 5) == 0)
        return code; /* it is blamed already */
    if (error != NULL)
        snprintf(message, sizeof message, "%s", error->message);
    snprintf(field, sizeof field, "task:%u", task);
    return error_field(error, ERR_NOT_FOUND, field, "the result of task %u cannot be used: %s",
                       task, message);
}

int result_open(payload_t *self, const advance_input_t *input, uint32_t task, const char *kind,
                error_t *error)
{
    int code = payload_open(self, input, &input->results[task], kind, error);
    return code == OK ? OK : result_blame(task, code, error);
}

int payload_u32(const payload_t *self, const char *name, size_t count, const uint32_t **out,
                error_t *error)
{
    const void *values = NULL;
    int code = columns_get(self->columns, name, COLUMN_U32, count, &values, NULL, error);
    *out = values;
    return code;
}

int payload_f32(const payload_t *self, const char *name, size_t count, const float **out,
                error_t *error)
{
    const void *values = NULL;
    int code = columns_get(self->columns, name, COLUMN_F32, count, &values, NULL, error);
    *out = values;
    return code;
}

int payload_f64(const payload_t *self, const char *name, size_t count, const double **out,
                error_t *error)
{
    const void *values = NULL;
    int code = columns_get(self->columns, name, COLUMN_F64, count, &values, NULL, error);
    *out = values;
    return code;
}

int payload_sha(const payload_t *self, const char *name, sha256_t *out, error_t *error)
{
    const void *values = NULL;
    int code = columns_get(self->columns, name, COLUMN_U8, sizeof out->bytes, &values, NULL, error);
    if (code == OK)
        memcpy(out->bytes, values, sizeof out->bytes);
    return code;
}

int payload_list(const payload_t *self, const char *name, const uint32_t **out, size_t *count,
                 error_t *error)
{
    const void *values = NULL;
    int code = columns_get(self->columns, name, COLUMN_U32, SIZE_MAX, &values, count, error);
    *out = values;
    return code;
}

void columns_put_sha(columns_writer_t *writer, const char *name, const sha256_t *value)
{
    columns_put(writer, name, COLUMN_U8, value->bytes, sizeof value->bytes);
}

int payload_save_bytes(const advance_input_t *input, uint8_t *bytes, size_t length, sha256_t *out,
                       error_t *error)
{
    int code = spool_put(input->spool, input->job_id, bytes, length, out, error);
    free(bytes);
    return code;
}

int payload_save(const advance_input_t *input, columns_writer_t **writer, sha256_t *out,
                 error_t *error)
{
    uint8_t *bytes = NULL;
    size_t length = 0;
    int code = columns_writer_finish(writer, &bytes, &length, error);
    return code == OK ? payload_save_bytes(input, bytes, length, out, error) : code;
}

int advance_stopped(const advance_input_t *input, error_t *error)
{
    if (input->stop != NULL && atomic_load(input->stop))
        return error_set(error, ERR_CANCELLED, "the merge was stopped");
    return OK;
}
