#include "proto/worker_message.h"

#include "proto/msgpack_bounds.h"

#include <msgpack.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* A field is a key of the map; one table says where it lies in the struct and how it is written. */
typedef enum {
    TYPE_TEXT,
    TYPE_U32,
    TYPE_U64,
    TYPE_REAL,
    TYPE_SHA256,
    TYPE_JOB_ID,
    TYPE_REF,
    TYPE_ERROR,
    TYPE_PROGRESS,
    TYPE_TASK
} field_type_t;

/*    member        wire            type */
#define FIELDS(X)                                                                                  \
    X(name, "name", TYPE_TEXT)                                                                     \
    X(host, "host", TYPE_TEXT)                                                                     \
    X(backend, "backend", TYPE_TEXT)                                                               \
    X(version, "version", TYPE_TEXT)                                                               \
    X(protocol, "protocol", TYPE_U32)                                                              \
    X(pid, "pid", TYPE_U32)                                                                        \
    X(threads, "threads", TYPE_U32)                                                                \
    X(credit, "credit", TYPE_U32)                                                                  \
    X(progress, "progress", TYPE_PROGRESS)                                                         \
    X(ref, "ref", TYPE_REF)                                                                        \
    X(sha256, "sha256", TYPE_SHA256)                                                               \
    X(job_id, "job_id", TYPE_JOB_ID)                                                               \
    X(offset, "offset", TYPE_U64)                                                                  \
    X(total, "total", TYPE_U64)                                                                    \
    X(seconds, "seconds", TYPE_REAL)                                                               \
    X(error, "error", TYPE_ERROR)                                                                  \
    X(heartbeat_ms, "heartbeat_ms", TYPE_U32)                                                      \
    X(lease_ms, "lease_ms", TYPE_U32)                                                              \
    X(task, "task", TYPE_TASK)

enum {
#define X(member, wire, type) FIELD_##member,
    FIELDS(X)
#undef X
        FIELD_COUNT
};

typedef struct {
    const char *wire;
    field_type_t type;
    size_t offset;
    size_t size;
} field_t;

static const field_t FIELD_TABLE[FIELD_COUNT] = {
#define X(member, wire, type)                                                                      \
    {wire, type, offsetof(worker_message_t, member), sizeof((worker_message_t *)0)->member},
    FIELDS(X)
#undef X
};

#define BIT(member) (1u << FIELD_##member)

static const struct {
    const char *wire;
    unsigned fields;
} KINDS[WORKER_MESSAGE_COUNT] = {
    [MSG_HELLO] = {"hello", BIT(name) | BIT(host) | BIT(pid) | BIT(threads) | BIT(backend) |
                                BIT(version) | BIT(credit) | BIT(protocol)},
    [MSG_HEARTBEAT] = {"heartbeat", BIT(progress)},
    [MSG_RESULT] = {"result", BIT(ref) | BIT(sha256) | BIT(seconds)},
    [MSG_FAILED] = {"failed", BIT(ref) | BIT(error)},
    [MSG_RETURNED] = {"returned", BIT(ref)},
    [MSG_FETCH] = {"fetch", BIT(sha256) | BIT(job_id) | BIT(offset)},
    [MSG_GOODBYE] = {"goodbye", 0},
    [MSG_WELCOME] = {"welcome", BIT(heartbeat_ms) | BIT(lease_ms)},
    [MSG_TASK] = {"task", BIT(task)},
    [MSG_ABORT] = {"abort", BIT(ref)},
    [MSG_ACK] = {"ack", BIT(ref)},
    [MSG_BLOB] = {"blob", BIT(sha256) | BIT(offset) | BIT(total) | BIT(error)},
    [MSG_WHO] = {"who", 0},
};

const char *worker_message_name(worker_message_kind_t kind)
{
    return kind < WORKER_MESSAGE_COUNT ? KINDS[kind].wire : "unknown";
}

void worker_message_clear(worker_message_t *self)
{
    task_clear(&self->task);
    memset(self, 0, sizeof *self);
}

/* ---- encoding ---- */

static void pack_text(msgpack_packer *packer, const char *text)
{
    msgpack_pack_str_with_body(packer, text, strlen(text));
}

static void pack_sha256(msgpack_packer *packer, const sha256_t *value)
{
    msgpack_pack_bin_with_body(packer, value->bytes, sizeof value->bytes);
}

static void pack_ref(msgpack_packer *packer, const task_ref_t *ref)
{
    msgpack_pack_array(packer, 5);
    pack_text(packer, ref->job_id);
    msgpack_pack_uint32(packer, ref->epoch);
    msgpack_pack_uint32(packer, ref->stage);
    msgpack_pack_uint32(packer, ref->task);
    msgpack_pack_uint32(packer, ref->attempt);
}

/* Codes travel by name: numbers could differ between versions. */
static void pack_error(msgpack_packer *packer, const error_t *error)
{
    msgpack_pack_array(packer, 3);
    pack_text(packer, error_name(error->code));
    pack_text(packer, error->field);
    pack_text(packer, error->message);
}

