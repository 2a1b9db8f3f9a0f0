#include "coordinator/store/spool.h"

#include "coordinator/store/durable.h"
#include "proto/task.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEMPORARY_PREFIX ".tmp-"
#define ROOT_LIMIT 3900 /* leaves room for /<job_id>/<64 hex> in PATH_MAX */

/* A file that is written and named, and not synced. */
typedef struct {
    int file;
    char job_id[JOB_ID_SIZE];
} unsettled_t;

struct spool {
    int scratch;
    int deferring;
    unsettled_t unsettled[SPOOL_UNSETTLED];
    size_t unsettled_count;
    char root[ROOT_LIMIT + 1];
};

static int folder_of(const spool_t *self, const char *job_id, char out[PATH_MAX], error_t *error)
{
    int code = durable_job_name(job_id, error);
    if (code == OK)
        snprintf(out, PATH_MAX, "%s/%s", self->root, job_id);
    return code;
}

static int path_of(const spool_t *self, const char *job_id, const sha256_t *sha256,
                   char out[PATH_MAX], error_t *error)
{
    char hex[65];
    int code = folder_of(self, job_id, out, error);
    if (code != OK)
        return code;
    size_t used = strlen(out);
    sha256_hex(sha256, hex);
    snprintf(out + used, PATH_MAX - used, "/%s", hex);
    return OK;
}

/* Removes what a killed process left half written in one job's folder. */
static void clean_folder(const char *path)
{
    DIR *folder = opendir(path);
    if (!folder)
        return;
    struct dirent *entry;
    while ((entry = readdir(folder)))
        if (!strncmp(entry->d_name, TEMPORARY_PREFIX, strlen(TEMPORARY_PREFIX)))
            unlinkat(dirfd(folder), entry->d_name, 0);
    closedir(folder);
}

static int clean_root(const spool_t *self, error_t *error)
{
    DIR *root = opendir(self->root);
    if (!root)
        return durable_error(error, "read folder", self->root);
    struct dirent *entry;
    while ((entry = readdir(root))) {
        char path[PATH_MAX];
        if (folder_of(self, entry->d_name, path, NULL) == OK)
            clean_folder(path);
    }
    closedir(root);
    return OK;
}

int spool_open(const char *root, spool_t **out, error_t *error)
{
    if (strlen(root) > ROOT_LIMIT)
        return error_set(error, ERR_USAGE, "the spool folder's path is over %d bytes", ROOT_LIMIT);
    spool_t *self = calloc(1, sizeof *self);
    if (!self)
        return error_set(error, ERR_MEMORY, "no memory to open the spool %s", root);
    memcpy(self->root, root, strlen(root) + 1);
    int code = durable_make_folder(root, error);
    if (code == OK)
        code = clean_root(self, error);
    if (code != OK)
        spool_close(&self);
    *out = self;
    return code;
}

int spool_open_scratch(const char *root, spool_t **out, error_t *error)
{
    int code = spool_open(root, out, error);
    if (code == OK)
        (*out)->scratch = 1;
    return code;
}

static void let_go(spool_t *self)
{
    for (size_t i = 0; i < self->unsettled_count; i++)
        close(self->unsettled[i].file);
    self->unsettled_count = 0;
}

void spool_close(spool_t **self)
{
    if (*self)
        let_go(*self);
    free(*self);
    *self = NULL;
}

/* ---- syncing ---- */

static int is_first_of_folder(const spool_t *self, size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (!strcmp(self->unsettled[i].job_id, self->unsettled[at].job_id))
            return 0;
    return 1;
}

/* The files' names are older than this, so a journal has them with the first file, and the folder
 * costs next to nothing. */
static int sync_all(const spool_t *self, error_t *error)
{
    char folder[PATH_MAX];
    int code = OK;
    for (size_t i = 0; i < self->unsettled_count && code == OK; i++)
        if (fsync(self->unsettled[i].file))
            code = durable_error(error, "sync a payload in", self->root);
    for (size_t i = 0; i < self->unsettled_count && code == OK; i++) {
        if (!is_first_of_folder(self, i))
            continue;
        code = folder_of(self, self->unsettled[i].job_id, folder, error);
        if (code == OK)
            code = durable_sync_folder(folder, error);
    }
    return code;
}

static int settle(spool_t *self, error_t *error)
{
    int code = sync_all(self, error);
    let_go(self);
    return code;
}

void spool_defer(spool_t *self) { self->deferring = 1; }

int spool_settle(spool_t *self, error_t *error)
{
    self->deferring = 0;
    return settle(self, error);
}

