#include "worker/compute_thread.h"

#include "common/clock.h"
#include "common/input/flat_index.h"
#include "common/level.h"
#include "worker/compute/compute.h"
#include "worker/tasks/task_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An index stays open from task to task: opening one hashes a sample of it. */
typedef struct {
    char name[24];
    flat_index_t *index;
    kept_vectors_t *vectors;
} open_index_t;

struct compute_thread {
    const char *indices_folder;
    size_t vectors_bytes;
    compute_t *compute;
    net_actor_t *actor;
    open_index_t open[LEVEL_COUNT]; /* of the thread alone */
    size_t next;                    /* the place that is given up when all are taken */
};

void compute_job_destroy(compute_job_t **self)
{
    if (!self || !*self)
        return;
    task_clear(&(*self)->task);
    free((*self)->payload);
    free(*self);
    *self = NULL;
}

static void discard(void *item)
{
    compute_job_t *job = item;
    compute_job_destroy(&job);
}

static void close_index(open_index_t *self)
{
    kept_vectors_destroy(&self->vectors);
    flat_index_close(&self->index);
}

static open_index_t *place_of(compute_thread_t *self, const char *name)
{
    for (size_t i = 0; i < LEVEL_COUNT; i++)
        if (!strcmp(self->open[i].name, name))
            return &self->open[i];
    open_index_t *place = &self->open[self->next++ % LEVEL_COUNT];
    close_index(place);
    snprintf(place->name, sizeof place->name, "%s", name);
    return place;
}

static int is_the_tasks(const flat_index_t *index, const task_t *task)
{
    sha256_t fingerprint = flat_index_fingerprint(index);
    return sha256_equal(&fingerprint, &task->index_fingerprint);
}

/* The index as the task wants it; one that has changed since it was opened is opened anew, because
 * the job may be about the new one. What only its content tells is found at the end of the task, as
 * nothing was read since the end of the one before. */
static int index_for(compute_thread_t *self, const task_t *task, open_index_t **out, error_t *error)
{
    open_index_t *place = place_of(self, task->index_name);
    if (place->index && (!is_the_tasks(place->index, task) || !flat_index_same(place->index)))
        close_index(place);
    if (!place->index) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s.index", self->indices_folder, task->index_name);
        int code = flat_index_open(path, task->dimension, &place->index, error);
        if (code)
            return code;
        place->vectors = kept_vectors_new(place->index, self->vectors_bytes);
    }
    if (!is_the_tasks(place->index, task))
        return error_set(error, ERR_CHANGED,
                         "%s is not the file the job was planned on: it has changed since, or this "
                         "worker sees another folder",
                         flat_index_path(place->index));
    *out = place;
    return OK;
}

static int find_input(void *context, const sha256_t *sha256, const void **bytes, size_t *length,
                      error_t *error)
{
    const compute_job_t *job = context;
    for (size_t i = 0; i < job->task.input_count; i++) {
        if (sha256_equal(&job->inputs[i].sha256, sha256)) {
            *bytes = job->inputs[i].bytes;
            *length = job->inputs[i].length;
            return OK;
        }
    }
    return error_set(error, ERR_INTERNAL, "the task asks for an input that is not its own");
}

/* The file is looked at before, by its name and dates, and after, by its content too: what was computed
 * from a file that changed in between is never handed out. */
static int run_task(compute_thread_t *self, compute_job_t *job)
{
    open_index_t *open = NULL;
    int code = index_for(self, &job->task, &open, &job->error);
    if (code)
        return code;
    task_context_t context = {.compute = self->compute,
                              .index = open->index,
                              .vectors = open->vectors,
                              .input = find_input,
                              .input_context = job,
                              .work_done = &job->work_done,
                              .stop = &job->stop};
    code = task_run(&job->task, &context, &job->payload, &job->length, &job->error);
    int changed = flat_index_check(open->index, code == ERR_CANCELLED ? NULL : &job->error);
    return code == ERR_CANCELLED || !changed ? code : changed;
}

static void run_job(compute_thread_t *self, compute_job_t *job)
{
    int64_t started_ms = clock_monotonic_ms();
    job->code = atomic_load(&job->stop)
                    ? error_set(&job->error, ERR_CANCELLED, "stopped before it began")
                    : run_task(self, job);
    if (job->code) {
        free(job->payload);
        job->payload = NULL;
    } else {
        job->sha256 = sha256_of(job->payload, job->length);
    }
    job->seconds = (double)(clock_monotonic_ms() - started_ms) / 1000.0;
}

static void run(net_pipe_t *pipe, void *argument)
{
    compute_thread_t *self = argument;
    void *item;
    while (net_pipe_take(pipe, -1, &item) > 0) {
        run_job(self, item);
        if (net_pipe_put(pipe, item))
            discard(item);
    }
}

int compute_thread_new(const char *indices_folder, uint32_t threads, size_t vectors_bytes,
                       compute_thread_t **out, error_t *error)
{
    *out = NULL;
    compute_thread_t *self = calloc(1, sizeof *self);
    if (!self)
        return error_set(error, ERR_MEMORY, "no memory for a compute thread");
    self->indices_folder = indices_folder;
    self->vectors_bytes = vectors_bytes;
    compute_options_t options = {.threads = threads, .dist2 = NULL, .screen = SCREEN_AUTO};
    int code = compute_new(&options, &self->compute, error);
    if (!code)
        code = net_actor_new(run, self, discard, &self->actor, error);
    if (code)
        compute_thread_destroy(&self);
    *out = self;
    return code;
}

void compute_thread_destroy(compute_thread_t **self)
{
    if (!self || !*self)
        return;
    net_actor_destroy(&(*self)->actor);
    for (size_t i = 0; i < LEVEL_COUNT; i++)
        close_index(&(*self)->open[i]);
    compute_destroy(&(*self)->compute);
    free(*self);
    *self = NULL;
}

const char *compute_thread_describe(const compute_thread_t *self)
{
    return compute_describe(self->compute);
}

net_pipe_t *compute_thread_pipe(compute_thread_t *self) { return net_actor_pipe(self->actor); }
