#include "common/net/socket.h"

#include "common/net/pipe.h"
#include "common/net/start.h"

#include <czmq.h>

#define POLL_LIMIT 8

struct net_socket {
    zsock_t *sock;
    char *endpoint;
    int router;
};

int net_peer_equal(const net_peer_t *a, const net_peer_t *b)
{
    return a->length == b->length && !memcmp(a->bytes, b->bytes, a->length);
}

void net_message_clear(net_message_t *self)
{
    for (size_t i = 0; i < self->count; i++) {
        zframe_t *frame = self->holds[i];
        zframe_destroy(&frame);
    }
    memset(self, 0, sizeof *self);
}

static void set_options(zsock_t *sock, const net_options_t *options)
{
    int64_t frame_limit = (int64_t)options->frame_limit; /* czmq's setter takes an int only */
    zmq_setsockopt(zsock_resolve(sock), ZMQ_MAXMSGSIZE, &frame_limit, sizeof frame_limit);
    zsock_set_sndhwm(sock, options->queue_limit);
    zsock_set_rcvhwm(sock, options->queue_limit);
    zsock_set_linger(sock, options->linger_ms);
    zsock_set_sndtimeo(sock, 0);
    zsock_set_rcvtimeo(sock, 0);
    if (options->heartbeat_ms) {
        zsock_set_heartbeat_ivl(sock, options->heartbeat_ms);
        zsock_set_heartbeat_timeout(sock, 3 * options->heartbeat_ms);
        zsock_set_heartbeat_ttl(sock, 3 * options->heartbeat_ms);
    }
}

static int new_socket(int type, const char *endpoint, const net_options_t *options,
                      net_socket_t **out, error_t *error)
{
    net_start();
    *out = NULL;
    net_socket_t *self = calloc(1, sizeof *self);
    if (!self)
        goto fail;
    self->router = type == ZMQ_ROUTER;
    self->endpoint = strdup(endpoint);
    self->sock = zsock_new(type);
    if (!self->endpoint || !self->sock)
        goto fail;
    set_options(self->sock, options);
    *out = self;
    return OK;
fail:
    net_socket_close(&self);
    return error_set(error, ERR_MEMORY, "no socket for %s: %s", endpoint, zmq_strerror(errno));
}

static int endpoint_error(int number, const char *what, const char *endpoint, error_t *error)
{
    int code = ERR_UNAVAILABLE;
    if (number == EINVAL || number == EPROTONOSUPPORT || number == ENOCOMPATPROTO)
        code = ERR_USAGE;
    const char *right = code == ERR_USAGE ? " (tcp://HOST:PORT or inproc://NAME would be right)"
                        : number == EADDRINUSE ? " (another process listens there)"
                                               : "";
    return error_set(error, code, "cannot %s %s: %s%s", what, endpoint, zmq_strerror(number),
                     right);
}

int net_router_bind(const char *endpoint, const net_options_t *options, net_socket_t **out,
                    error_t *error)
{
    int code = new_socket(ZMQ_ROUTER, endpoint, options, out, error);
    if (!*out)
        return code;
    /* Without it a message to a peer that has gone vanishes, and a full queue drops in silence. */
    zsock_set_router_mandatory((*out)->sock, 1);
    void *handle = zsock_resolve((*out)->sock);
    char bound[256];
    size_t size = sizeof bound;
    if (zmq_bind(handle, endpoint)) {
        code = endpoint_error(errno, "bind", endpoint, error);
        net_socket_close(out);
        return code;
    }
    if (!zmq_getsockopt(handle, ZMQ_LAST_ENDPOINT, bound, &size)) {
        char *copy = strdup(bound);
        if (copy) {
            free((*out)->endpoint);
            (*out)->endpoint = copy;
        }
    }
    return OK;
}

int net_dealer_connect(const char *endpoint, const net_options_t *options, net_socket_t **out,
                       error_t *error)
{
    int code = new_socket(ZMQ_DEALER, endpoint, options, out, error);
    if (!*out)
        return code;
    /* Messages queue for living connections only: what was meant for a coordinator that died would
     * reach its successor out of context. */
    zsock_set_immediate((*out)->sock, 1);
    zsock_set_reconnect_ivl((*out)->sock, 100);
    zsock_set_reconnect_ivl_max((*out)->sock, 2000);
    if (zmq_connect(zsock_resolve((*out)->sock), endpoint)) {
        code = endpoint_error(errno, "connect to", endpoint, error);
        net_socket_close(out);
    }
    return code;
}

