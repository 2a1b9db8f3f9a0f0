/* vectors.h - a few hundred vectors in memory, with what the screen needs of them. */
#ifndef STAGE4_WORKER_TASKS_VECTORS_H
#define STAGE4_WORKER_TASKS_VECTORS_H

#include "common/input/flat_index.h"
#include "worker/compute/screen.h"
#include "worker/tasks/plan_view.h"

typedef struct {
    size_t capacity;
    size_t dimension;
    size_t count;
    float *values;   /* count x dimension, 64-byte aligned */
    uint32_t *slots; /* rising; centre numbers when these are centres */
    double *norm2;
    float *bound;    /* screen_column_bound of each */
    float bound_max; /* the largest of them; NaN when any is NaN */
    uint32_t *rows;  /* scratch of vectors_read */
} vectors_t;

int vectors_init(vectors_t *self, size_t capacity, size_t dimension, error_t *error);
void vectors_clear(vectors_t *self);

/* Reads the vectors of slots[0 .. count), which the caller has set, and measures them. */
int vectors_read(vectors_t *self, const plan_view_t *plan, const flat_index_t *index,
                 const screen_t *screen, error_t *error);
/* Fills norm2, bound and bound_max from values. */
void vectors_measure(vectors_t *self, const screen_t *screen);

/* The positions whose slot lies in the band. */
typedef struct {
    size_t begin;
    size_t end;
} range_t;
range_t vectors_range(const vectors_t *self, band_t band);

#endif
