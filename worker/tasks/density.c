/* density.c - the density inside clusters, for DBCV: all-points core distances, the nodes inside
 * each cluster's spanning tree, and its sparseness.
 *
 * All distances of a cluster stand in memory at once. A thread takes one small cluster after the
 * other; at a large one all threads work together, but for the tree. The coordinator has planned
 * the largest before the task was cut. */
#include "worker/tasks/density.h"
#include "worker/tasks/inner_tree.h"
#include "worker/tasks/members_view.h"

#include <stdlib.h>

#define SMALL 1024u /* members: 2 MiB of distances a thread */

typedef struct {
    task_state_t *state;
    members_view_t members;
    all_points_t all_points;
    size_t count;      /* clusters of this task */
    uint32_t *cluster; /* their numbers */
    size_t *first;     /* count + 1: where their members stand in the results */
    float *core;
    uint8_t *inner;
    float *sparseness; /* count */
    density_t *rooms;  /* of each thread */
    error_t *errors;
    atomic_int failed;
} density_task_t;

static uint32_t size_of(const density_task_t *self, size_t item)
{
    return (uint32_t)(self->first[item + 1] - self->first[item]);
}

static int read_cluster(const density_task_t *self, density_t *room, size_t item, error_t *error)
{
    const uint32_t *member = self->members.member + self->members.begin[self->cluster[item]];
    int code = task_state_check_stop(self->state, error);
    return code ? code
                : density_read(room, member, size_of(self, item), self->core + self->first[item],
                               error);
}

static int grow_tree(const density_task_t *self, const density_t *room, size_t item, error_t *error)
{
    int code = task_state_check_stop(self->state, error); /* measuring may have ended early */
    return code ? code
                : inner_tree(room->dist2, room->count, room->core, self->state->context->stop,
                             self->inner + self->first[item], &self->sparseness[item], error);
}

static size_t items_of(size_t count, size_t rows) { return (count + rows - 1) / rows; }

/* A cluster that a thread does by itself. */
static int do_small(const density_task_t *self, size_t item, uint32_t thread, error_t *error)
{
    density_t *room = &self->rooms[thread];
    int code = read_cluster(self, room, item, error);
    for (size_t i = 0; i < items_of(room->count, MEASURE_ROWS) && !code; i++)
        density_measure(room, i, 0);
    for (size_t i = 0; i < items_of(room->count, CORE_ROWS) && !code; i++)
        density_cores(room, i, 0);
    return code ? code : grow_tree(self, room, item, error);
}

static void run_small(void *context, size_t item, uint32_t thread)
{
    density_task_t *self = context;
    uint32_t size = size_of(self, item);
    if (size < 2 || size > SMALL || atomic_load(&self->failed))
        return;
    if (do_small(self, item, thread, &self->errors[thread]))
        atomic_store(&self->failed, 1);
}

static int run_large(const density_task_t *self, size_t item, error_t *error)
{
    compute_t *compute = self->state->context->compute;
    density_t room;
    int code = density_init(&room, self->state, &self->all_points, size_of(self, item),
                            compute_threads(compute), error);
    if (code)
        return code;
    code = read_cluster(self, &room, item, error);
    if (!code) {
        pool_run(compute_pool(compute), items_of(room.count, MEASURE_ROWS), density_measure, &room);
        pool_run(compute_pool(compute), items_of(room.count, CORE_ROWS), density_cores, &room);
        code = grow_tree(self, &room, item, error);
    }
    density_clear(&room);
    return code;
}

static int run_all(density_task_t *self, error_t *error)
{
    compute_t *compute = self->state->context->compute;
    pool_run(compute_pool(compute), self->count, run_small, self);
    for (uint32_t thread = 0; thread < compute_threads(compute); thread++) {
        if (!self->errors[thread].code)
            continue;
        if (error)
            *error = self->errors[thread];
        return self->errors[thread].code;
    }
    int code = OK;
    for (size_t item = 0; item < self->count && !code; item++)
        if (size_of(self, item) > SMALL)
            code = run_large(self, item, error);
    return code;
}

static void list_clusters(density_task_t *self)
{
    const task_t *task = self->state->task;
    const uint32_t *begin = self->members.begin;
    size_t next = 0;
    for (uint32_t s = 0; s < task->segment_count; s++)
        for (uint32_t c = task->segments[s].begin; c < task->segments[s].end; c++, next++) {
            self->cluster[next] = c;
            self->first[next + 1] = self->first[next] + (begin[c + 1] - begin[c]);
        }
}

/* Of the largest cluster that a thread does by itself. */
static uint32_t room_wanted(const density_task_t *self)
{
    uint32_t most = 1;
    for (size_t item = 0; item < self->count; item++)
        if (size_of(self, item) <= SMALL && size_of(self, item) > most)
            most = size_of(self, item);
    return most;
}

static int make_rooms(density_task_t *self, error_t *error)
{
    uint32_t threads = compute_threads(self->state->context->compute), wanted = room_wanted(self);
    self->rooms = calloc(threads, sizeof *self->rooms);
    self->errors = calloc(threads, sizeof *self->errors);
    if (!self->rooms || !self->errors)
        return error_set(error, ERR_MEMORY, "no memory for %u threads", threads);
    int code = OK;
    for (uint32_t i = 0; i < threads && !code; i++)
        code = density_init(&self->rooms[i], self->state, &self->all_points, wanted, 1, error);
    return code;
}

static int prepare(density_task_t *self, error_t *error)
{
    int code = members_view_open(&self->members, self->state, error);
    if (!code)
        code = members_view_clusters(&self->members, self->state->task, &self->count, error);
    if (code)
        return code;
    self->cluster = malloc((self->count + 1) * sizeof *self->cluster);
    self->first = calloc(self->count + 1, sizeof *self->first);
    self->sparseness = calloc(self->count + 1, sizeof *self->sparseness);
    if (!self->cluster || !self->first || !self->sparseness)
        return error_set(error, ERR_MEMORY, "no memory for %zu clusters", self->count);
    list_clusters(self);
    size_t members = self->first[self->count];
    self->core = calloc(members + 1, sizeof *self->core);
    self->inner = calloc(members + 1, sizeof *self->inner);
    if (!self->core || !self->inner)
        return error_set(error, ERR_MEMORY, "no memory for %zu members", members);
    return make_rooms(self, error);
}

static void release(density_task_t *self)
{
    uint32_t threads = self->rooms ? compute_threads(self->state->context->compute) : 0;
    for (uint32_t i = 0; i < threads; i++)
        density_clear(&self->rooms[i]);
    members_view_close(&self->members);
    free(self->cluster);
    free(self->first);
    free(self->core);
    free(self->inner);
    free(self->sparseness);
    free(self->rooms);
    free(self->errors);
}

int task_density(task_state_t *state, uint8_t **payload, size_t *length, error_t *error)
{
    density_task_t self = {.state = state};
    int euclidean = task_param(state->task, "euclidean", 0) > 0;
    all_points_init(&self.all_points, euclidean ? METRIC_EUCLIDEAN : METRIC_COSINE,
                    (uint32_t)state->dimension);
    int code = prepare(&self, error);
    if (!code)
        code = run_all(&self, error);
    if (!code) {
        columns_writer_t *writer = columns_writer_new("density");
        columns_put(writer, "core", COLUMN_F32, self.core, self.first[self.count]);
        columns_put(writer, "inner", COLUMN_U8, self.inner, self.first[self.count]);
        columns_put(writer, "sparseness", COLUMN_F32, self.sparseness, self.count);
        code = columns_writer_finish(&writer, payload, length, error);
    }
    release(&self);
    return code;
}
