/* task_state.h - what every kind of task has at hand while it runs. Inside worker/tasks only. */
#ifndef STAGE4_WORKER_TASKS_TASK_STATE_H
#define STAGE4_WORKER_TASKS_TASK_STATE_H

#include "proto/pair_weight.h"
#include "worker/compute/compute.h"
#include "worker/compute/screen.h"
#include "worker/tasks/plan_view.h"
#include "worker/tasks/task_run.h"

typedef struct {
    const task_t *task;
    const task_context_t *context;
    plan_view_t plan;
    screen_t screen;
    size_t dimension;
    columns_t *decay_columns;
    pair_weight_t decay; /* factors of the input "decay"; none: days do not matter */
} task_state_t;

/* One file a kind: knn.c, reach.c, seed.c, assign.c, summarise.c, silhouette.c, rotate.c, encode.c,
 * linkage.c, pairs.c, near.c, verify.c, density.c. */
typedef int (*task_kind_fn)(task_state_t *state, uint8_t **payload, size_t *length, error_t *error);
int task_knn(task_state_t *state, uint8_t **payload, size_t *length, error_t *error);
int task_reach(task_state_t *state, uint8_t **payload, size_t *length, error_t *error);
int task_seed(task_state_t *state, uint8_t **payload, size_t *length, error_t *error);
int task_assign(task_state_t *state, uint8_t **payload, size_t *length, error_t *error);
int task_summarise(task_state_t *state, uint8_t **payload, size_t *length, error_t *error);

int task_probe(task_state_t *state, uint8_t **payload, size_t *length, error_t *error);
int task_silhouette(task_state_t *state, uint8_t **payload, size_t *length, error_t *error);
int task_rotate(task_state_t *state, uint8_t **payload, size_t *length, error_t *error);
int task_encode(task_state_t *state, uint8_t **payload, size_t *length, error_t *error);
int task_pairs(task_state_t *state, uint8_t **payload, size_t *length, error_t *error);
int task_linkage(task_state_t *state, uint8_t **payload, size_t *length, error_t *error);
int task_near(task_state_t *state, uint8_t **payload, size_t *length, error_t *error);
int task_verify(task_state_t *state, uint8_t **payload, size_t *length, error_t *error);
int task_density(task_state_t *state, uint8_t **payload, size_t *length, error_t *error);
/* silhouette.c gives it its work when the task has centroids. */
int task_silhouette_simplified(task_state_t *state, uint8_t **payload, size_t *length,
                               error_t *error);
/* knn.c and reach.c give these their work when the task has codes. */
int task_knn_coded(task_state_t *state, size_t k, uint8_t **payload, size_t *length,
                   error_t *error);

/* The input of that name, opened as a payload of that kind. ERR_PROTOCOL when the task has none. */
int task_state_input(const task_state_t *state, const char *name, columns_t **out, error_t *error);
int task_state_bytes(const task_state_t *state, const char *name, const void **bytes,
                     size_t *length, error_t *error);

/* A stage parameter that must be a whole number of [low, high]. */
int task_state_whole(const task_state_t *state, const char *name, uint64_t low, uint64_t high,
                     uint64_t *out, error_t *error);

/* Slots in all segments, each checked to be a range of its partition. */
int task_state_slots(const task_state_t *state, size_t *count, error_t *error);

/* Vectors of the index by row, as kept_vectors.h has it. */
int task_state_find(const task_state_t *state, const uint32_t *rows, size_t count, float *room,
                    const float **out, error_t *error);
int task_state_copy(const task_state_t *state, const uint32_t *rows, size_t count, float *out,
                    error_t *error);

/* The canonical d2 of two slots as the job counts it: grown by the decay where there is one. What
 * the screens rule out by d2 is ruled out by this as well. */
static inline float task_state_decayed(const task_state_t *state, float d2, uint32_t a, uint32_t b)
{
    const int32_t *day = state->plan.day;
    if (!state->decay.count || !day)
        return d2;
    return pair_decayed(pair_factor(&state->decay, (int64_t)day[a] - day[b]), d2);
}

int task_state_stopped(const task_state_t *state);
int task_state_check_stop(const task_state_t *state, error_t *error); /* OK or ERR_CANCELLED */
/* More pairs compared: the task's work_done grows, never over task->work. Any thread. */
void task_state_advance(const task_state_t *state, uint64_t pairs);

#endif
