/* stop_signal.h - SIGTERM and SIGINT raise a flag, for the main() of a daemon.
 *
 * Must be the first thing in main(): the signals are blocked in every thread started afterwards and
 * read by a thread of their own, so no global is needed. A second signal ends
 * the process at once with status 128 + its number; what is durable stays so. */
#ifndef STAGE4_COMMON_NET_STOP_SIGNAL_H
#define STAGE4_COMMON_NET_STOP_SIGNAL_H

#include "common/error.h"

#include <stdatomic.h>

typedef struct stop_signal stop_signal_t;

/* `stop` is set to the signal's number; it must outlive the stop_signal_t. */
int stop_signal_new(atomic_int *stop, stop_signal_t **out, error_t *error);
void stop_signal_destroy(stop_signal_t **self);

#endif