/* Takes the file over. */
static int finish_put(spool_t *self, int file, const char *job_id, error_t *error)
{
    if (self->scratch) {
        close(file);
        return OK;
    }
    unsettled_t *place = &self->unsettled[self->unsettled_count++];
    place->file = file;
    memcpy(place->job_id, job_id, strlen(job_id) + 1); /* which folder_of has checked */
    return self->deferring && self->unsettled_count < SPOOL_UNSETTLED ? OK : settle(self, error);
}

/* ---- putting ---- */

static int has_bytes(int file, const uint8_t *bytes, size_t length)
{
    uint8_t piece[1 << 14];
    size_t done = 0;
    ssize_t got = 1;
    while (got > 0 && done <= length) {
        got = pread(file, piece, sizeof piece, (off_t)done);
        if (got < 0 || (size_t)got > length - done || memcmp(piece, bytes + done, (size_t)got))
            return 0;
        done += (size_t)got;
    }
    return done == length;
}

/* The file at `path` when it has these very bytes, open for a sync: another task may have brought
 * them, and they may be in use. -1: there is none, or it is damaged. */
static int open_same(const char *path, const void *bytes, size_t length)
{
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (file < 0 || has_bytes(file, bytes, length))
        return file;
    close(file);
    return -1;
}

/* Under a temporary name first. */
static int write_file(const char *folder, const char *path, const void *bytes, size_t length,
                      int *out, error_t *error)
{
    char temporary[PATH_MAX + sizeof TEMPORARY_PREFIX + 8];
    snprintf(temporary, sizeof temporary, "%s/" TEMPORARY_PREFIX "XXXXXX", folder);
    int file = mkostemp(temporary, O_CLOEXEC);
    if (file < 0)
        return durable_error(error, "create", temporary);
    int code = durable_write(file, bytes, length, path, error);
    if (code == OK && rename(temporary, path))
        code = durable_error(error, "rename to", path);
    if (code == OK) {
        *out = file;
        return OK;
    }
    close(file);
    unlink(temporary);
    return code;
}

int spool_put(spool_t *self, const char *job_id, const void *bytes, size_t length, sha256_t *out,
              error_t *error)
{
    sha256_t sha256 = sha256_of(bytes, length);
    int code = spool_put_as(self, job_id, bytes, length, &sha256, error);
    if (code == OK)
        *out = sha256;
    return code;
}

int spool_put_as(spool_t *self, const char *job_id, const void *bytes, size_t length,
                 const sha256_t *name, error_t *error)
{
    char folder[PATH_MAX];
    char path[PATH_MAX];
    int code = folder_of(self, job_id, folder, error);
    if (code == OK)
        code = path_of(self, job_id, name, path, error);
    if (code == OK)
        code = durable_make_folder(folder, error);
    if (code != OK)
        return code;
    int file = open_same(path, bytes, length);
    if (file < 0)
        code = write_file(folder, path, bytes, length, &file, error);
    return code == OK ? finish_put(self, file, job_id, error) : code;
}

/* Opens a payload and tells its length. */
static int open_payload(const spool_t *self, const char *job_id, const sha256_t *sha256,
                        char path[PATH_MAX], int *file, uint64_t *length, error_t *error)
{
    struct stat state;
    int code = path_of(self, job_id, sha256, path, error);
    if (code != OK)
        return code;
    *file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (*file < 0 && errno == ENOENT)
        return error_field(error, ERR_NOT_FOUND, SPOOL_PAYLOAD, "the spool has no payload %s",
                           path);
    if (*file < 0)
        return durable_error(error, "open", path);
    if (!fstat(*file, &state) && S_ISREG(state.st_mode)) {
        *length = (uint64_t)state.st_size;
        return OK;
    }
    close(*file);
    return error_set(error, ERR_IO, "%s is not a regular file", path);
}

