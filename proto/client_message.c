#include "proto/client_message.h"

#include "proto/msgpack_bounds.h"

#include <msgpack.h>
#include <stdlib.h>
#include <string.h>

static const char *const VERB_NAMES[CLIENT_VERB_COUNT] = {
#define X(name, wire) wire,
    CLIENT_VERBS(X)
#undef X
};

const char *client_verb_name(client_verb_t verb)
{
    return (unsigned)verb < CLIENT_VERB_COUNT ? VERB_NAMES[verb] : "unknown";
}

/* ---- encoding ---- */

typedef struct {
    msgpack_sbuffer buffer;
    int failed; /* sticky, so that the packer's many return codes need no look */
} output_t;

static int output_write(void *context, const char *bytes, size_t length)
{
    output_t *self = context;
    if (msgpack_sbuffer_write(&self->buffer, bytes, length) != 0)
        self->failed = 1;
    return self->failed ? -1 : 0;
}

static void pack_text(msgpack_packer *packer, const char *text)
{
    msgpack_pack_str_with_body(packer, text, strlen(text));
}

static void pack_body(msgpack_packer *packer, const char *body, size_t length)
{
    pack_text(packer, "body");
    if (body)
        msgpack_pack_str_with_body(packer, body, length);
    else
        msgpack_pack_nil(packer);
}

static int output_finish(output_t *self, const char *what, uint8_t **bytes, size_t *length,
                         error_t *error)
{
    size_t size = self->buffer.size;
    int code = OK;
    if (self->failed)
        code = error_set(error, ERR_MEMORY, "out of memory while encoding a %s", what);
    else if (size > CLIENT_MESSAGE_LIMIT)
        code = error_set(error, ERR_TOO_LARGE, "a %s of %zu bytes; at most %u are possible", what,
                         size, CLIENT_MESSAGE_LIMIT);
    if (code != OK) {
        msgpack_sbuffer_destroy(&self->buffer);
        return code;
    }
    *bytes = (uint8_t *)self->buffer.data;
    *length = size;
    return OK;
}

int client_request_encode(const client_request_t *self, uint8_t **bytes, size_t *length,
                          error_t *error)
{
    output_t output = {.failed = 0};
    msgpack_packer packer;
    msgpack_sbuffer_init(&output.buffer);
    msgpack_packer_init(&packer, &output, output_write);
    msgpack_pack_map(&packer, 5);
    pack_text(&packer, "id");
    msgpack_pack_uint64(&packer, self->request_id);
    pack_text(&packer, "verb");
    pack_text(&packer, client_verb_name(self->verb));
    pack_text(&packer, "job");
    pack_text(&packer, self->job_id);
    pack_text(&packer, "key");
    pack_text(&packer, self->idempotency_key);
    pack_body(&packer, self->body, self->body_length);
    return output_finish(&output, "request", bytes, length, error);
}

int client_reply_encode(const client_reply_t *self, uint8_t **bytes, size_t *length, error_t *error)
{
    output_t output = {.failed = 0};
    msgpack_packer packer;
    msgpack_sbuffer_init(&output.buffer);
    msgpack_packer_init(&packer, &output, output_write);
    msgpack_pack_map(&packer, 5);
    pack_text(&packer, "id");
    msgpack_pack_uint64(&packer, self->request_id);
    pack_text(&packer, "code"); /* by name: numbers could differ between versions */
    pack_text(&packer, error_name(self->error.code));
    pack_text(&packer, "field");
    pack_text(&packer, self->error.field);
    pack_text(&packer, "message");
    pack_text(&packer, self->error.message);
    pack_body(&packer, self->body, self->body_length);
    return output_finish(&output, "reply", bytes, length, error);
}

/* ---- decoding ---- */

static int wrong(error_t *error, const char *what)
{
    return error_set(error, ERR_PROTOCOL, "client message: %s", what);
}

/* Opens the frame's map; the caller destroys `unpacked` whatever is returned. */
static int open_map(const void *bytes, size_t length, msgpack_unpacked *unpacked, error_t *error)
{
    size_t offset = 0;
    if (length > CLIENT_MESSAGE_LIMIT)
        return error_set(error, ERR_TOO_LARGE, "a client message of %zu bytes; at most %u are read",
                         length, CLIENT_MESSAGE_LIMIT);
    int code = msgpack_bounds_check(bytes, length, error);
    if (code != OK)
        return code;
    if (msgpack_unpack_next(unpacked, bytes, length, &offset) != MSGPACK_UNPACK_SUCCESS)
        return wrong(error, "not msgpack");
    if (unpacked->data.type != MSGPACK_OBJECT_MAP)
        return wrong(error, "not a map");
    return OK;
}

/* NULL when absent. Keys that only a newer peer knows are passed over. */
static const msgpack_object *find(const msgpack_unpacked *unpacked, const char *key)
{
    const msgpack_object_map *map = &unpacked->data.via.map;
    size_t length = strlen(key);
    for (uint32_t i = 0; i < map->size; i++) {
        const msgpack_object *name = &map->ptr[i].key;
        if (name->type == MSGPACK_OBJECT_STR && name->via.str.size == length &&
            memcmp(name->via.str.ptr, key, length) == 0)
            return &map->ptr[i].val;
    }
    return NULL;
}

