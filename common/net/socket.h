/* socket.h - message sockets between processes ("tcp://...") or threads ("inproc://...").
 *
 * A router is bound and knows many peers; a dealer connects to one router, and reconnects for ever.
 * A message is a few frames, delivered whole or not at all, in order between two peers while their
 * connection lives. A send never waits. A socket belongs to one thread. */
#ifndef STAGE4_COMMON_NET_SOCKET_H
#define STAGE4_COMMON_NET_SOCKET_H

#include "common/error.h"

#include <stddef.h>
#include <stdint.h>

typedef struct net_socket net_socket_t;

/* One connection of a router, as long as it lives; a peer that reconnects is another one. */
typedef struct {
    uint8_t length; /* 0: none */
    uint8_t bytes[31];
} net_peer_t;

int net_peer_equal(const net_peer_t *a, const net_peer_t *b);

typedef struct {
    uint64_t frame_limit; /* bytes; a peer that sends a larger frame is disconnected */
    int queue_limit;      /* messages waiting, for each peer and direction */
    int heartbeat_ms; /* TCP: a peer that does not answer for three of these is cut off; 0 off */
    int linger_ms;    /* after close, unsent messages are kept that long */
} net_options_t;

#define NET_FRAME_LIMIT 4

typedef struct {
    const void *bytes;
    size_t length;
} net_frame_t;

/* A received message. The frames live until net_message_clear. All zeros: no message. */
typedef struct {
    net_peer_t from; /* routers only */
    size_t count;
    net_frame_t frames[NET_FRAME_LIMIT];
    void *holds[NET_FRAME_LIMIT]; /* the frames' owners */
} net_message_t;

void net_message_clear(net_message_t *self);

/* ERR_UNAVAILABLE naming the endpoint when it is taken, ERR_USAGE when it makes no sense. A TCP
 * port of "*" is chosen by the system; net_socket_endpoint says which. */
int net_router_bind(const char *endpoint, const net_options_t *options, net_socket_t **out,
                    error_t *error);
/* OK also while nobody is bound there yet. */
int net_dealer_connect(const char *endpoint, const net_options_t *options, net_socket_t **out,
                       error_t *error);
void net_socket_close(net_socket_t **self);
const char *net_socket_endpoint(const net_socket_t *self);

/* Copies the frames. `to` for routers, NULL for dealers. ERR_UNAVAILABLE: the peer is gone, or a
 * dealer has no connection; ERR_BUSY: its queue is full. Nothing is sent then. A router learns by
 * receiving that a peer has gone: until then a full queue stays ERR_BUSY. */
int net_send(net_socket_t *self, const net_peer_t *to, const net_frame_t *frames, size_t count,
             error_t *error);
/* 1 and a message, else 0 at once. Messages of no or more than NET_FRAME_LIMIT frames are dropped.
 */
int net_receive(net_socket_t *self, net_message_t *out);

/* Something to wait for: a socket or an actor's pipe (actor.h); `ready` is set by net_poll. */
typedef struct {
    net_socket_t *socket;
    struct net_pipe *pipe;
    int ready;
} net_poll_t;

/* Waits until something can be read, timeout_ms have passed or a signal came. */
void net_poll(net_poll_t *items, size_t count, int64_t timeout_ms);

#endif
