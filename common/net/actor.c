#include "common/net/actor.h"

#include "common/net/pipe.h"
#include "common/net/start.h"
#include "common/sha256.h"

#include <pthread.h>
#include <stdlib.h>

struct net_pipe {
    zsock_t *sock;
};

/* No zactor: czmq lets its threads go without joining them, and when one of them is still busy
 * closing its socket while the program ends, czmq sleeps 200 ms for its sake. */
struct net_actor {
    pthread_t thread;
    net_pipe_t pipe;  /* the owner's end */
    net_pipe_t inner; /* the thread's */
    net_actor_fn run;
    net_discard_fn discard;
    void *argument;
};

zsock_t *net_pipe_socket(net_pipe_t *self) { return self->sock; }

int net_pipe_put(net_pipe_t *self, void *item)
{
    return zmq_send(zsock_resolve(self->sock), &item, sizeof item, 0) < 0 ? ERR_INTERNAL : OK;
}

/* A NULL item is the end of the stream in either direction. */
static int take(net_pipe_t *self, int64_t timeout_ms, void **item)
{
    zmq_pollitem_t poll = {zsock_resolve(self->sock), 0, ZMQ_POLLIN, 0};
    int ready = zmq_poll(&poll, 1, (long)timeout_ms);
    if (ready < 0)
        return errno == ETERM ? -1 : 0;
    if (!ready)
        return 0;
    if (zmq_recv(zsock_resolve(self->sock), item, sizeof *item, 0) != sizeof *item)
        return 0;
    return *item ? 1 : -1;
}

int net_pipe_take(net_pipe_t *self, int64_t timeout_ms, void **item)
{
    int got = take(self, timeout_ms, item);
    while (got == 0 && timeout_ms < 0)
        got = take(self, timeout_ms, item);
    return got;
}

static void discard_rest(net_pipe_t *pipe, net_discard_fn discard)
{
    void *item;
    while (net_pipe_take(pipe, -1, &item) > 0)
        discard(item);
}

/* The body ends on the owner's end of stream and has then taken every item; ours follows the last
 * item it put, so the owner can empty the pipe before the sockets go. */
static void *thread_main(void *argument)
{
    net_actor_t *self = argument;
    self->run(&self->inner, self->argument);
    sha256_thread_end();
    net_pipe_put(&self->inner, NULL);
    return NULL;
}

static void release(net_actor_t **self)
{
    zsock_destroy(&(*self)->pipe.sock);
    zsock_destroy(&(*self)->inner.sock);
    free(*self);
    *self = NULL;
}

int net_actor_new(net_actor_fn run, void *argument, net_discard_fn discard, net_actor_t **out,
                  error_t *error)
{
    net_start();
    net_actor_t *self = calloc(1, sizeof *self);
    *out = NULL;
    if (!self)
        return error_set(error, ERR_MEMORY, "no memory for a thread");
    self->run = run;
    self->argument = argument;
    self->discard = discard;
    self->pipe.sock = zsys_create_pipe(&self->inner.sock);
    if (!self->pipe.sock || pthread_create(&self->thread, NULL, thread_main, self)) {
        error_set(error, ERR_MEMORY, "no thread, or no pipe to it: %s", strerror(errno));
        release(&self);
        return ERR_MEMORY;
    }
    *out = self;
    return OK;
}

void net_actor_destroy(net_actor_t **self)
{
    if (!self || !*self)
        return;
    net_pipe_put(&(*self)->pipe, NULL);
    discard_rest(&(*self)->pipe, (*self)->discard);
    pthread_join((*self)->thread, NULL);
    release(self);
}

net_pipe_t *net_actor_pipe(net_actor_t *self) { return &self->pipe; }