static int read_id(const msgpack_unpacked *unpacked, uint64_t *out, error_t *error)
{
    const msgpack_object *value = find(unpacked, "id");
    if (!value || value->type != MSGPACK_OBJECT_POSITIVE_INTEGER)
        return wrong(error, "no request id");
    *out = value->via.u64;
    return OK;
}

static int read_text(const msgpack_unpacked *unpacked, const char *key, char *out, size_t size,
                     error_t *error)
{
    const msgpack_object *value = find(unpacked, key);
    if (!value || value->type != MSGPACK_OBJECT_STR)
        return error_set(error, ERR_PROTOCOL, "client message: no text \"%s\"", key);
    size_t length = value->via.str.size;
    if (length >= size || (length > 0 && memchr(value->via.str.ptr, 0, length)))
        return error_set(error, ERR_PROTOCOL, "client message: \"%s\" is too long or has a NUL",
                         key);
    if (length > 0)
        memcpy(out, value->via.str.ptr, length);
    out[length] = '\0';
    return OK;
}

static int read_body(const msgpack_unpacked *unpacked, const char **body, size_t *length,
                     error_t *error)
{
    const msgpack_object *value = find(unpacked, "body");
    *body = NULL;
    *length = 0;
    if (!value || value->type == MSGPACK_OBJECT_NIL)
        return OK;
    if (value->type != MSGPACK_OBJECT_STR)
        return wrong(error, "the body is no text");
    *body = value->via.str.ptr;
    *length = value->via.str.size;
    return OK;
}

/* A job's id becomes part of file names: letters, digits, '_' and '-' only. */
static int is_name(const char *text)
{
    return text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")] ==
           '\0';
}

static int is_printable(const char *text)
{
    while (*text > ' ' && *text <= '~')
        text++;
    return *text == '\0';
}

static int read_verb(const msgpack_unpacked *unpacked, client_verb_t *out, error_t *error)
{
    char name[24];
    int code = read_text(unpacked, "verb", name, sizeof name, error);
    if (code != OK)
        return code;
    for (int i = 0; i < CLIENT_VERB_COUNT; i++) {
        if (strcmp(name, VERB_NAMES[i]) == 0) {
            *out = (client_verb_t)i;
            return OK;
        }
    }
    return wrong(error, "an unknown verb");
}

static int read_request(const msgpack_unpacked *unpacked, client_request_t *out, error_t *error)
{
    int code = read_id(unpacked, &out->request_id, error);
    if (code == OK)
        code = read_verb(unpacked, &out->verb, error);
    if (code == OK)
        code = read_text(unpacked, "job", out->job_id, sizeof out->job_id, error);
    if (code == OK)
        code = read_text(unpacked, "key", out->idempotency_key, sizeof out->idempotency_key, error);
    if (code == OK)
        code = read_body(unpacked, &out->body, &out->body_length, error);
    if (code == OK && !is_name(out->job_id))
        code = wrong(error, "a job id has characters other than letters, digits, '_' and '-'");
    if (code == OK && !is_printable(out->idempotency_key))
        code = wrong(error, "an idempotency key has characters that cannot be printed");
    return code;
}

static int read_reply(const msgpack_unpacked *unpacked, client_reply_t *out, error_t *error)
{
    char name[32] = "";
    error_t *inner = &out->error;
    int code = read_id(unpacked, &out->request_id, error);
    if (code == OK)
        code = read_text(unpacked, "code", name, sizeof name, error);
    if (code == OK)
        code = read_text(unpacked, "field", inner->field, sizeof inner->field, error);
    if (code == OK)
        code = read_text(unpacked, "message", inner->message, sizeof inner->message, error);
    if (code == OK)
        code = read_body(unpacked, &out->body, &out->body_length, error);
    out->error.code = ERR_INTERNAL; /* for a name that only a newer peer knows */
    for (int i = 0; i < ERROR_CODE_COUNT && code == OK; i++)
        if (strcmp(name, error_name(i)) == 0)
            out->error.code = i;
    return code;
}

int client_request_decode(const void *bytes, size_t length, client_request_t *out, error_t *error)
{
    msgpack_unpacked unpacked;
    memset(out, 0, sizeof *out);
    msgpack_unpacked_init(&unpacked);
    int code = open_map(bytes, length, &unpacked, error);
    if (code == OK)
        code = read_request(&unpacked, out, error);
    msgpack_unpacked_destroy(&unpacked);
    return code;
}

int client_reply_decode(const void *bytes, size_t length, client_reply_t *out, error_t *error)
{
    msgpack_unpacked unpacked;
    memset(out, 0, sizeof *out);
    msgpack_unpacked_init(&unpacked);
    int code = open_map(bytes, length, &unpacked, error);
    if (code == OK)
        code = read_reply(&unpacked, out, error);
    msgpack_unpacked_destroy(&unpacked);
    return code;
}
