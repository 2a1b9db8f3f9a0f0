#include "cli/target.h"

#include "coordinator/store/durable.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

char *target_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return strdup(".");
    return strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

static int check_folder(const char *option, const char *path, const char *folder, error_t *error)
{
    struct stat state;
    if (stat(folder, &state))
        return error_field(error, ERR_USAGE, option, "option --%s: there is no folder %s (%s)",
                           option, folder, strerror(errno));
    if (!S_ISDIR(state.st_mode))
        return error_field(error, ERR_USAGE, option, "option --%s: %s is no folder", option,
                           folder);
    if (access(folder, W_OK | X_OK))
        return error_field(error, ERR_USAGE, option,
                           "option --%s: %s cannot be written, as its folder is closed to you (%s)",
                           option, path, strerror(errno));
    return OK;
}

int target_check(const char *option, const char *path, error_t *error)
{
    struct stat state;
    size_t length = strlen(path);
    char *folder = target_folder(path);
    if (!folder)
        return error_set(error, ERR_MEMORY, "no memory for a path");
    int code = check_folder(option, path, folder, error);
    free(folder);
    if (code)
        return code;
    if (path[length - 1] == '/' || (!stat(path, &state) && !S_ISREG(state.st_mode)))
        return error_field(error, ERR_USAGE, option, "option --%s: %s is no regular file", option,
                           path);
    return OK;
}

static int same_file(const char *a, const char *b)
{
    struct stat one, other;
    return a && b && !stat(a, &one) && !stat(b, &other) && one.st_dev == other.st_dev &&
           one.st_ino == other.st_ino;
}

static const char *last_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

int target_same(const char *a, const char *b)
{
    if (same_file(a, b))
        return 1;
    char *folder_a = target_folder(a);
    char *folder_b = target_folder(b);
    int same = !strcmp(last_name(a), last_name(b)) && same_file(folder_a, folder_b);
    free(folder_a);
    free(folder_b);
    return same;
}

struct target {
    char *path;
    char *folder;
    char *temporary; /* beside the target, of this process alone */
    FILE *stream;
};

static void destroy(target_t *self)
{
    if (self->stream)
        fclose(self->stream);
    free(self->path);
    free(self->folder);
    free(self->temporary);
    free(self);
}

static int open_stream(target_t *self, error_t *error)
{
    unlink(self->temporary); /* of a process that died and had our number */
    int file = open(self->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (file < 0)
        return durable_error(error, "create", self->temporary);
    self->stream = fdopen(file, "w");
    if (self->stream)
        return OK;
    close(file);
    unlink(self->temporary);
    return error_set(error, ERR_MEMORY, "no memory to write %s", self->path);
}

int target_open(const char *path, target_t **out, error_t *error)
{
    *out = NULL;
    target_t *self = calloc(1, sizeof *self);
    if (!self)
        return error_set(error, ERR_MEMORY, "no memory to write %s", path);
    self->path = strdup(path);
    self->folder = target_folder(path);
    if (asprintf(&self->temporary, "%s.%ld.part", path, (long)getpid()) < 0)
        self->temporary = NULL;
    int code = self->path && self->folder && self->temporary
                   ? open_stream(self, error)
                   : error_set(error, ERR_MEMORY, "no memory to write %s", path);
    if (code)
        destroy(self);
    else
        *out = self;
    return code;
}

FILE *target_stream(target_t *self) { return self->stream; }

int target_close(target_t **target, int code, error_t *error)
{
    target_t *self = *target;
    *target = NULL;
    if (!code && (fflush(self->stream) || ferror(self->stream)))
        code = durable_error(error, "write", self->path);
    /* The descriptor is published; the stream's own close comes after it. */
    int file = code ? -1 : dup(fileno(self->stream));
    if (!code && file < 0)
        code = durable_error(error, "write", self->path);
    if (!code)
        code = durable_publish(file, self->temporary, self->path, self->folder, error);
    else
        unlink(self->temporary);
    destroy(self);
    return code;
}

int target_write(const char *path, const void *bytes, size_t length, error_t *error)
{
    target_t *target;
    int code = target_open(path, &target, error);
    if (code)
        return code;
    fwrite(bytes, 1, length, target->stream); /* target_close looks at ferror */
    return target_close(&target, OK, error);
}

static int copy_bytes(FILE *in, const char *from, FILE *out, error_t *error)
{
    char buffer[1 << 16];
    size_t got;
    while ((got = fread(buffer, 1, sizeof buffer, in)) > 0)
        if (fwrite(buffer, 1, got, out) != got)
            return OK; /* target_close looks at ferror */
    return ferror(in) ? durable_error(error, "read", from) : OK;
}

int target_copy(const char *path, const char *from, error_t *error)
{
    target_t *target;
    FILE *in = fopen(from, "re");
    if (!in)
        return durable_error(error, "open", from);
    int code = target_open(path, &target, error);
    if (!code)
        code = target_close(&target, copy_bytes(in, from, target->stream, error), error);
    fclose(in);
    return code;
}

/* The permissions that a new file of the user's has, whatever those of `from` were. */
static void open_to_others(const char *from, const char *temporary)
{
    struct stat state;
    int file = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (file < 0)
        return;
    if (!fstat(file, &state))
        chmod(from, state.st_mode & 0777);
    close(file);
    unlink(temporary);
}

int target_move(const char *path, const char *from, error_t *error)
{
    char *folder = target_folder(path);
    char *temporary = NULL;
    if (!folder || asprintf(&temporary, "%s.%ld.part", path, (long)getpid()) < 0) {
        free(folder);
        return error_set(error, ERR_MEMORY, "no memory for a path");
    }
    open_to_others(from, temporary);
    int code = rename(from, path) ? durable_error(error, "write", path)
                                  : durable_sync_folder(folder, error);
    free(temporary);
    free(folder);
    return code;
}
