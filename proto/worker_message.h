/* worker_message.h - what coordinator and workers say to each other.
 *
 * A message is one or two frames: a msgpack map {"m": kind, ...}, and for RESULT and BLOB the bytes
 * themselves. Every length is bounded before anything is allocated. Unknown keys are skipped, so
 * that a newer peer may say more; a missing key is ERR_PROTOCOL. */
#ifndef STAGE4_PROTO_WORKER_MESSAGE_H
#define STAGE4_PROTO_WORKER_MESSAGE_H

#include "proto/task.h"

#define WORKER_PROTOCOL 1
#define WORKER_MESSAGE_LIMIT (16u << 20)  /* the first frame */
#define WORKER_PAYLOAD_LIMIT (1ull << 31) /* the second */
#define BLOB_CHUNK (4u << 20)             /* a BLOB brings at most that much */
#define WORKER_NAME_SIZE 64
#define WORKER_CREDIT_LIMIT 16

/*    name                 wire        from */
#define WORKER_MESSAGES(X)                                                                         \
    X(MSG_HELLO, "hello") /* worker: name, host, pid, threads, backend, credit, protocol */        \
    X(MSG_HEARTBEAT, "heartbeat") /* worker, every second: each task it holds, work done */        \
    X(MSG_RESULT, "result")       /* worker: ref, sha256, seconds; second frame: payload */        \
    X(MSG_FAILED, "failed")       /* worker: ref, error */                                         \
    X(MSG_RETURNED, "returned")   /* worker: ref, not done, given back on a graceful stop */       \
    X(MSG_FETCH, "fetch")         /* worker: sha256, job_id, offset */                             \
    X(MSG_GOODBYE, "goodbye")     /* worker: leaves, holds nothing */                              \
    X(MSG_WELCOME, "welcome")     /* coordinator: heartbeat_ms, lease_ms */                        \
    X(MSG_TASK, "task")           /* coordinator: the task */                                      \
    X(MSG_ABORT, "abort")         /* coordinator: ref, stop and forget it */                       \
    X(MSG_ACK, "ack")             /* coordinator: ref, its result is safe or not wanted */         \
    X(MSG_BLOB, "blob")           /* coordinator: sha256, offset, total; second frame: bytes */    \
    X(MSG_WHO, "who")             /* coordinator: I do not know you, say hello again */

typedef enum {
#define X(name, wire) name,
    WORKER_MESSAGES(X)
#undef X
        WORKER_MESSAGE_COUNT
} worker_message_kind_t;

typedef struct {
    task_ref_t ref;
    uint64_t work_done;
} task_progress_t;

/* One struct for all kinds; a kind uses the fields its line above names. */
typedef struct {
    worker_message_kind_t kind;
    char name[WORKER_NAME_SIZE];
    char host[64];
    char backend[32]; /* "avx512+openblas" */
    char version[32];
    uint32_t protocol;
    uint32_t pid;
    uint32_t threads;
    uint32_t credit;
    size_t progress_count;
    task_progress_t progress[WORKER_CREDIT_LIMIT];
    task_ref_t ref;
    sha256_t sha256;
    char job_id[JOB_ID_SIZE];
    uint64_t offset;
    uint64_t total;
    double seconds;
    error_t error;
    uint32_t heartbeat_ms;
    uint32_t lease_ms;
    task_t task; /* owned: worker_message_clear frees */
} worker_message_t;

void worker_message_clear(worker_message_t *self);
int worker_message_encode(const worker_message_t *self, uint8_t **bytes, size_t *length,
                          error_t *error);
int worker_message_decode(const void *bytes, size_t length, worker_message_t *out, error_t *error);
const char *worker_message_name(worker_message_kind_t kind);

#endif
