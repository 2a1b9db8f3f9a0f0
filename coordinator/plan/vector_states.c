#include "coordinator/plan/vector_states.h"

#include "common/input/vector_check.h"
#include "common/net/actor.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#define THREADS_MOST 4
#define ROWS_A_PIECE 2048u /* are taken at once by whoever is free */

typedef struct {
    vector_states_t *of;
    net_actor_t *actor;
    int code;
    error_t error;
} reader_t;

struct vector_states {
    const flat_index_t *index;
    uint8_t *states;
    atomic_uint next; /* piece */
    atomic_int stop;
    reader_t readers[THREADS_MOST]; /* the first is the caller */
    uint32_t reader_count;
};

static void read_pieces(reader_t *reader)
{
    vector_states_t *self = reader->of;
    uint32_t rows = flat_index_rows(self->index);
    uint32_t pieces = rows / ROWS_A_PIECE + (rows % ROWS_A_PIECE > 0), piece;
    while (!atomic_load(&self->stop) && (piece = atomic_fetch_add(&self->next, 1)) < pieces) {
        uint32_t first = piece * ROWS_A_PIECE;
        uint32_t count = rows - first < ROWS_A_PIECE ? rows - first : ROWS_A_PIECE;
        reader->code =
            vector_check_rows(self->index, first, count, self->states + first, &reader->error);
        if (reader->code != OK)
            atomic_store(&self->stop, 1);
    }
}

/* Stays until its owner has seen it done. */
static void run(net_pipe_t *pipe, void *argument)
{
    void *item;
    read_pieces(argument);
    while (net_pipe_take(pipe, -1, &item) > 0)
        ;
}

/* Fewer rows are read before a thread has started. */
static uint32_t readers_for(uint32_t rows)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    uint32_t readers = processors < 1              ? 1
                       : processors > THREADS_MOST ? THREADS_MOST
                                                   : (uint32_t)processors;
    uint32_t pieces = rows / ROWS_A_PIECE + 1;
    return pieces < readers ? pieces : readers;
}

int vector_states_new(const flat_index_t *index, vector_states_t **out, error_t *error)
{
    uint32_t rows = flat_index_rows(index);
    vector_states_t *self = calloc(1, sizeof *self);
    *out = NULL;
    if (self)
        self->states = calloc((size_t)rows + 1, 1);
    if (!self || !self->states) {
        vector_states_destroy(&self);
        return error_set(error, ERR_MEMORY, "out of memory to check %u rows", rows);
    }
    self->index = index;
    self->reader_count = readers_for(rows);
    for (uint32_t i = 0; i < self->reader_count; i++)
        self->readers[i].of = self;
    /* One that cannot be started is not missed: the caller reads what is left. */
    for (uint32_t i = 1; i < self->reader_count; i++)
        net_actor_new(run, &self->readers[i], NULL, &self->readers[i].actor, NULL);
    *out = self;
    return OK;
}

static void wait_for_all(vector_states_t *self)
{
    for (uint32_t i = 1; i < self->reader_count; i++)
        net_actor_destroy(&self->readers[i].actor);
}

void vector_states_destroy(vector_states_t **self)
{
    if (!*self)
        return;
    atomic_store(&(*self)->stop, 1);
    wait_for_all(*self);
    free((*self)->states);
    free(*self);
    *self = NULL;
}

int vector_states_find(vector_states_t *self, const uint8_t **states, error_t *error)
{
    int code = OK;
    read_pieces(&self->readers[0]);
    wait_for_all(self);
    for (uint32_t i = 0; i < self->reader_count && code == OK; i++) {
        code = self->readers[i].code;
        if (code != OK && error)
            *error = self->readers[i].error;
    }
    *states = self->states;
    return code;
}
