#include "worker/open_indices.h"

#include "common/level.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    open_index_t open; /* first: what callers hold is the entry */
    char name[24];
    size_t users;
    int retired; /* goes when the last user has given it back */
} entry_t;

struct open_indices {
    const char *folder;
    size_t vectors_bytes;
    pthread_mutex_t lock;
    entry_t *entries[LEVEL_COUNT]; /* NULL: free */
    size_t next;                   /* the place that is given up when all are taken */
};

static void entry_destroy(entry_t *self)
{
    kept_vectors_destroy(&self->open.vectors);
    flat_index_close(&self->open.index);
    free(self);
}

int open_indices_new(const char *folder, size_t vectors_bytes, open_indices_t **out, error_t *error)
{
    *out = calloc(1, sizeof **out);
    if (!*out)
        return error_set(error, ERR_MEMORY, "no memory for a table of indices");
    (*out)->folder = folder;
    (*out)->vectors_bytes = vectors_bytes;
    pthread_mutex_init(&(*out)->lock, NULL);
    return OK;
}

void open_indices_destroy(open_indices_t **self)
{
    if (!*self)
        return;
    for (size_t i = 0; i < LEVEL_COUNT; i++)
        if ((*self)->entries[i])
            entry_destroy((*self)->entries[i]);
    pthread_mutex_destroy(&(*self)->lock);
    free(*self);
    *self = NULL;
}

/* ---- under the lock ---- */

static void retire(entry_t **place)
{
    entry_t *entry = *place;
    *place = NULL;
    if (!entry)
        return;
    entry->retired = 1;
    if (!entry->users)
        entry_destroy(entry);
}

static entry_t **place_of(open_indices_t *self, const char *name)
{
    entry_t **empty = NULL;
    for (size_t i = 0; i < LEVEL_COUNT; i++) {
        if (self->entries[i] && !strcmp(self->entries[i]->name, name))
            return &self->entries[i];
        if (!self->entries[i])
            empty = &self->entries[i];
    }
    if (!empty) {
        empty = &self->entries[self->next++ % LEVEL_COUNT];
        retire(empty);
    }
    return empty;
}

static int is_the_tasks(const flat_index_t *index, const task_t *task)
{
    sha256_t fingerprint = flat_index_fingerprint(index);
    return sha256_equal(&fingerprint, &task->index_fingerprint);
}

static int open_entry(const open_indices_t *self, const task_t *task, entry_t **place,
                      error_t *error)
{
    char path[4096];
    entry_t *entry = calloc(1, sizeof *entry);
    if (!entry)
        return error_set(error, ERR_MEMORY, "no memory to open an index");
    snprintf(entry->name, sizeof entry->name, "%s", task->index_name);
    snprintf(path, sizeof path, "%s/%s.index", self->folder, task->index_name);
    int code = flat_index_open(path, task->dimension, &entry->open.index, error);
    if (code) {
        entry_destroy(entry);
        return code;
    }
    entry->open.vectors = kept_vectors_new(entry->open.index, self->vectors_bytes);
    *place = entry;
    return OK;
}

static int take(open_indices_t *self, const task_t *task, entry_t **out, error_t *error)
{
    entry_t **place = place_of(self, task->index_name);
    if (*place &&
        (!is_the_tasks((*place)->open.index, task) || !flat_index_same((*place)->open.index)))
        retire(place);
    if (!*place) {
        int code = open_entry(self, task, place, error);
        if (code)
            return code;
    }
    if (!is_the_tasks((*place)->open.index, task))
        return error_set(error, ERR_CHANGED,
                         "%s is not the file the job was planned on: it has changed since, or this "
                         "worker sees another folder",
                         flat_index_path((*place)->open.index));
    *out = *place;
    (*out)->users++;
    return OK;
}

/* ---- */

int open_indices_take(open_indices_t *self, const task_t *task, const open_index_t **out,
                      error_t *error)
{
    entry_t *entry = NULL;
    pthread_mutex_lock(&self->lock);
    int code = take(self, task, &entry, error);
    pthread_mutex_unlock(&self->lock);
    *out = entry ? &entry->open : NULL;
    return code;
}

void open_indices_give(open_indices_t *self, const open_index_t *index)
{
    entry_t *entry = (entry_t *)(uintptr_t)index;
    pthread_mutex_lock(&self->lock);
    entry->users--;
    int over = entry->retired && !entry->users;
    pthread_mutex_unlock(&self->lock);
    if (over)
        entry_destroy(entry);
}
