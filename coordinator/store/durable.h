/* durable.h - the few file operations that make what we write survive a power cut.
 *
 * A file is durable after fsync of the file, rename, and fsync of its folder; leaving one out loses
 * data on some file system. Errors are ERR_IO with the path, the cause, and what to do about it. */
#ifndef STAGE4_COORDINATOR_STORE_DURABLE_H
#define STAGE4_COORDINATOR_STORE_DURABLE_H

#include "common/error.h"

#include <stddef.h>

/* ERR_IO from errno: "cannot <verb> <path>: <cause>; <what helps>". */
int durable_error(error_t *error, const char *verb, const char *path);

/* A job id becomes part of file names: OK for 1 to 39 of [A-Za-z0-9_-], so that no path leaves its
 * folder; else ERR_USAGE with the field "job_id". */
int durable_job_name(const char *job_id, error_t *error);

/* Creates the folder (not its parents) when it is missing, and makes its name durable. */
int durable_make_folder(const char *path, error_t *error);

/* fsync of the folder itself: the names in it are durable after that. */
int durable_sync_folder(const char *path, error_t *error);

/* All of the bytes, through interruptions and short writes. `path` is for the message. */
int durable_write(int file, const void *bytes, size_t length, const char *path, error_t *error);

/* fsync of the file, then close (also on failure), then rename to `path` and fsync of `folder`. On
 * failure the temporary file is removed. */
int durable_publish(int file, const char *temporary, const char *path, const char *folder,
                    error_t *error);

#endif
