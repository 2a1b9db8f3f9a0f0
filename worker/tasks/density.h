/* density.h - one cluster in memory: all its distances, and what DBCV takes from them. */
#ifndef STAGE4_WORKER_TASKS_DENSITY_H
#define STAGE4_WORKER_TASKS_DENSITY_H

#include "worker/tasks/all_points.h"
#include "worker/tasks/task_state.h"

/* Room for clusters of up to `capacity` members, and the cluster that is in it. */
typedef struct {
    const task_state_t *state;
    const all_points_t *all_points;
    uint32_t capacity;
    uint32_t count;
    uint32_t *rows;
    float *values; /* count x dimension, 64-byte aligned */
    float *dist2;  /* condensed */
    float *near;   /* of each thread: CORE_ROWS x capacity */
    float *core;   /* results, the caller's: of each member */
} density_t;

#define MEASURE_ROWS 32 /* an item of density_measure */
#define CORE_ROWS 16    /* an item of density_cores: one cache line of a column at a time */

int density_init(density_t *self, const task_state_t *state, const all_points_t *all_points,
                 uint32_t capacity, uint32_t threads, error_t *error);
void density_clear(density_t *self);

/* The cluster's vectors, of slots `member[0 .. count)`. */
int density_read(density_t *self, const uint32_t *member, uint32_t count, float *core,
                 error_t *error);
/* For pool_run, the context being a density_t: all items of the one, then all of the other. */
void density_measure(void *density, size_t item, uint32_t thread);
void density_cores(void *density, size_t item, uint32_t thread);

#endif
