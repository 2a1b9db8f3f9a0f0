#include "common/input/source_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SAMPLE_BLOCKS 258

static const char *kind_of_file(mode_t mode)
{
    if (S_ISDIR(mode))
        return "a directory";
    if (S_ISFIFO(mode))
        return "a pipe";
    return S_ISSOCK(mode) ? "a socket" : "a device";
}

static void take_snapshot(source_file_t *self, const struct stat *status)
{
    self->device = status->st_dev;
    self->inode = status->st_ino;
    self->size = (uint64_t)status->st_size;
    self->mtime_ns = (int64_t)status->st_mtim.tv_sec * 1000000000 + status->st_mtim.tv_nsec;
}

/* Opens without waiting, so that a pipe in the place of a file cannot hang us. */
static int open_and_look(source_file_t *self, error_t *error)
{
    self->descriptor = open(self->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (self->descriptor < 0)
        return error_set(error, errno == ENOENT || errno == ENOTDIR ? ERR_NOT_FOUND : ERR_IO,
                         "%s: cannot be opened: %s", self->path, strerror(errno));
    struct stat status;
    if (fstat(self->descriptor, &status) != 0)
        return error_set(error, ERR_IO, "%s: %s", self->path, strerror(errno));
    if (!S_ISREG(status.st_mode))
        return error_set(error, ERR_INPUT, "%s: is %s, a regular file was expected", self->path,
                         kind_of_file(status.st_mode));
    take_snapshot(self, &status);
    return OK;
}

int source_file_open(const char *path, source_file_t *out, error_t *error)
{
    *out = (source_file_t)SOURCE_FILE_CLOSED;
    source_file_t file = SOURCE_FILE_CLOSED;
    file.path = strdup(path);
    if (file.path == NULL)
        return error_set(error, ERR_MEMORY, "%s: out of memory", path);
    int code = open_and_look(&file, error);
    if (code != OK)
        source_file_close(&file);
    else
        *out = file;
    return code;
}

void source_file_close(source_file_t *self)
{
    if (self->descriptor >= 0)
        close(self->descriptor);
    free(self->path);
    *self = (source_file_t)SOURCE_FILE_CLOSED;
}

int source_file_read(const source_file_t *self, uint64_t offset, void *out, size_t length,
                     error_t *error)
{
    char *at = out;
    size_t left = length;
    while (left > 0) {
        ssize_t got = pread(self->descriptor, at, left, (off_t)(offset + (length - left)));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_set(error, ERR_IO, "%s: cannot read %zu bytes at byte %" PRIu64 ": %s",
                             self->path, length, offset, strerror(errno));
        if (got == 0)
            return error_set(error, ERR_CHANGED,
                             "%s: ended at byte %" PRIu64 " while it was read; it had %" PRIu64
                             " bytes when it was opened",
                             self->path, offset + (length - left), self->size);
        at += got;
        left -= (size_t)got;
    }
    return OK;
}

static void add_number(sha256_stream_t *stream, uint64_t number)
{
    uint8_t bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(number >> (8 * i));
    sha256_stream_add(stream, bytes, sizeof bytes);
}

static int sample_range(const source_file_t *self, sha256_stream_t *stream, uint64_t offset,
                        size_t length, void *buffer, error_t *error)
{
    int code = source_file_read(self, offset, buffer, length, error);
    if (code == OK)
        sha256_stream_add(stream, buffer, length);
    return code;
}

int source_file_sample(const source_file_t *self, size_t header, size_t block, sha256_t *out,
                       error_t *error)
{
    if (header > self->size)
        header = (size_t)self->size;
    uint64_t blocks = (self->size - header + block - 1) / block;
    uint64_t samples = blocks < SAMPLE_BLOCKS ? blocks : SAMPLE_BLOCKS;
    void *buffer = malloc(header > block ? header : block);
    if (buffer == NULL)
        return error_set(error, ERR_MEMORY, "%s: out of memory", self->path);
    sha256_stream_t *stream = sha256_stream_new();
    add_number(stream, self->size);
    int code = sample_range(self, stream, 0, header, buffer, error);
    for (uint64_t i = 0; i < samples && code == OK; i++) {
        uint64_t chosen = samples == blocks ? i : i * (blocks - 1) / (samples - 1);
        uint64_t offset = header + chosen * block;
        uint64_t left = self->size - offset;
        code =
            sample_range(self, stream, offset, left < block ? (size_t)left : block, buffer, error);
    }
    sha256_t value = sha256_stream_finish(&stream);
    free(buffer);
    if (code == OK)
        *out = value;
    return code;
}

static const char *what_differs(const source_file_t *was, const source_file_t *is)
{
    if (was->device != is->device)
        return "is on another device now";
    if (was->inode != is->inode)
        return "was replaced by another file";
    if (was->size != is->size)
        return "has another size";
    return was->mtime_ns != is->mtime_ns ? "has another modification time" : NULL;
}

int source_file_same(const source_file_t *self)
{
    source_file_t now = SOURCE_FILE_CLOSED;
    struct stat status;
    if (stat(self->path, &status) != 0)
        return 0;
    take_snapshot(&now, &status);
    return what_differs(self, &now) == NULL;
}

int source_file_check(const source_file_t *self, size_t header, size_t block,
                      const sha256_t *sample, error_t *error)
{
    source_file_t now = SOURCE_FILE_CLOSED;
    sha256_t again;
    int code = source_file_open(self->path, &now, error);
    if (code == ERR_NOT_FOUND)
        return error_set(error, ERR_CHANGED, "%s: is gone since it was opened", self->path);
    if (code != OK)
        return code;
    const char *difference = what_differs(self, &now);
    if (difference == NULL) {
        code = source_file_sample(&now, header, block, &again, error);
        if (code == OK && !sha256_equal(&again, sample))
            difference = "has other content (its sampled hash differs)";
    }
    if (difference != NULL)
        code = error_set(error, ERR_CHANGED, "%s: changed since it was opened: it %s", self->path,
                         difference);
    source_file_close(&now);
    return code;
}