void net_socket_close(net_socket_t **self)
{
    if (!self || !*self)
        return;
    zsock_destroy(&(*self)->sock);
    free((*self)->endpoint);
    free(*self);
    *self = NULL;
}

const char *net_socket_endpoint(const net_socket_t *self) { return self->endpoint; }

static int send_error(int number, const net_socket_t *self, error_t *error)
{
    /* A dealer says EAGAIN both without a connection and with a full queue. */
    if (number == EAGAIN && self->router)
        return error_set(error, ERR_BUSY, "the queue to a peer of %s is full", self->endpoint);
    if (number == EAGAIN || number == EHOSTUNREACH)
        return error_set(error, ERR_UNAVAILABLE, "no connection to the peer at %s", self->endpoint);
    return error_set(error, ERR_INTERNAL, "cannot send by %s: %s", self->endpoint,
                     zmq_strerror(number));
}

int net_send(net_socket_t *self, const net_peer_t *to, const net_frame_t *frames, size_t count,
             error_t *error)
{
    void *handle = zsock_resolve(self->sock);
    /* Only the first part can be refused: with it the route is chosen and room is reserved. */
    if (to && zmq_send(handle, to->bytes, to->length, ZMQ_DONTWAIT | ZMQ_SNDMORE) < 0)
        return send_error(errno, self, error);
    for (size_t i = 0; i < count; i++) {
        int more = i + 1 < count ? ZMQ_SNDMORE : 0;
        if (zmq_send(handle, frames[i].bytes, frames[i].length, ZMQ_DONTWAIT | more) < 0)
            return send_error(errno, self, error);
    }
    return OK;
}

static int accept_frame(net_message_t *out, zframe_t **frame)
{
    if (out->count == NET_FRAME_LIMIT)
        return 0;
    out->holds[out->count] = *frame;
    out->frames[out->count++] = (net_frame_t){zframe_data(*frame), zframe_size(*frame)};
    *frame = NULL;
    return 1;
}

/* 1 a message, 0 none, -1 one that was dropped. */
static int receive_one(net_socket_t *self, net_message_t *out)
{
    int good = 1;
    int more = 1;
    memset(out, 0, sizeof *out);
    for (size_t part = 0; more; part++) {
        zframe_t *frame = zframe_recv(self->sock);
        if (!frame)
            return 0; /* only ever at the first part: a message arrives whole */
        more = zframe_more(frame);
        if (part == 0 && self->router) {
            out->from.length = (uint8_t)zframe_size(frame);
            good = zframe_size(frame) <= sizeof out->from.bytes;
            if (good)
                memcpy(out->from.bytes, zframe_data(frame), zframe_size(frame));
        } else {
            good = good && accept_frame(out, &frame);
        }
        zframe_destroy(&frame);
    }
    if (good && out->count)
        return 1;
    net_message_clear(out);
    return -1;
}

int net_receive(net_socket_t *self, net_message_t *out)
{
    int got;
    while ((got = receive_one(self, out)) < 0)
        ;
    return got;
}

void net_poll(net_poll_t *items, size_t count, int64_t timeout_ms)
{
    zmq_pollitem_t polls[POLL_LIMIT];
    assert(count <= POLL_LIMIT);
    for (size_t i = 0; i < count; i++) {
        void *source = items[i].socket ? (void *)items[i].socket->sock
                                       : (void *)net_pipe_socket(items[i].pipe);
        polls[i] = (zmq_pollitem_t){zsock_resolve(source), 0, ZMQ_POLLIN, 0};
        items[i].ready = 0;
    }
    if (zmq_poll(polls, (int)count, timeout_ms < 0 ? 0 : (long)timeout_ms) <= 0)
        return;
    for (size_t i = 0; i < count; i++)
        items[i].ready = (polls[i].revents & ZMQ_POLLIN) != 0;
}
