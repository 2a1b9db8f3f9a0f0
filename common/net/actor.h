/* actor.h - a thread with a pipe to its owner; pointers travel over it, and own what they point to.
 *
 * The one way this project runs threads, beside the compute pool. Items arrive in the order they
 * were put. */
#ifndef STAGE4_COMMON_NET_ACTOR_H
#define STAGE4_COMMON_NET_ACTOR_H

#include "common/error.h"

#include <stdint.h>

typedef struct net_actor net_actor_t;
typedef struct net_pipe net_pipe_t;

/* The thread's body: takes and puts items until net_pipe_take gives -1, then returns. */
typedef void (*net_actor_fn)(net_pipe_t *pipe, void *argument);
/* Frees an item that nobody will take any more. */
typedef void (*net_discard_fn)(void *item);

/* `argument` is borrowed and must outlive the actor. */
int net_actor_new(net_actor_fn run, void *argument, net_discard_fn discard, net_actor_t **out,
                  error_t *error);
/* Waits until the body has returned; items still on the way are discarded. What makes the body
 * leave a long computation early is between the owner and the body (an atomic flag). */
void net_actor_destroy(net_actor_t **self);
net_pipe_t *net_actor_pipe(net_actor_t *self); /* the owner's end */

/* OK, or ERR_INTERNAL when the other end is gone (then the item is still the caller's). */
int net_pipe_put(net_pipe_t *self, void *item);
/* 1 and an item; 0 when none came within timeout_ms (-1: waits for ever); -1 when the actor is to
 * end (its end only). */
int net_pipe_take(net_pipe_t *self, int64_t timeout_ms, void **item);

#endif
