#include "worker/tasks/vector_reader.h"

#include <stdlib.h>
#include <string.h>

#define CACHE_LINE 64

int vector_readers_new(const task_state_t *state, vector_reader_t **out, error_t *error)
{
    uint32_t threads = compute_threads(state->context->compute);
    size_t bytes = VECTOR_READER_ROOM * state->dimension * sizeof(float);
    vector_reader_t *self = calloc(threads, sizeof *self);
    int missing = !self;
    *out = self;
    for (uint32_t thread = 0; self && thread < threads; thread++) {
        self[thread].room =
            aligned_alloc(CACHE_LINE, (bytes + CACHE_LINE) / CACHE_LINE * CACHE_LINE);
        self[thread].turn = 1;
        self[thread].kept = kept_vectors_rows(state->context->vectors);
        memset(self[thread].row, 0xff, sizeof self[thread].row);
        missing |= !self[thread].room;
    }
    return missing ? error_set(error, ERR_MEMORY, "no memory to read the vectors of neighbours")
                   : OK;
}

void vector_readers_destroy(vector_reader_t **self, uint32_t threads)
{
    for (uint32_t thread = 0; *self && thread < threads; thread++)
        free((*self)[thread].room);
    free(*self);
    *self = NULL;
}

int vector_readers_failed(const vector_reader_t *self, uint32_t threads, error_t *error)
{
    for (uint32_t thread = 0; thread < threads; thread++) {
        if (!self[thread].code)
            continue;
        if (error)
            *error = self[thread].error;
        return self[thread].code;
    }
    return OK;
}

const float *vector_reader_find(vector_reader_t *self, const task_state_t *state, uint32_t row)
{
    const float *kept;
    if (row < self->kept) {
        if (!self->code)
            self->code = task_state_find(state, &row, 1, NULL, &kept, &self->error);
        return self->code ? NULL : kept;
    }
    size_t at = row % VECTOR_READER_ROOM;
    self->in_use[at] = self->turn;
    if (self->row[at] == row || self->code)
        return self->code ? NULL : self->vector[at];
    self->row[at] = SLOT_NONE;
    self->code = task_state_find(state, &row, 1, self->room + at * state->dimension,
                                 &self->vector[at], &self->error);
    if (self->code)
        return NULL;
    self->row[at] = row;
    return self->vector[at];
}
