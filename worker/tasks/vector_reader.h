/* vector_reader.h - vectors one by one, as a thread comes to need them.
 *
 * What the worker does not keep is read into a place that goes by its row, and stays there until
 * another row wants the place: neighbours are asked for again and again. */
#ifndef STAGE4_WORKER_TASKS_VECTOR_READER_H
#define STAGE4_WORKER_TASKS_VECTOR_READER_H

#include "worker/tasks/task_state.h"

#define VECTOR_READER_ROOM 512 /* vectors */

typedef struct {
    size_t kept; /* rows below that need no room */
    float *room;
    const float *vector[VECTOR_READER_ROOM];
    uint32_t row[VECTOR_READER_ROOM];    /* of the index; SLOT_NONE: none yet */
    uint32_t in_use[VECTOR_READER_ROOM]; /* the turn in which it was last asked for */
    uint32_t turn;
    int code; /* of the first read that failed; nothing is found after that */
    error_t error;
} vector_reader_t;

/* One for each compute thread of the task. */
int vector_readers_new(const task_state_t *state, vector_reader_t **out, error_t *error);
void vector_readers_destroy(vector_reader_t **self, uint32_t threads);
/* What the first of them met. */
int vector_readers_failed(const vector_reader_t *self, uint32_t threads, error_t *error);

/* 0 when the row would take the place of one that was found since the last release. */
static inline int vector_reader_has_room(const vector_reader_t *self, uint32_t row)
{
    size_t at = row % VECTOR_READER_ROOM;
    return row < self->kept || self->row[at] == row || self->in_use[at] != self->turn;
}

/* The vector, which stays until the release; NULL when it cannot be read. */
const float *vector_reader_find(vector_reader_t *self, const task_state_t *state, uint32_t row);

static inline void vector_reader_release(vector_reader_t *self) { self->turn++; }

#endif
