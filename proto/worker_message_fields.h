/* worker_message_fields.h - what a worker message is made of, for its encoder and its decoder only. */
#ifndef STAGE4_PROTO_WORKER_MESSAGE_FIELDS_H
#define STAGE4_PROTO_WORKER_MESSAGE_FIELDS_H

#include "proto/worker_message.h"

#include <stddef.h>

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
    size_t offset; /* in worker_message_t */
    size_t size;
} field_t;

/* A kind of message and the set of its fields: bit FIELD_x. */
typedef struct {
    const char *wire;
    unsigned fields;
} kind_t;

extern const field_t WORKER_MESSAGE_FIELDS[FIELD_COUNT];
extern const kind_t WORKER_MESSAGE_KINDS[WORKER_MESSAGE_COUNT];

#endif
