#include "common/arenas.h"

#include <stdlib.h>

#ifdef __GLIBC__
#include <malloc.h>
#endif

void arenas_few(void)
{
#ifdef __GLIBC__
    if (!getenv("MALLOC_ARENA_MAX"))
        mallopt(M_ARENA_MAX, 2);
#endif
}
