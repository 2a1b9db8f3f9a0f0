#include "worker/tasks/kept_vectors.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define COPIED 128 /* at a time */

/* A row is read by the thread that claims it; others wait for that. */
enum { ABSENT, CLAIMED, KEPT };

struct kept_vectors {
    size_t dimension;
    size_t rows; /* those before are kept */
    size_t bytes;
    float *values; /* pages come as they are written */
    atomic_uchar *state;
};

kept_vectors_t *kept_vectors_new(const flat_index_t *index, size_t limit)
{
    size_t rows = flat_index_rows(index), dimension = flat_index_dimension(index);
    size_t vector = dimension * sizeof(float);
    rows = rows < limit / vector ? rows : limit / vector;
    size_t bytes = rows * vector;
    if (!bytes)
        return NULL;
    kept_vectors_t *self = calloc(1, sizeof *self);
    if (!self)
        return NULL;
    self->dimension = dimension;
    self->rows = rows;
    self->bytes = bytes;
    self->state = calloc(rows, sizeof *self->state);
    void *values = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    self->values = values == MAP_FAILED ? NULL : values;
    if (!self->values || !self->state)
        kept_vectors_destroy(&self);
    else
        madvise(values, bytes, MADV_HUGEPAGE); /* only sooner with it */
    return self;
}

void kept_vectors_destroy(kept_vectors_t **self)
{
    if (!*self)
        return;
    if ((*self)->values)
        munmap((*self)->values, (*self)->bytes);
    free((*self)->state);
    free(*self);
    *self = NULL;
}

size_t kept_vectors_rows(const kept_vectors_t *self) { return self ? self->rows : 0; }

static int keep(kept_vectors_t *self, const flat_index_t *index, uint32_t row, error_t *error)
{
    unsigned char state = ABSENT;
    if (!atomic_compare_exchange_strong(&self->state[row], &state, CLAIMED)) {
        while (atomic_load_explicit(&self->state[row], memory_order_acquire) == CLAIMED)
            sched_yield();
        return OK; /* or ABSENT again, which the caller sees */
    }
    int code = flat_index_read(index, row, 1, self->values + row * self->dimension, error);
    atomic_store_explicit(&self->state[row], code ? ABSENT : KEPT, memory_order_release);
    return code;
}

static int find_one(kept_vectors_t *self, const flat_index_t *index, uint32_t row,
                    const float **out, error_t *error)
{
    int code = OK;
    *out = self->values + row * self->dimension;
    while (!code && atomic_load_explicit(&self->state[row], memory_order_acquire) != KEPT)
        code = keep(self, index, row, error);
    return code;
}

/* How many of the rows, from the first on, follow each other and are not kept. */
static size_t beyond(const kept_vectors_t *self, const uint32_t *rows, size_t count)
{
    size_t run = 0;
    while (run < count && rows[run] >= self->rows && rows[run] - rows[0] == run)
        run++;
    return run;
}

int kept_vectors_find(kept_vectors_t *self, const flat_index_t *index, const uint32_t *rows,
                      size_t count, float *room, const float **out, error_t *error)
{
    size_t dimension = flat_index_dimension(index);
    int code = OK;
    for (size_t i = 0; i < count; i++)
        out[i] = room + i * dimension;
    if (!self)
        return flat_index_read_list(index, rows, count, room, error);
    for (size_t i = 0; i < count && !code;) {
        size_t run = beyond(self, rows + i, count - i);
        code = run ? flat_index_read(index, rows[i], (uint32_t)run, room + i * dimension, error)
                   : find_one(self, index, rows[i], &out[i], error);
        i += run ? run : 1;
    }
    return code;
}

int kept_vectors_copy(kept_vectors_t *self, const flat_index_t *index, const uint32_t *rows,
                      size_t count, float *out, error_t *error)
{
    size_t dimension = flat_index_dimension(index);
    const float *found[COPIED];
    int code = OK;
    for (size_t first = 0; first < count && !code; first += COPIED) {
        size_t some = count - first < COPIED ? count - first : COPIED;
        float *to = out + first * dimension;
        code = kept_vectors_find(self, index, rows + first, some, to, found, error);
        for (size_t i = 0; i < some && !code; i++)
            if (found[i] != to + i * dimension)
                memcpy(to + i * dimension, found[i], dimension * sizeof *to);
    }
    return code;
}
