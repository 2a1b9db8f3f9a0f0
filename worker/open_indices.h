/* open_indices.h - the indices that tasks read, open from task to task: opening one hashes a sample of
 * it. The workers of one process share them, so that vectors are read and kept once.
 *
 * Any thread may ask. What is taken stays as it is until it is given back, also when the file has
 * changed meanwhile and somebody else was given the new one. */
#ifndef STAGE4_WORKER_OPEN_INDICES_H
#define STAGE4_WORKER_OPEN_INDICES_H

#include "common/input/flat_index.h"
#include "proto/task.h"
#include "worker/tasks/kept_vectors.h"

typedef struct open_indices open_indices_t;

typedef struct {
    flat_index_t *index;
    kept_vectors_t *vectors; /* NULL: none are kept */
} open_index_t;

/* `folder` is borrowed; vectors_bytes: of each index, kept once they are read. */
int open_indices_new(const char *folder, size_t vectors_bytes, open_indices_t **out,
                     error_t *error);
/* Everything must have been given back. */
void open_indices_destroy(open_indices_t **self);

/* The index as the task wants it; one that has changed since it was opened is opened anew, because
 * the job may be about the new one. What only its content tells is not looked at: it is at the end of
 * each task. ERR_CHANGED when the file is not the one that the job was planned on. */
int open_indices_take(open_indices_t *self, const task_t *task, const open_index_t **out,
                      error_t *error);
void open_indices_give(open_indices_t *self, const open_index_t *index);

#endif
