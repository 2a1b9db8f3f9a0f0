#include "proto/msgpack_bounds.h"
#include "proto/worker_message_fields.h"

#include <msgpack.h>
#include <stdlib.h>
#include <string.h>

static int wrong(error_t *error, const char *what)
{
    return error_set(error, ERR_PROTOCOL, "worker message: %s", what);
}

static int read_text(const msgpack_object *object, char *out, size_t size, error_t *error)
{
    if (object->type != MSGPACK_OBJECT_STR)
        return wrong(error, "text expected");
    size_t length = object->via.str.size;
    if (length >= size || (length && memchr(object->via.str.ptr, 0, length)))
        return wrong(error, "a text is too long or has a NUL in it");
    if (length)
        memcpy(out, object->via.str.ptr, length);
    out[length] = 0;
    return OK;
}

/* Names that become part of a path: letters, digits, '_' and '-' only. */
static int read_name(const msgpack_object *object, char *out, size_t size, error_t *error)
{
    int code = read_text(object, out, size, error);
    if (code)
        return code;
    for (const char *c = out; *c; c++)
        if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') ||
              *c == '_' || *c == '-'))
            return wrong(error, "a name has characters other than letters, digits, '_' and '-'");
    return out[0] ? OK : wrong(error, "a name is empty");
}

static int read_u64(const msgpack_object *object, uint64_t limit, uint64_t *out, error_t *error)
{
    if (object->type != MSGPACK_OBJECT_POSITIVE_INTEGER || object->via.u64 > limit)
        return wrong(error, "a number is negative, too large or no integer");
    *out = object->via.u64;
    return OK;
}

static int read_u32(const msgpack_object *object, uint32_t *out, error_t *error)
{
    uint64_t value = 0;
    int code = read_u64(object, UINT32_MAX, &value, error);
    *out = (uint32_t)value;
    return code;
}

static int read_real(const msgpack_object *object, double *out, error_t *error)
{
    if (object->type != MSGPACK_OBJECT_FLOAT64 && object->type != MSGPACK_OBJECT_FLOAT32)
        return wrong(error, "a floating-point number expected");
    *out = object->via.f64;
    return OK;
}

static int read_sha256(const msgpack_object *object, sha256_t *out, error_t *error)
{
    if (object->type != MSGPACK_OBJECT_BIN || object->via.bin.size != sizeof out->bytes)
        return wrong(error, "32 bytes of a SHA-256 expected");
    memcpy(out->bytes, object->via.bin.ptr, sizeof out->bytes);
    return OK;
}

/* An array of `count` entries, or of more when a newer peer says more. */
static const msgpack_object *read_array(const msgpack_object *object, size_t count, error_t *error)
{
    if (object->type != MSGPACK_OBJECT_ARRAY || object->via.array.size < count) {
        wrong(error, "an array is missing or too short");
        return NULL;
    }
    return object->via.array.ptr;
}

static int read_ref(const msgpack_object *object, task_ref_t *out, error_t *error)
{
    const msgpack_object *at = read_array(object, 5, error);
    if (!at)
        return ERR_PROTOCOL;
    int code = read_name(&at[0], out->job_id, sizeof out->job_id, error);
    uint32_t *numbers[] = {&out->epoch, &out->stage, &out->task, &out->attempt};
    for (int i = 0; i < 4 && !code; i++)
        code = read_u32(&at[i + 1], numbers[i], error);
    return code;
}

static int read_error(const msgpack_object *object, error_t *out, error_t *error)
{
    const msgpack_object *at = read_array(object, 3, error);
    char name[32];
    if (!at)
        return ERR_PROTOCOL;
    int code = read_text(&at[0], name, sizeof name, error);
    if (!code)
        code = read_text(&at[1], out->field, sizeof out->field, error);
    if (!code)
        code = read_text(&at[2], out->message, sizeof out->message, error);
    out->code = ERR_INTERNAL; /* a name that only a newer peer knows */
    for (int i = 0; i < ERROR_CODE_COUNT && !code; i++)
        if (!strcmp(name, error_name(i)))
            out->code = i;
    return code;
}

