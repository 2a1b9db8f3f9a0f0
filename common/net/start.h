/* start.h - readies the library below sockets and actors. */
#ifndef STAGE4_COMMON_NET_START_H
#define STAGE4_COMMON_NET_START_H

/* Must come before the threads that use sockets; any number of times, from any thread. Leaves the
 * process's signal handlers alone. */
void net_start(void);

#endif