/* Reads until `length` bytes or the end of the file. */
static int read_at(int file, uint64_t offset, uint8_t *buffer, size_t length, size_t *done,
                   const char *path, error_t *error)
{
    *done = 0;
    while (*done < length) {
        ssize_t got = pread(file, buffer + *done, length - *done, (off_t)(offset + *done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return durable_error(error, "read", path);
        if (got == 0)
            break;
        *done += (size_t)got;
    }
    return OK;
}

int spool_get(spool_t *self, const char *job_id, const sha256_t *sha256, uint8_t **bytes,
              size_t *length, error_t *error)
{
    char path[PATH_MAX];
    uint64_t total;
    int file;
    size_t done = 0;
    int code = open_payload(self, job_id, sha256, path, &file, &total, error);
    if (code != OK)
        return code;
    uint8_t *content = total < SIZE_MAX ? malloc((size_t)total + 1) : NULL;
    if (!content)
        code = error_set(error, ERR_MEMORY, "no memory for the %llu bytes of %s",
                         (unsigned long long)total, path);
    else
        code = read_at(file, 0, content, (size_t)total, &done, path, error);
    close(file);
    if (code != OK)
        goto fail;
    sha256_t found = sha256_of(content, done);
    if (!sha256_equal(&found, sha256)) {
        unlink(path);
        code = error_field(error, ERR_INPUT, SPOOL_PAYLOAD,
                           "%s is damaged: its %zu bytes do not match its name; "
                           "it was removed and is computed again",
                           path, done);
        goto fail;
    }
    *bytes = content;
    *length = done;
    return OK;
fail:
    free(content);
    return code;
}

int spool_read(spool_t *self, const char *job_id, const sha256_t *sha256, uint64_t offset,
               void *buffer, size_t capacity, size_t *read, uint64_t *total, error_t *error)
{
    char path[PATH_MAX];
    int file;
    int code = open_payload(self, job_id, sha256, path, &file, total, error);
    if (code != OK)
        return code;
    *read = 0;
    if (offset < *total)
        code = read_at(file, offset, buffer, capacity, read, path, error);
    close(file);
    return code;
}

/* ---- results of stages ---- */

sha256_t spool_stage_name(const sha256_t *stage_sha, const sha256_t *state_sha)
{
    sha256_t both[2] = {*stage_sha, *state_sha};
    return sha256_of(both, sizeof both);
}

static int memory_path(const spool_t *self, const char *job_id, const sha256_t *stage,
                       char out[PATH_MAX], error_t *error)
{
    int code = path_of(self, job_id, stage, out, error);
    size_t used = code == OK ? strlen(out) : 0;
    if (code == OK)
        snprintf(out + used, PATH_MAX - used, ".results");
    return code;
}

int spool_remember(spool_t *self, const char *job_id, const sha256_t *stage,
                   const sha256_t *results, uint32_t count, error_t *error)
{
    char path[PATH_MAX];
    char temporary[PATH_MAX + 8];
    size_t length = (size_t)count * sizeof *results;
    sha256_t check = sha256_of(results, length);
    int code = memory_path(self, job_id, stage, path, error);
    if (code != OK)
        return code;
    snprintf(temporary, sizeof temporary, "%s.tmp", path);
    int file = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (file < 0)
        return durable_error(error, "create", temporary);
    code = durable_write(file, results, length, temporary, error);
    if (code == OK)
        code = durable_write(file, &check, sizeof check, temporary, error);
    if (close(file) && code == OK)
        code = durable_error(error, "close", temporary);
    if (code == OK && rename(temporary, path))
        code = durable_error(error, "rename to", path);
    if (code != OK)
        unlink(temporary);
    return code;
}

/* Leaves out what is not there any more. */
static void forget_missing(const spool_t *self, const char *job_id, sha256_t *results,
                           uint32_t count)
{
    static const sha256_t NONE = {{0}};
    for (uint32_t i = 0; i < count; i++) {
        char path[PATH_MAX];
        struct stat state;
        if (path_of(self, job_id, &results[i], path, NULL) != OK || stat(path, &state))
            results[i] = NONE;
    }
}

int spool_recall(spool_t *self, const char *job_id, const sha256_t *stage, sha256_t *results,
                 uint32_t count, error_t *error)
{
    char path[PATH_MAX];
    sha256_t check;
    size_t length = (size_t)count * sizeof *results;
    size_t got = 0;
    size_t tail = 0;
    int code = memory_path(self, job_id, stage, path, error);
    if (code != OK)
        return code;
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (file < 0)
        return error_set(error, ERR_NOT_FOUND, "no results are remembered");
    code = read_at(file, 0, (uint8_t *)results, length, &got, path, error);
    if (code == OK)
        code = read_at(file, length, (uint8_t *)&check, sizeof check, &tail, path, error);
    close(file);
    sha256_t found = sha256_of(results, got);
    if (code == OK && (got < length || tail < sizeof check || !sha256_equal(&found, &check)))
        code = error_set(error, ERR_NOT_FOUND, "%s is torn", path);
    if (code == OK)
        forget_missing(self, job_id, results, count);
    return code;
}

int spool_remove_job(spool_t *self, const char *job_id, error_t *error)
{
    char path[PATH_MAX];
    int code = folder_of(self, job_id, path, error);
    if (code != OK)
        return code;
    DIR *folder = opendir(path);
    if (!folder)
        return errno == ENOENT ? OK : durable_error(error, "read folder", path);
    struct dirent *entry;
    while ((entry = readdir(folder)))
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
            unlinkat(dirfd(folder), entry->d_name, 0);
    closedir(folder);
    if (rmdir(path))
        return durable_error(error, "remove folder", path);
    return self->scratch ? OK : durable_sync_folder(self->root, error);
}