static int read_progress(const msgpack_object *object, worker_message_t *out, error_t *error)
{
    if (object->type != MSGPACK_OBJECT_ARRAY || object->via.array.size > WORKER_CREDIT_LIMIT)
        return wrong(error, "no list of tasks, or more than a worker may hold");
    for (size_t i = 0; i < object->via.array.size; i++) {
        const msgpack_object *pair = read_array(&object->via.array.ptr[i], 2, error);
        int code = pair ? read_ref(&pair[0], &out->progress[i].ref, error) : ERR_PROTOCOL;
        if (!code)
            code = read_u64(&pair[1], UINT64_MAX, &out->progress[i].work_done, error);
        if (code)
            return code;
    }
    out->progress_count = object->via.array.size;
    return OK;
}

static int read_segments(const msgpack_object *object, task_t *out, error_t *error)
{
    if (object->type != MSGPACK_OBJECT_BIN || object->via.bin.size % sizeof(segment_t))
        return wrong(error, "the segments are no whole number of segments");
    free(out->segments);
    out->segment_count = (uint32_t)(object->via.bin.size / sizeof(segment_t));
    out->segments = malloc((size_t)object->via.bin.size + 1);
    if (!out->segments)
        return error_set(error, ERR_MEMORY, "no memory for %u segments", out->segment_count);
    if (out->segment_count)
        memcpy(out->segments, object->via.bin.ptr, object->via.bin.size);
    for (uint32_t i = 0; i < out->segment_count; i++)
        if (out->segments[i].begin > out->segments[i].end)
            return wrong(error, "a segment ends before it begins");
    return OK;
}

static int read_inputs(const msgpack_object *object, task_t *out, error_t *error)
{
    if (object->type != MSGPACK_OBJECT_ARRAY || object->via.array.size > STAGE_INPUT_LIMIT)
        return wrong(error, "no inputs, or too many");
    for (size_t i = 0; i < object->via.array.size; i++) {
        const msgpack_object *pair = read_array(&object->via.array.ptr[i], 2, error);
        stage_input_t *input = &out->inputs[i];
        int code =
            pair ? read_text(&pair[0], input->name, sizeof input->name, error) : ERR_PROTOCOL;
        if (!code)
            code = read_sha256(&pair[1], &input->sha256, error);
        if (code)
            return code;
    }
    out->input_count = object->via.array.size;
    return OK;
}

static int read_params(const msgpack_object *object, task_t *out, error_t *error)
{
    if (object->type != MSGPACK_OBJECT_ARRAY || object->via.array.size > STAGE_PARAM_LIMIT)
        return wrong(error, "no parameters, or too many");
    for (size_t i = 0; i < object->via.array.size; i++) {
        const msgpack_object *pair = read_array(&object->via.array.ptr[i], 2, error);
        stage_param_t *param = &out->params[i];
        int code =
            pair ? read_text(&pair[0], param->name, sizeof param->name, error) : ERR_PROTOCOL;
        if (!code)
            code = read_real(&pair[1], &param->value, error);
        if (code)
            return code;
    }
    out->param_count = object->via.array.size;
    return OK;
}

static int read_task(const msgpack_object *object, task_t *out, error_t *error)
{
    const msgpack_object *at = read_array(object, 9, error);
    char kind[32];
    if (!at)
        return ERR_PROTOCOL;
    int code = read_ref(&at[0], &out->ref, error);
    if (!code)
        code = read_text(&at[1], kind, sizeof kind, error);
    if (!code && !task_kind_parse(kind, &out->kind))
        code = error_set(error, ERR_PROTOCOL, "worker message: a task of kind '%s'", kind);
    if (!code)
        code = read_name(&at[2], out->index_name, sizeof out->index_name, error);
    if (!code)
        code = read_sha256(&at[3], &out->index_fingerprint, error);
    if (!code)
        code = read_u32(&at[4], &out->dimension, error);
    if (!code)
        code = read_segments(&at[5], out, error);
    if (!code)
        code = read_u64(&at[6], UINT64_MAX, &out->work, error);
    if (!code)
        code = read_inputs(&at[7], out, error);
    return code ? code : read_params(&at[8], out, error);
}

