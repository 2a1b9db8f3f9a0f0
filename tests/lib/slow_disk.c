/* A disk that hangs, for a process that preloads this: no sync returns for as long as the file named
 * by STAGE4_SLOW_DISK is there. Writes and reads go on, as they do on a disk with a full queue and
 * a kernel with a large cache. */
#include <poll.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static void wait_for_disk(void)
{
    const char *held = getenv("STAGE4_SLOW_DISK");
    while (held && !access(held, F_OK))
        poll(NULL, 0, 20);
}

int fsync(int file)
{
    wait_for_disk();
    return (int)syscall(SYS_fsync, file);
}

int fdatasync(int file)
{
    wait_for_disk();
    return (int)syscall(SYS_fdatasync, file);
}
