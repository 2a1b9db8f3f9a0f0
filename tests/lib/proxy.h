/* proxy.h - a tiny TCP proxy between a client under test and a real server, to cut and hold up
 * their connection at a chosen moment. One thread, some dozens of connections. */
#ifndef STAGE4_TESTS_LIB_PROXY_H
#define STAGE4_TESTS_LIB_PROXY_H

#include "lib/server.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

#define PROXY_PAIRS 64

typedef enum {
    PROXY_PASS,
    PROXY_CUT,         /* the next thing the client sends never arrives: both sides are closed */
    PROXY_CUT_ANSWER,  /* the next request arrives; its answer does not: both sides are closed */
    PROXY_CUT_COMMIT,  /* becomes PROXY_CUT_ANSWER when the client says COMMIT */
    PROXY_HOLD_COMMIT, /* the client's next COMMIT never arrives, and then it is PROXY_HOLD */
    PROXY_HOLD         /* nothing is passed on; the connections stay open */
} proxy_mode_t;

typedef struct {
    uint16_t port;
    uint16_t target;
    int listener;
    atomic_int mode; /* a cut happens once and leaves PROXY_PASS */
    atomic_int stop;
    atomic_int cuts;
    pthread_t thread;
    int client[PROXY_PAIRS]; /* -1: free */
    int server[PROXY_PAIRS];
} proxy_t;

static inline void proxy_drop(proxy_t *self, size_t pair)
{
    close(self->client[pair]);
    close(self->server[pair]);
    self->client[pair] = self->server[pair] = -1;
}

static inline void proxy_accept(proxy_t *self)
{
    int client = accept(self->listener, NULL, NULL);
    int server = server_connect(self->target);
    for (size_t i = 0; client >= 0 && server >= 0 && i < PROXY_PAIRS; i++) {
        if (self->client[i] >= 0)
            continue;
        self->client[i] = client;
        self->server[i] = server;
        return;
    }
    close(client);
    close(server);
}

/* Moves what is there from one side to the other, or does what the mode says. */
static inline void proxy_move(proxy_t *self, size_t pair, int from_client)
{
    char bytes[65536];
    int from = from_client ? self->client[pair] : self->server[pair];
    int to = from_client ? self->server[pair] : self->client[pair];
    int cut = atomic_load(&self->mode) == (from_client ? PROXY_CUT : PROXY_CUT_ANSWER);
    ssize_t length = read(from, bytes, sizeof bytes);
    if (from_client && length > 0 && atomic_load(&self->mode) == PROXY_CUT_COMMIT &&
        memmem(bytes, (size_t)length, "COMMIT", 6))
        atomic_store(&self->mode, PROXY_CUT_ANSWER);
    if (from_client && length > 0 && atomic_load(&self->mode) == PROXY_HOLD_COMMIT &&
        memmem(bytes, (size_t)length, "COMMIT", 6)) {
        atomic_store(&self->mode, PROXY_HOLD);
        return;
    }
    if (length > 0 && !cut && send(to, bytes, (size_t)length, MSG_NOSIGNAL) == length)
        return;
    if (cut) {
        atomic_store(&self->mode, PROXY_PASS);
        atomic_fetch_add(&self->cuts, 1);
    }
    proxy_drop(self, pair);
}

static inline void *proxy_run(void *argument)
{
    proxy_t *self = argument;
    while (!atomic_load(&self->stop)) {
        struct pollfd polls[2 * PROXY_PAIRS + 1];
        short wanted = atomic_load(&self->mode) == PROXY_HOLD ? 0 : POLLIN;
        for (size_t i = 0; i < PROXY_PAIRS; i++) {
            polls[2 * i] = (struct pollfd){self->client[i], wanted, 0};
            polls[2 * i + 1] = (struct pollfd){self->server[i], wanted, 0};
        }
        polls[2 * PROXY_PAIRS] = (struct pollfd){self->listener, POLLIN, 0};
        poll(polls, 2 * PROXY_PAIRS + 1, 5);
        for (size_t i = 0; wanted && i < 2 * PROXY_PAIRS; i++)
            if (polls[i].revents && self->client[i / 2] >= 0)
                proxy_move(self, i / 2, i % 2 == 0);
        if (polls[2 * PROXY_PAIRS].revents)
            proxy_accept(self);
    }
    return NULL;
}

static inline proxy_t *proxy_new(uint16_t target)
{
    proxy_t *self = calloc(1, sizeof *self);
    struct sockaddr_in address = {.sin_family = AF_INET};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    self->target = target;
    self->port = server_free_port();
    address.sin_port = htons(self->port);
    self->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(self->listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(self->listener, (struct sockaddr *)&address, sizeof address) ||
        listen(self->listener, 16))
        abort();
    for (size_t i = 0; i < PROXY_PAIRS; i++)
        self->client[i] = self->server[i] = -1;
    pthread_create(&self->thread, NULL, proxy_run, self);
    return self;
}

static inline void proxy_destroy(proxy_t **proxy)
{
    proxy_t *self = *proxy;
    atomic_store(&self->stop, 1);
    pthread_join(self->thread, NULL);
    for (size_t i = 0; i < PROXY_PAIRS; i++)
        if (self->client[i] >= 0)
            proxy_drop(self, i);
    close(self->listener);
    free(self);
    *proxy = NULL;
}

#endif