static void pack_progress(msgpack_packer *packer, const worker_message_t *self)
{
    msgpack_pack_array(packer, self->progress_count);
    for (size_t i = 0; i < self->progress_count; i++) {
        msgpack_pack_array(packer, 2);
        pack_ref(packer, &self->progress[i].ref);
        msgpack_pack_uint64(packer, self->progress[i].work_done);
    }
}

/* Segments go as one run of little-endian words: there may be thousands in a task. */
static void pack_task(msgpack_packer *packer, const task_t *task)
{
    msgpack_pack_array(packer, 9);
    pack_ref(packer, &task->ref);
    pack_text(packer, task_kind_name(task->kind));
    pack_text(packer, task->index_name);
    pack_sha256(packer, &task->index_fingerprint);
    msgpack_pack_uint32(packer, task->dimension);
    msgpack_pack_bin_with_body(packer, task->segments,
                               (size_t)task->segment_count * sizeof(segment_t));
    msgpack_pack_uint64(packer, task->work);
    msgpack_pack_array(packer, task->input_count);
    for (size_t i = 0; i < task->input_count; i++) {
        msgpack_pack_array(packer, 2);
        pack_text(packer, task->inputs[i].name);
        pack_sha256(packer, &task->inputs[i].sha256);
    }
    msgpack_pack_array(packer, task->param_count);
    for (size_t i = 0; i < task->param_count; i++) {
        msgpack_pack_array(packer, 2);
        pack_text(packer, task->params[i].name);
        msgpack_pack_double(packer, task->params[i].value);
    }
}

static void pack_field(msgpack_packer *packer, const worker_message_t *self, const field_t *field)
{
    const void *at = (const char *)self + field->offset;
    pack_text(packer, field->wire);
    switch (field->type) {
    case TYPE_TEXT:
    case TYPE_JOB_ID:
        pack_text(packer, at);
        break;
    case TYPE_U32:
        msgpack_pack_uint32(packer, *(const uint32_t *)at);
        break;
    case TYPE_U64:
        msgpack_pack_uint64(packer, *(const uint64_t *)at);
        break;
    case TYPE_REAL:
        msgpack_pack_double(packer, *(const double *)at);
        break;
    case TYPE_SHA256:
        pack_sha256(packer, at);
        break;
    case TYPE_REF:
        pack_ref(packer, at);
        break;
    case TYPE_ERROR:
        pack_error(packer, at);
        break;
    case TYPE_PROGRESS:
        pack_progress(packer, self);
        break;
    case TYPE_TASK:
        pack_task(packer, at);
        break;
    }
}

typedef struct {
    msgpack_sbuffer buffer;
    int failed; /* the packer's own return codes would have to be looked at a hundred times */
} output_t;

static int output_write(void *context, const char *bytes, size_t length)
{
    output_t *self = context;
    if (msgpack_sbuffer_write(&self->buffer, bytes, length))
        self->failed = 1;
    return self->failed ? -1 : 0;
}

int worker_message_encode(const worker_message_t *self, uint8_t **bytes, size_t *length,
                          error_t *error)
{
    if (self->kind >= WORKER_MESSAGE_COUNT || self->progress_count > WORKER_CREDIT_LIMIT)
        return error_set(error, ERR_INTERNAL, "a worker message that cannot be: kind %d, %zu tasks",
                         (int)self->kind, self->progress_count);
    output_t output = {.failed = 0};
    msgpack_packer packer;
    msgpack_sbuffer_init(&output.buffer);
    msgpack_packer_init(&packer, &output, output_write);
    unsigned fields = KINDS[self->kind].fields;
    msgpack_pack_map(&packer, 1 + (size_t)__builtin_popcount(fields));
    pack_text(&packer, "m");
    pack_text(&packer, KINDS[self->kind].wire);
    for (int i = 0; i < FIELD_COUNT; i++)
        if (fields & (1u << i))
            pack_field(&packer, self, &FIELD_TABLE[i]);
    if (output.failed || output.buffer.size > WORKER_MESSAGE_LIMIT) {
        int code = output.failed ? ERR_MEMORY : ERR_TOO_LARGE;
        error_set(error, code, "a %s message of %zu bytes; at most %u are possible",
                  KINDS[self->kind].wire, output.buffer.size, WORKER_MESSAGE_LIMIT);
        msgpack_sbuffer_destroy(&output.buffer);
        return code;
    }
    *bytes = (uint8_t *)output.buffer.data;
    *length = output.buffer.size;
    return OK;
}

/* ---- decoding ---- */

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
    while (kind < WORKER_MESSAGE_COUNT && !key_is(value, KINDS[kind].wire))
        kind++;
    if (kind == WORKER_MESSAGE_COUNT)
        return wrong(error, "a kind that is not known");
    out->kind = (worker_message_kind_t)kind;
    for (int i = 0; i < FIELD_COUNT; i++) {
        const field_t *field = &FIELD_TABLE[i];
        if (!(KINDS[kind].fields & (1u << i)))
            continue;
        value = find(map, field->wire);
        int code = value ? read_field(value, field, out, error) : wrong(error, "it is missing");
        if (code)
            return error_wrap(error, "%s.%s", KINDS[kind].wire, field->wire), code;
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
