#include "coordinator/output/jsonl_file.h"

#include "common/clock.h"
#include "coordinator/store/durable.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUFFER_SIZE (1u << 20)

struct jsonl_file {
    int file; /* -1: closed */
    int shown;
    sha256_stream_t *hash;
    uint64_t bytes;
    size_t used;
    char folder[PATH_MAX];
    char path[PATH_MAX + JSONL_NAME_SIZE];
    char temporary[PATH_MAX + JSONL_NAME_SIZE + 8];
    char buffer[BUFFER_SIZE];
};

int jsonl_name(level_t level, const char *job_id, char out[JSONL_NAME_SIZE], error_t *error)
{
    int code = durable_job_name(job_id, error);
    if (code == OK)
        snprintf(out, JSONL_NAME_SIZE, "clustered_%s_%s.jsonl", level_plural(level), job_id);
    return code;
}

static void temporary_path(const char *folder, const char *name, char *out, size_t size)
{
    snprintf(out, size, "%s/.%s.tmp", folder, name);
}

int jsonl_file_new(const char *folder, const char *name, jsonl_file_t **out, error_t *error)
{
    *out = NULL;
    if (strlen(folder) >= PATH_MAX - JSONL_NAME_SIZE)
        return error_set(error, ERR_USAGE, "the output folder's path is over %d bytes",
                         PATH_MAX - JSONL_NAME_SIZE - 1);
    int code = durable_make_folder(folder, error);
    if (code != OK)
        return code;
    jsonl_file_t *self = malloc(sizeof *self);
    if (!self)
        return error_set(error, ERR_MEMORY, "no memory to write %s", name);
    self->shown = 0;
    self->bytes = 0;
    self->used = 0;
    snprintf(self->folder, sizeof self->folder, "%s", folder);
    snprintf(self->path, sizeof self->path, "%s/%s", folder, name);
    temporary_path(folder, name, self->temporary, sizeof self->temporary);
    self->hash = sha256_stream_new();
    self->file = open(self->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0640);
    if (self->file < 0)
        code = durable_error(error, "create", self->temporary);
    if (code != OK)
        jsonl_file_destroy(&self);
    *out = self;
    return code;
}

void jsonl_file_destroy(jsonl_file_t **self)
{
    if (!*self)
        return;
    if ((*self)->file >= 0)
        close((*self)->file);
    if (!(*self)->shown)
        unlink((*self)->temporary);
    if ((*self)->hash)
        sha256_stream_finish(&(*self)->hash);
    free(*self);
    *self = NULL;
}

static int flush(jsonl_file_t *self, error_t *error)
{
    size_t used = self->used;
    self->used = 0;
    return durable_write(self->file, self->buffer, used, self->path, error);
}

static int add_bytes(jsonl_file_t *self, const char *bytes, size_t length, error_t *error)
{
    int code = OK;
    sha256_stream_add(self->hash, bytes, length);
    self->bytes += length;
    if (self->used + length > BUFFER_SIZE)
        code = flush(self, error);
    if (code == OK && length > BUFFER_SIZE)
        return durable_write(self->file, bytes, length, self->path, error);
    if (code == OK) {
        memcpy(self->buffer + self->used, bytes, length);
        self->used += length;
    }
    return code;
}

int jsonl_file_add(jsonl_file_t *self, const char *line, size_t length, error_t *error)
{
    int code = add_bytes(self, line, length, error);
    return code == OK ? add_bytes(self, "\n", 1, error) : code;
}

int jsonl_file_sync(jsonl_file_t *self, sha256_t *sha256, uint64_t *bytes, error_t *error)
{
    int code = flush(self, error);
    if (code == OK && fsync(self->file))
        code = durable_error(error, "sync", self->temporary);
    if (code != OK)
        return code;
    *sha256 = sha256_stream_finish(&self->hash);
    *bytes = self->bytes;
    return OK;
}

int jsonl_file_show(jsonl_file_t *self, error_t *error)
{
    int file = self->file;
    self->file = -1;
    int code = durable_publish(file, self->temporary, self->path, self->folder, error);
    self->shown = code == OK;
    return code;
}

int jsonl_link_daily(const char *folder, level_t level, int64_t as_of_ms, const char *name,
                     error_t *error)
{
    char path[PATH_MAX];
    char temporary[PATH_MAX];
    char day[32];
    time_format(as_of_ms, day);
    snprintf(path, sizeof path, "%s/clustered_%s_%.10s.jsonl", folder, level_plural(level), day);
    snprintf(temporary, sizeof temporary, "%s/.%s.link", folder, name);
    unlink(temporary); /* of a process that was killed in between */
    if (symlink(name, temporary))
        return durable_error(error, "link", temporary);
    if (rename(temporary, path)) {
        int code = durable_error(error, "rename to", path);
        unlink(temporary);
        return code;
    }
    return durable_sync_folder(folder, error);
}

int jsonl_discard(const char *folder, const char *name, error_t *error)
{
    char path[PATH_MAX + 16];
    temporary_path(folder, name, path, sizeof path);
    if (unlink(path) && errno != ENOENT)
        return durable_error(error, "remove", path);
    snprintf(path, sizeof path, "%s/.%s.link", folder, name);
    if (unlink(path) && errno != ENOENT)
        return durable_error(error, "remove", path);
    return OK;
}

/* The names in the folder that are links to `name`. */
static void unlink_links(DIR *folder, const char *name)
{
    struct dirent *entry;
    while ((entry = readdir(folder))) {
        char target[JSONL_NAME_SIZE];
        ssize_t length = readlinkat(dirfd(folder), entry->d_name, target, sizeof target - 1);
        if (length <= 0)
            continue;
        target[length] = 0;
        if (!strcmp(target, name))
            unlinkat(dirfd(folder), entry->d_name, 0);
    }
}

int jsonl_remove(const char *folder, const char *name, error_t *error)
{
    char path[PATH_MAX];
    struct stat info;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int there = !lstat(path, &info);
    if (there ? S_ISDIR(info.st_mode) : errno == ENOENT)
        return OK; /* also of an earlier attempt: the links went before it */
    DIR *names = opendir(folder);
    if (!names)
        return durable_error(error, "read folder", folder);
    unlink_links(names, name);
    closedir(names);
    if (unlink(path) && errno != ENOENT)
        return durable_error(error, "remove", path);
    return durable_sync_folder(folder, error);
}
