#include "proto/stage.h"

#include "proto/columns.h"

#include <stdlib.h>
#include <string.h>

static const char *const KIND_NAMES[TASK_KIND_COUNT] = {
#define X(name, wire) wire,
    TASK_KINDS(X)
#undef X
};

const char *task_kind_name(task_kind_t kind)
{
    return kind < TASK_KIND_COUNT ? KIND_NAMES[kind] : "unknown";
}

int task_kind_parse(const char *name, task_kind_t *out)
{
    for (int i = 0; i < TASK_KIND_COUNT; i++) {
        if (!strcmp(name, KIND_NAMES[i])) {
            *out = (task_kind_t)i;
            return 1;
        }
    }
    return 0;
}

void stage_clear(stage_t *self)
{
    free(self->segment_begin);
    free(self->segments);
    free(self->work);
    memset(self, 0, sizeof *self);
}

int stage_encode(const stage_t *self, uint8_t **bytes, size_t *length, error_t *error)
{
    const char *names[STAGE_INPUT_LIMIT + STAGE_PARAM_LIMIT + 1];
    uint8_t hashes[STAGE_INPUT_LIMIT * 32];
    double values[STAGE_PARAM_LIMIT];
    uint32_t kind = (uint32_t)self->kind;
    columns_writer_t *writer = columns_writer_new("stage");
    columns_put(writer, "kind", COLUMN_U32, &kind, 1);
    columns_put(writer, "segment_begin", COLUMN_U32, self->segment_begin,
                (size_t)self->task_count + 1);
    columns_put(writer, "segment", COLUMN_U32, self->segments,
                (size_t)self->segment_begin[self->task_count] * 3);
    columns_put(writer, "work", COLUMN_U64, self->work, self->task_count);
    for (size_t i = 0; i < self->input_count; i++) {
        names[i] = self->inputs[i].name;
        memcpy(hashes + 32 * i, self->inputs[i].sha256.bytes, 32);
    }
    columns_put_strings(writer, "input", names, self->input_count);
    columns_put(writer, "input_sha", COLUMN_U8, hashes, 32 * self->input_count);
    for (size_t i = 0; i < self->param_count; i++) {
        names[i] = self->params[i].name;
        values[i] = self->params[i].value;
    }
    columns_put_strings(writer, "param", names, self->param_count);
    columns_put(writer, "param_value", COLUMN_F64, values, self->param_count);
    return columns_writer_finish(&writer, bytes, length, error);
}

static int copy_name(const columns_t *columns, const char *column, size_t i, char out[24],
                     error_t *error)
{
    const char *text;
    size_t length;
    int code = columns_string(columns, column, i, &text, &length, error);
    if (code)
        return code;
    if (length >= 24 || memchr(text, 0, length))
        return error_set(error, ERR_PROTOCOL, "stage: %s %zu has a bad name", column, i);
    memcpy(out, text, length);
    out[length] = 0;
    return OK;
}

static int decode_inputs(const columns_t *columns, stage_t *out, error_t *error)
{
    const void *hashes;
    size_t count;
    int code = columns_get(columns, "input_sha", COLUMN_U8, SIZE_MAX, &hashes, &count, error);
    if (code)
        return code;
    if (count % 32 || count / 32 > STAGE_INPUT_LIMIT)
        return error_set(error, ERR_PROTOCOL, "stage: %zu bytes of input hashes", count);
    for (size_t i = 0; i < count / 32; i++) {
        if ((code = copy_name(columns, "input", i, out->inputs[i].name, error)))
            return code;
        memcpy(out->inputs[i].sha256.bytes, (const uint8_t *)hashes + 32 * i, 32);
    }
    out->input_count = count / 32;
    return OK;
}

static int decode_params(const columns_t *columns, stage_t *out, error_t *error)
{
    const void *values;
    size_t count;
    int code = columns_get(columns, "param_value", COLUMN_F64, SIZE_MAX, &values, &count, error);
    if (code)
        return code;
    if (count > STAGE_PARAM_LIMIT)
        return error_set(error, ERR_PROTOCOL, "stage: %zu parameters", count);
    for (size_t i = 0; i < count; i++) {
        if ((code = copy_name(columns, "param", i, out->params[i].name, error)))
            return code;
        out->params[i].value = ((const double *)values)[i];
    }
    out->param_count = count;
    return OK;
}

static void *copy_array(const void *values, size_t size)
{
    void *copy = malloc(size + 1);
    if (copy && size)
        memcpy(copy, values, size);
    return copy;
}

/* The arrays of tasks and segments: begins ascend, and every segment has begin <= end. */
static int check_segments(const uint32_t *begin, size_t tasks, const segment_t *segments,
                          size_t count, error_t *error)
{
    for (size_t t = 0; t < tasks; t++)
        if (begin[t] > begin[t + 1])
            return error_set(error, ERR_PROTOCOL, "stage: task %zu ends before it begins", t);
    if (begin[0] != 0 || begin[tasks] != count)
        return error_set(error, ERR_PROTOCOL, "stage: %zu segments for tasks that want %u", count,
                         begin[tasks]);
    for (size_t s = 0; s < count; s++)
        if (segments[s].begin > segments[s].end)
            return error_set(error, ERR_PROTOCOL, "stage: segment %zu ends before it begins", s);
    return OK;
}

static int decode_tasks(const columns_t *columns, stage_t *out, error_t *error)
{
    const void *begin, *segments, *work;
    size_t begins, values;
    int code = columns_get(columns, "segment_begin", COLUMN_U32, SIZE_MAX, &begin, &begins, error);
    if (!code)
        code = columns_get(columns, "segment", COLUMN_U32, SIZE_MAX, &segments, &values, error);
    if (code)
        return code;
    if (!begins || begins - 1 > UINT32_MAX || values % 3)
        return error_set(error, ERR_PROTOCOL, "stage: %zu begins, %zu segment values", begins,
                         values);
    code = columns_get(columns, "work", COLUMN_U64, begins - 1, &work, NULL, error);
    if (!code)
        code = check_segments(begin, begins - 1, segments, values / 3, error);
    if (code)
        return code;
    out->task_count = (uint32_t)(begins - 1);
    out->segment_begin = copy_array(begin, begins * sizeof(uint32_t));
    out->segments = copy_array(segments, values * sizeof(uint32_t));
    out->work = copy_array(work, (begins - 1) * sizeof(uint64_t));
    if (!out->segment_begin || !out->segments || !out->work)
        return error_set(error, ERR_MEMORY, "no memory for a stage of %zu tasks", begins - 1);
    return OK;
}

int stage_decode(const void *bytes, size_t length, stage_t *out, error_t *error)
{
    columns_t *columns = NULL;
    const void *kind;
    memset(out, 0, sizeof *out);
    int code = columns_open(bytes, length, "stage", &columns, error);
    if (!code)
        code = columns_get(columns, "kind", COLUMN_U32, 1, &kind, NULL, error);
    if (code)
        goto done;
    out->kind = *(const uint32_t *)kind;
    if (out->kind >= TASK_KIND_COUNT) {
        code = error_set(error, ERR_PROTOCOL, "stage: task kind %u is not known", out->kind);
        goto done;
    }
    code = decode_tasks(columns, out, error);
    if (!code)
        code = decode_inputs(columns, out, error);
    if (!code)
        code = decode_params(columns, out, error);
done:
    columns_close(&columns);
    if (code)
        stage_clear(out);
    return code;
}
