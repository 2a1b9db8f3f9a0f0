#include "coordinator/state_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static int write_pid(int descriptor)
{
    char text[32];
    int length = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    return ftruncate(descriptor, 0) == 0 && pwrite(descriptor, text, (size_t)length, 0) == length;
}

static int taken(const char *folder, int descriptor, error_t *error)
{
    char text[32] = "";
    ssize_t length = pread(descriptor, text, sizeof text - 1, 0);
    if (length > 0)
        text[strcspn(text, "\n")] = 0;
    return error_field(error, ERR_CONFLICT, "state",
                       "another coordinator (process %s) uses the state folder %s; only one may",
                       text[0] ? text : "unknown", folder);
}

int state_lock_take(const char *folder, int *descriptor, error_t *error)
{
    char path[4096];
    int code = OK;
    snprintf(path, sizeof path, "%s/coordinator.lock", folder);
    *descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (*descriptor < 0)
        return error_field(error, ERR_IO, "state", "cannot open %s: %s", path, strerror(errno));
    if (flock(*descriptor, LOCK_EX | LOCK_NB))
        code = errno == EWOULDBLOCK ? taken(folder, *descriptor, error)
                                    : error_field(error, ERR_IO, "state", "cannot lock %s: %s",
                                                  path, strerror(errno));
    else if (!write_pid(*descriptor))
        code = error_field(error, ERR_IO, "state", "cannot write %s: %s", path, strerror(errno));
    if (code)
        state_lock_release(descriptor);
    return code;
}

void state_lock_release(int *descriptor)
{
    if (*descriptor >= 0)
        close(*descriptor);
    *descriptor = -1;
}
