/* folder.h - a temporary folder for one test, and the removal of it with all that is inside. */
#ifndef STAGE4_TESTS_LIB_FOLDER_H
#define STAGE4_TESTS_LIB_FOLDER_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

typedef struct {
    char path[256];
} test_folder_t;

static inline int folder_remove_one(const char *path, const struct stat *state, int type,
                                    struct FTW *walk)
{
    (void)state;
    (void)type;
    (void)walk;
    return remove(path);
}

/* Aborts when there is no temporary folder to be had: nothing can be tested then. */
static inline test_folder_t folder_new(void)
{
    test_folder_t self;
    const char *base = getenv("TMPDIR");
    snprintf(self.path, sizeof self.path, "%s/stage4-test-XXXXXX", base ? base : "/tmp");
    if (!mkdtemp(self.path)) {
        perror(self.path);
        abort();
    }
    return self;
}

static inline void folder_destroy(const test_folder_t *self)
{
    nftw(self->path, folder_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* "<folder>/<name>" into a buffer of the caller's. */
static inline const char *folder_path(const test_folder_t *self, const char *name, char out[512])
{
    snprintf(out, 512, "%s/%s", self->path, name);
    return out;
}

#endif