static int read_field(const msgpack_object *object, const field_t *field, worker_message_t *out,
                      error_t *error)
{
    void *at = (char *)out + field->offset;
    switch (field->type) {
    case TYPE_TEXT:
        return read_text(object, at, field->size, error);
    case TYPE_JOB_ID:
        return read_name(object, at, field->size, error);
    case TYPE_U32:
        return read_u32(object, at, error);
    case TYPE_U64:
        return read_u64(object, UINT64_MAX, at, error);
    case TYPE_REAL:
        return read_real(object, at, error);
    case TYPE_SHA256:
        return read_sha256(object, at, error);
    case TYPE_REF:
        return read_ref(object, at, error);
    case TYPE_ERROR:
        return read_error(object, at, error);
    case TYPE_PROGRESS:
        return read_progress(object, out, error);
    case TYPE_TASK:
        return read_task(object, at, error);
    }
    return wrong(error, "a field of no type");
}

static int key_is(const msgpack_object *key, const char *name)
{
    return key->type == MSGPACK_OBJECT_STR && key->via.str.size == strlen(name) &&
           !memcmp(key->via.str.ptr, name, key->via.str.size);
}

static const msgpack_object *find(const msgpack_object *map, const char *name)
{
    for (size_t i = 0; i < map->via.map.size; i++)
        if (key_is(&map->via.map.ptr[i].key, name))
            return &map->via.map.ptr[i].val;
    return NULL;
}

static int read_map(const msgpack_object *map, worker_message_t *out, error_t *error)
{
    const msgpack_object *value = map->type == MSGPACK_OBJECT_MAP ? find(map, "m") : NULL;
    int kind = 0;
    if (!value || value->type != MSGPACK_OBJECT_STR)
        return wrong(error, "no map with the kind as \"m\"");
    while (kind < WORKER_MESSAGE_COUNT && !key_is(value, WORKER_MESSAGE_KINDS[kind].wire))
        kind++;
    if (kind == WORKER_MESSAGE_COUNT)
        return wrong(error, "a kind that is not known");
    out->kind = (worker_message_kind_t)kind;
    for (int i = 0; i < FIELD_COUNT; i++) {
        const field_t *field = &WORKER_MESSAGE_FIELDS[i];
        if (!(WORKER_MESSAGE_KINDS[kind].fields & (1u << i)))
            continue;
        value = find(map, field->wire);
        int code = value ? read_field(value, field, out, error) : wrong(error, "it is missing");
        if (code)
            return error_wrap(error, "%s.%s", WORKER_MESSAGE_KINDS[kind].wire, field->wire), code;
    }
    return OK;
}

int worker_message_decode(const void *bytes, size_t length, worker_message_t *out, error_t *error)
{
    memset(out, 0, sizeof *out);
    if (length > WORKER_MESSAGE_LIMIT)
        return error_set(error, ERR_TOO_LARGE, "a worker message of %zu bytes; at most %u", length,
                         WORKER_MESSAGE_LIMIT);
    int code = msgpack_bounds_check(bytes, length, error);
    if (code)
        return code;
    msgpack_unpacked unpacked;
    size_t offset = 0;
    msgpack_unpacked_init(&unpacked);
    if (msgpack_unpack_next(&unpacked, bytes, length, &offset) == MSGPACK_UNPACK_SUCCESS)
        code = read_map(&unpacked.data, out, error);
    else
        code = wrong(error, "it cannot be unpacked");
    msgpack_unpacked_destroy(&unpacked);
    if (code)
        worker_message_clear(out);
    return code;
}
