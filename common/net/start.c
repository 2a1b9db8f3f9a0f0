#include "common/net/start.h"

#include <czmq.h>
#include <pthread.h>

/* zsys_init registers an exit handler and is not safe to race; czmq keeps its context in a global,
 * so the once-flag beside it adds no state that is not there already. */
static void start_once(void)
{
    zsys_handler_set(NULL);
    zsys_init();
}

void net_start(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, start_once);
}
