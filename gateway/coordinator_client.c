#include "gateway/coordinator_client.h"

#include "common/clock.h"
#include "common/net/actor.h"
#include "common/net/socket.h"
#include "common/net/start.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define QUEUE_LIMIT 4096
#define HEARTBEAT_MS 1000
#define RESEND_MS 20 /* while there is no connection yet, or its queue is full */

/* Lives on the caller's stack: whoever gets it over the pipe completes it exactly once, and the
 * caller waits for just that. */
typedef struct call {
    uint64_t request_id;
    uint8_t *bytes; /* the encoded question */
    size_t length;
    int sent;
    int64_t deadline_ms;
    char *answer;
    error_t error;
    int done;
    pthread_mutex_t lock;
    pthread_cond_t ended;
    struct call *next;
} call_t;

struct coordinator_client {
    net_socket_t *socket; /* the actor's alone once it runs */
    net_actor_t *actor;
    pthread_mutex_t lock; /* the owner's end of the pipe, and next_id */
    uint64_t next_id;
};

static void complete(call_t *call)
{
    pthread_mutex_lock(&call->lock);
    call->done = 1;
    pthread_cond_signal(&call->ended);
    pthread_mutex_unlock(&call->lock);
}

static void fail(call_t *call, const char *why)
{
    error_set(&call->error, ERR_UNAVAILABLE, "%s", why);
    complete(call);
}

static void discard(void *item) { fail(item, "the gateway is stopping"); }

/* ---- in the actor ---- */

static void take_answer(call_t *call, const client_reply_t *reply)
{
    call->error = reply->error;
    if (reply->error.code == OK) {
        call->answer = strndup(reply->body ? reply->body : "", reply->body_length);
        if (!call->answer)
            error_set(&call->error, ERR_MEMORY, "out of memory");
    }
    complete(call);
}

/* An answer to nobody is late or not ours: dropped. */
static void receive(net_socket_t *socket, call_t **calls)
{
    net_message_t message;
    while (net_receive(socket, &message)) {
        client_reply_t reply;
        call_t **at = calls;
        if (message.count == 1 &&
            client_reply_decode(message.frames[0].bytes, message.frames[0].length, &reply, NULL) ==
                OK) {
            while (*at && (*at)->request_id != reply.request_id)
                at = &(*at)->next;
            call_t *call = *at;
            if (call) {
                *at = call->next;
                take_answer(call, &reply);
            }
        }
        net_message_clear(&message);
    }
}

/* Sends what could not be sent yet and ends what waited too long; gives the time of the next look.
 */
static int64_t tend(net_socket_t *socket, call_t **calls)
{
    int64_t now = clock_monotonic_ms(), wake = now + 60000;
    for (call_t **at = calls; *at;) {
        call_t *call = *at;
        net_frame_t frame = {call->bytes, call->length};
        if (!call->sent)
            call->sent = net_send(socket, NULL, &frame, 1, NULL) == OK;
        if (call->deadline_ms <= now) {
            *at = call->next;
            fail(call, call->sent ? "the coordinator did not answer in time"
                                  : "the coordinator cannot be reached");
            continue;
        }
        int64_t look = call->sent ? call->deadline_ms : now + RESEND_MS;
        wake = look < wake ? look : wake;
        at = &call->next;
    }
    return wake;
}

/* 1 to go on, 0 when the owner wants the end. */
static int take_calls(net_pipe_t *pipe, call_t **calls)
{
    void *item;
    int got;
    while ((got = net_pipe_take(pipe, 0, &item)) == 1) {
        call_t *call = item;
        call->next = *calls;
        *calls = call;
    }
    return got == 0;
}

static void run(net_pipe_t *pipe, void *argument)
{
    net_socket_t *socket = argument;
    net_poll_t items[2] = {{.socket = socket}, {.pipe = pipe}};
    call_t *calls = NULL;
    int64_t wake = clock_monotonic_ms();
    for (;;) {
        int64_t wait = wake - clock_monotonic_ms();
        net_poll(items, 2, wait > 0 ? wait : 0);
        if (!take_calls(pipe, &calls))
            break;
        receive(socket, &calls);
        wake = tend(socket, &calls);
    }
    while (calls) {
        call_t *call = calls;
        calls = call->next;
        discard(call);
    }
}

/* ---- for the owner and callers ---- */

int coordinator_client_new(const char *endpoint, coordinator_client_t **out, error_t *error)
{
    const net_options_t options = {CLIENT_MESSAGE_LIMIT, QUEUE_LIMIT, HEARTBEAT_MS, 0};
    coordinator_client_t *self = calloc(1, sizeof *self);
    *out = NULL;
    if (!self)
        return error_set(error, ERR_MEMORY, "out of memory");
    net_start();
    pthread_mutex_init(&self->lock, NULL);
    int code = net_dealer_connect(endpoint, &options, &self->socket, error);
    if (code == OK)
        code = net_actor_new(run, self->socket, discard, &self->actor, error);
    if (code != OK)
        coordinator_client_destroy(&self);
    *out = self;
    return code;
}

void coordinator_client_destroy(coordinator_client_t **self)
{
    if (!*self)
        return;
    if ((*self)->actor)
        net_actor_destroy(&(*self)->actor);
    if ((*self)->socket)
        net_socket_close(&(*self)->socket);
    pthread_mutex_destroy(&(*self)->lock);
    free(*self);
    *self = NULL;
}

static int encode(coordinator_client_t *self, client_request_t *request, call_t *call,
                  error_t *error)
{
    pthread_mutex_lock(&self->lock);
    request->request_id = call->request_id = ++self->next_id;
    pthread_mutex_unlock(&self->lock);
    return client_request_encode(request, &call->bytes, &call->length, error);
}

/* Hands the call over and waits until the actor is done with it. */
static void hand_over(coordinator_client_t *self, call_t *call)
{
    pthread_mutex_lock(&self->lock);
    int put = net_pipe_put(net_actor_pipe(self->actor), call);
    pthread_mutex_unlock(&self->lock);
    if (put != OK) {
        error_set(&call->error, ERR_UNAVAILABLE, "the gateway is stopping");
        return;
    }
    pthread_mutex_lock(&call->lock);
    while (!call->done)
        pthread_cond_wait(&call->ended, &call->lock);
    pthread_mutex_unlock(&call->lock);
}

int coordinator_client_call(coordinator_client_t *self, client_verb_t verb, const char *job_id,
                            const char *key, const char *body, size_t body_length, int timeout_ms,
                            char **answer_json, error_t *error)
{
    client_request_t request = {.verb = verb, .body = body, .body_length = body_length};
    call_t call = {.deadline_ms = clock_monotonic_ms() + timeout_ms};
    snprintf(request.job_id, sizeof request.job_id, "%s", job_id ? job_id : "");
    snprintf(request.idempotency_key, sizeof request.idempotency_key, "%s", key ? key : "");
    *answer_json = NULL;
    int code = encode(self, &request, &call, error);
    if (code != OK)
        return code;
    pthread_mutex_init(&call.lock, NULL);
    pthread_cond_init(&call.ended, NULL);
    hand_over(self, &call);
    pthread_cond_destroy(&call.ended);
    pthread_mutex_destroy(&call.lock);
    free(call.bytes);
    *answer_json = call.answer;
    if (call.error.code != OK && error)
        *error = call.error;
    return call.error.code;
}
