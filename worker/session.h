/* session.h - the inside of a worker, shared by worker.c (the loop) and session.c (the messages).
 */
#ifndef STAGE4_WORKER_SESSION_H
#define STAGE4_WORKER_SESSION_H

#include "common/net/socket.h"
#include "worker/compute_thread.h"
#include "worker/fetch.h"
#include "worker/input_cache.h"
#include "worker/task_list.h"
#include "worker/worker.h"

typedef struct {
    const worker_options_t *options;
    char name[WORKER_NAME_SIZE];
    net_socket_t *socket;
    open_indices_t *indices; /* its own, unless the options have some */
    compute_thread_t *compute;
    input_cache_t *cache;
    task_list_t tasks;
    fetch_t fetch;
    int welcomed; /* the coordinator knows this connection; before, only HELLO is said */
    int leaving;
    int64_t heartbeat_ms;
    int64_t next_beat_ms; /* of the heartbeat, or of the next HELLO */
} session_t;

/* Every message of the coordinator that is there. */
void session_receive(session_t *self, int64_t now_ms);
/* What is due: hello or heartbeat, fetches, results offered again, the next task to run. */
void session_tick(session_t *self, int64_t now_ms);
/* A task has come back from the compute thread. */
void session_computed(session_t *self, compute_job_t *job, int64_t now_ms);
/* Gives back what is held. */
void session_leave(session_t *self);
/* OK, or why it could not be sent now. */
int session_say(session_t *self, const worker_message_t *message, const void *payload,
                size_t length);

#endif
