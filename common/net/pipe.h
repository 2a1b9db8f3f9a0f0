/* pipe.h - what socket.c and actor.c share about a pipe; not for others. */
#ifndef STAGE4_COMMON_NET_PIPE_H
#define STAGE4_COMMON_NET_PIPE_H

#include "common/net/actor.h"

#include <czmq.h>

zsock_t *net_pipe_socket(net_pipe_t *self);

#endif
