#include "common/arenas.h"

#include <stdlib.h>

#ifdef __GLIBC__
#include <limits.h>
#include <malloc.h>
#include <unistd.h>
#endif

void arenas_few(void)
{
#ifdef __GLIBC__
    if (!getenv("MALLOC_ARENA_MAX"))
        mallopt(M_ARENA_MAX, 2);
#endif
}

void arenas_uncached(char **argv)
{
#ifdef __GLIBC__
    char path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    if (length <= 0 || getenv("GLIBC_TUNABLES") ||
        setenv("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0", 0))
        return;
    path[length] = 0;
    execv(path, argv); /* comes back only when it failed: then all stays as it was */
#else
    (void)argv;
#endif
}
