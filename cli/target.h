/* target.h - a file that a command was told to write: it is replaced whole, or stays as it was. */
#ifndef STAGE4_CLI_TARGET_H
#define STAGE4_CLI_TARGET_H

#include "common/error.h"

#include <stddef.h>
#include <stdio.h>

/* The folder that `path` lies in ("." when it names none), malloc'd; NULL when out of memory. */
char *target_folder(const char *path);

/* Finds out before the work begins: OK when the folder is there and can be written, and `path` is
 * free or a regular file. ERR_USAGE with `option` as the field. */
int target_check(const char *option, const char *path, error_t *error);

/* 1 when both are one file, or would be: the same name in the same folder. */
int target_same(const char *a, const char *b);

/* A file under way: what is written to its stream becomes the file when it is closed with OK (and
 * is durable then), and is gone when it is closed with an error. */
typedef struct target target_t;

int target_open(const char *path, target_t **out, error_t *error);
FILE *target_stream(target_t *self);
int target_close(target_t **self, int code, error_t *error);

int target_write(const char *path, const void *bytes, size_t length, error_t *error);
/* The bytes of the file `from`, which stays. */
int target_copy(const char *path, const char *from, error_t *error);
/* The file `from` itself, of the same file system. */
int target_move(const char *path, const char *from, error_t *error);

#endif
