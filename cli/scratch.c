#include "cli/scratch.h"

#include "coordinator/store/durable.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define PREFIX ".stage4-run-"
#define LOCK "run.lock"

struct scratch {
    char *path;
    int lock;
};

static int remove_one(const char *path, const struct stat *state, int type, struct FTW *walk)
{
    (void)state;
    (void)type;
    (void)walk;
    return remove(path);
}

static void remove_tree(const char *path) { nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS); }

/* Takes the lock of a scratch folder; -1 when it has an owner, or none ever. */
static int lock_of(const char *path, int flags)
{
    char *name = NULL;
    if (asprintf(&name, "%s/" LOCK, path) < 0)
        return -1;
    int lock = open(name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
    free(name);
    if (lock >= 0 && flock(lock, LOCK_EX | LOCK_NB)) {
        close(lock);
        lock = -1;
    }
    return lock;
}

static void remove_abandoned(const char *folder, const char *name)
{
    char *path = NULL;
    if (asprintf(&path, "%s/%s", folder, name) < 0)
        return;
    int lock = lock_of(path, 0);
    if (lock >= 0) {
        remove_tree(path);
        close(lock);
    }
    free(path);
}

static void sweep(const char *folder)
{
    DIR *entries = opendir(folder);
    struct dirent *entry;
    while (entries && (entry = readdir(entries)))
        if (!strncmp(entry->d_name, PREFIX, strlen(PREFIX)))
            remove_abandoned(folder, entry->d_name);
    if (entries)
        closedir(entries);
}

int scratch_new(const char *folder, scratch_t **out, error_t *error)
{
    *out = NULL;
    sweep(folder);
    scratch_t *self = calloc(1, sizeof *self);
    if (!self)
        return error_set(error, ERR_MEMORY, "no memory for a temporary folder");
    self->lock = -1;
    int code = OK;
    if (asprintf(&self->path, "%s/" PREFIX "XXXXXX", folder) < 0) {
        self->path = NULL;
        code = error_set(error, ERR_MEMORY, "no memory for a temporary folder");
    } else if (!mkdtemp(self->path)) {
        code = durable_error(error, "create", self->path);
        free(self->path);
        self->path = NULL;
    } else if ((self->lock = lock_of(self->path, O_CREAT)) < 0) {
        code = durable_error(error, "lock", self->path);
    }
    if (code)
        scratch_destroy(&self);
    *out = self;
    return code;
}

const char *scratch_path(const scratch_t *self) { return self->path; }

void scratch_destroy(scratch_t **scratch)
{
    scratch_t *self = *scratch;
    if (!self)
        return;
    if (self->path)
        remove_tree(self->path);
    if (self->lock >= 0)
        close(self->lock);
    free(self->path);
    free(self);
    *scratch = NULL;
}
