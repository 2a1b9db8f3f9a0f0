#include "coordinator/store/durable.h"

#include "proto/task.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *advice(int cause)
{
    switch (cause) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return "; free some space there, or point the folder somewhere else";
    case EACCES:
    case EPERM:
    case EROFS:
        return "; the folder must be writable by the user the service runs as";
    case ENOENT:
    case ENOTDIR:
        return "; the folder it lies in must exist";
    default:
        return "";
    }
}

int durable_error(error_t *error, const char *verb, const char *path)
{
    int cause = errno;
    return error_set(error, ERR_IO, "cannot %s %s: %s%s", verb, path, strerror(cause),
                     advice(cause));
}

int durable_job_name(const char *job_id, error_t *error)
{
    size_t length = strlen(job_id);
    if (length > 0 && length < JOB_ID_SIZE &&
        strspn(job_id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") ==
            length)
        return OK;
    return error_field(error, ERR_USAGE, "job_id",
                       "a job id is 1 to %d letters, digits, '_' or '-'", JOB_ID_SIZE - 1);
}

int durable_sync_folder(const char *path, error_t *error)
{
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return durable_error(error, "open folder", path);
    int code = fsync(folder) ? durable_error(error, "sync folder", path) : OK;
    close(folder);
    return code;
}

/* The folder `path` lies in, into `out` of `size` bytes. */
static void parent_of(const char *path, char *out, size_t size)
{
    snprintf(out, size, "%s", path);
    size_t length = strlen(out);
    while (length > 1 && out[length - 1] == '/')
        out[--length] = 0;
    char *slash = strrchr(out, '/');
    if (!slash)
        snprintf(out, size, ".");
    else
        slash[slash == out] = 0;
}

int durable_make_folder(const char *path, error_t *error)
{
    if (mkdir(path, 0750)) {
        struct stat state;
        int cause = errno;
        if (cause == EEXIST && !stat(path, &state) && S_ISDIR(state.st_mode))
            return OK;
        errno = cause;
        return durable_error(error, "create folder", path);
    }
    char parent[4096];
    parent_of(path, parent, sizeof parent);
    return durable_sync_folder(parent, error);
}

int durable_write(int file, const void *bytes, size_t length, const char *path, error_t *error)
{
    const char *next = bytes;
    while (length) {
        ssize_t written = write(file, next, length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return durable_error(error, "write", path);
        next += written;
        length -= (size_t)written;
    }
    return OK;
}

int durable_publish(int file, const char *temporary, const char *path, const char *folder,
                    error_t *error)
{
    int code = fsync(file) ? durable_error(error, "sync", temporary) : OK;
    if (close(file) && code == OK)
        code = durable_error(error, "close", temporary);
    if (code == OK && rename(temporary, path))
        code = durable_error(error, "rename to", path);
    if (code != OK) {
        unlink(temporary);
        return code;
    }
    return durable_sync_folder(folder, error);
}
