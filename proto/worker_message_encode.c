#include "proto/worker_message_fields.h"

#include <msgpack.h>
#include <string.h>

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
    unsigned fields = WORKER_MESSAGE_KINDS[self->kind].fields;
    msgpack_pack_map(&packer, 1 + (size_t)__builtin_popcount(fields));
    pack_text(&packer, "m");
    pack_text(&packer, WORKER_MESSAGE_KINDS[self->kind].wire);
    for (int i = 0; i < FIELD_COUNT; i++)
        if (fields & (1u << i))
            pack_field(&packer, self, &WORKER_MESSAGE_FIELDS[i]);
    if (output.failed || output.buffer.size > WORKER_MESSAGE_LIMIT) {
        int code = output.failed ? ERR_MEMORY : ERR_TOO_LARGE;
        error_set(error, code, "a %s message of %zu bytes; at most %u are possible",
                  WORKER_MESSAGE_KINDS[self->kind].wire, output.buffer.size, WORKER_MESSAGE_LIMIT);
        msgpack_sbuffer_destroy(&output.buffer);
        return code;
    }
    *bytes = (uint8_t *)output.buffer.data;
    *length = output.buffer.size;
    return OK;
}
