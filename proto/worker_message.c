#include "proto/worker_message.h"

#include "proto/worker_message_fields.h"

#include <string.h>

const field_t WORKER_MESSAGE_FIELDS[FIELD_COUNT] = {
#define X(member, wire, type)                                                                      \
    {wire, type, offsetof(worker_message_t, member), sizeof((worker_message_t *)0)->member},
    FIELDS(X)
#undef X
};

#define BIT(member) (1u << FIELD_##member)

const kind_t WORKER_MESSAGE_KINDS[WORKER_MESSAGE_COUNT] = {
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
    return kind < WORKER_MESSAGE_COUNT ? WORKER_MESSAGE_KINDS[kind].wire : "unknown";
}

void worker_message_clear(worker_message_t *self)
{
    task_clear(&self->task);
    memset(self, 0, sizeof *self);
}
