#include "worker/compute_thread.h"

#include "common/clock.h"
#include "common/input/flat_index.h"
#include "worker/compute/compute.h"
#include "worker/tasks/task_run.h"

#include <stdlib.h>

struct compute_thread {
    open_indices_t *indices;
    compute_t *compute;
    net_actor_t *actor;
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

/* A task that is over: its file is looked at once more, and its payload gets a name. */
typedef struct {
    compute_job_t *job;
    const flat_index_t *index;
    int changed;
} sealing_t;

static void seal(void *context, size_t item, uint32_t thread)
{
    sealing_t *self = context;
    compute_job_t *job = self->job;
    (void)thread;
    if (item == 0)
        self->changed =
            flat_index_check(self->index, job->code == ERR_CANCELLED ? NULL : &job->error);
    else
        job->sha256 = sha256_of(job->payload, job->length);
}

/* The file is looked at before, by its name and dates, and after, by its content too: what was computed
 * from a file that changed in between is never handed out. */
static int run_task(compute_thread_t *self, compute_job_t *job)
{
    const open_index_t *open = NULL;
    job->code = open_indices_take(self->indices, &job->task, &open, &job->error);
    if (job->code)
        return job->code;
    task_context_t context = {.compute = self->compute,
                              .index = open->index,
                              .vectors = open->vectors,
                              .input = find_input,
                              .input_context = job,
                              .work_done = &job->work_done,
                              .stop = &job->stop};
    job->code = task_run(&job->task, &context, &job->payload, &job->length, &job->error);
    sealing_t sealing = {.job = job, .index = open->index};
    pool_run(compute_pool(self->compute), job->code ? 1 : 2, seal, &sealing);
    open_indices_give(self->indices, open);
    return job->code == ERR_CANCELLED || !sealing.changed ? job->code : sealing.changed;
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

int compute_thread_new(open_indices_t *indices, uint32_t threads, compute_thread_t **out,
                       error_t *error)
{
    *out = NULL;
    compute_thread_t *self = calloc(1, sizeof *self);
    if (!self)
        return error_set(error, ERR_MEMORY, "no memory for a compute thread");
    self->indices = indices;
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
    compute_destroy(&(*self)->compute);
    free(*self);
    *self = NULL;
}

const char *compute_thread_describe(const compute_thread_t *self)
{
    return compute_describe(self->compute);
}

net_pipe_t *compute_thread_pipe(compute_thread_t *self) { return net_actor_pipe(self->actor); }
