#include "cli/embedded.h"

#include "common/net/actor.h"
#include "common/net/socket.h"
#include "common/net/start.h"
#include "coordinator/coordinator.h"
#include "worker/worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* One of the threads. `error` belongs to it until `ended` is set. */
typedef struct {
    embedded_t *owner;
    net_actor_t *actor;
    atomic_int stop;
    atomic_int ended;
    int code;
    error_t error;
    char name[32];
} member_t;

struct embedded {
    coordinator_options_t coordinator_options;
    worker_options_t worker_options;
    open_indices_t *indices; /* of all workers */
    char client_endpoint[64];
    char worker_endpoint[64];
    member_t coordinator;
    member_t *workers;
    size_t worker_count; /* started */
};

/* The owner may look at the error from now on; the pipe gives -1 when the owner wants us gone. */
static void end(member_t *self, net_pipe_t *pipe, int code)
{
    void *item;
    self->code = code;
    atomic_store(&self->ended, 1);
    while (net_pipe_take(pipe, -1, &item) >= 0)
        ;
}

static void be_coordinator(net_pipe_t *pipe, void *argument)
{
    member_t *self = argument;
    coordinator_options_t options = self->owner->coordinator_options;
    options.wake = pipe;
    end(self, pipe, coordinator_run(&options, &self->stop, &self->error));
}

static void be_worker(net_pipe_t *pipe, void *argument)
{
    member_t *self = argument;
    worker_options_t options = self->owner->worker_options;
    options.name = self->name;
    options.wake = pipe;
    end(self, pipe, worker_run(&options, &self->stop, &self->error));
}

static void discard(void *item) { (void)item; }

static int start(member_t *self, embedded_t *owner, net_actor_fn body, error_t *error)
{
    self->owner = owner;
    self->error = (error_t)ERROR_INIT;
    return net_actor_new(body, self, discard, &self->actor, error);
}

static uint32_t threads_each(const embedded_options_t *options)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    uint32_t share = processors > 0 ? (uint32_t)processors / options->workers : 1;
    if (options->threads)
        return options->threads;
    return share ? share : 1;
}

static void set_options(embedded_t *self, const embedded_options_t *options)
{
    snprintf(self->client_endpoint, sizeof self->client_endpoint, "inproc://clients-%p",
             (void *)self);
    snprintf(self->worker_endpoint, sizeof self->worker_endpoint, "inproc://workers-%p",
             (void *)self);
    self->coordinator_options = (coordinator_options_t){
        .client_endpoint = self->client_endpoint,
        .worker_endpoint = self->worker_endpoint,
        .indices_folder = options->indices_folder,
        .state_folder = options->state_folder,
        .output_folder = options->output_folder,
        .scratch = options->scratch,
        .ledger = options->ledger,
        .results = options->results,
        .queue_limit = options->queue_limit,
        .running_limit = options->running_limit,
        .matrix_bytes = options->matrix_bytes,
        .retry_limit = options->retry_limit,
        .memory = {.limit = options->memory_limit_mib ? options->memory_limit_mib << 20
                                                      : memory_of_machine(),
                   .workers = options->workers,
                   .threads = threads_each(options),
                   .vectors = options->vectors_bytes},
        .retention_days = options->retention_days,
        .catalog_days = options->catalog_days,
        .log = options->log,
    };
    self->worker_options = (worker_options_t){
        .endpoint = self->worker_endpoint,
        .indices_folder = options->indices_folder,
        .indices = self->indices,
        .threads = threads_each(options),
        .credit = 2,
        .cache_bytes = options->cache_bytes,
        .vectors_bytes = options->vectors_bytes,
        .log = options->log,
    };
}

int embedded_start(const embedded_options_t *options, embedded_t **out, error_t *error)
{
    *out = NULL;
    embedded_t *self = calloc(1, sizeof *self);
    if (self)
        self->workers = calloc(options->workers, sizeof *self->workers);
    if (!self || !self->workers) {
        free(self);
        return error_set(error, ERR_MEMORY, "no memory to start %u workers",
                         (unsigned)options->workers);
    }
    net_start();
    int code =
        open_indices_new(options->indices_folder, options->vectors_bytes, &self->indices, error);
    set_options(self, options);
    if (!code)
        code = start(&self->coordinator, self, be_coordinator, error);
    for (uint32_t i = 0; i < options->workers && !code; i++) {
        member_t *worker = &self->workers[i];
        snprintf(worker->name, sizeof worker->name, "worker-%u", (unsigned)i + 1);
        code = start(worker, self, be_worker, error);
        self->worker_count += !code;
    }
    if (code)
        embedded_stop(&self);
    *out = self;
    return code;
}

const char *embedded_client_endpoint(const embedded_t *self) { return self->client_endpoint; }

static int check(member_t *member, const char *what, error_t *error)
{
    if (!atomic_load(&member->ended))
        return OK;
    if (member->code == OK)
        return error_set(error, ERR_INTERNAL, "%s ended before its time", what);
    if (error)
        *error = member->error;
    return member->code;
}

int embedded_check(embedded_t *self, error_t *error)
{
    int code = check(&self->coordinator, "the coordinator", error);
    for (size_t i = 0; i < self->worker_count && !code; i++)
        code = check(&self->workers[i], self->workers[i].name, error);
    return code;
}

void embedded_stop(embedded_t **embedded)
{
    embedded_t *self = *embedded;
    if (!self)
        return;
    for (size_t i = 0; i < self->worker_count; i++)
        atomic_store(&self->workers[i].stop, 1);
    for (size_t i = 0; i < self->worker_count; i++)
        net_actor_destroy(&self->workers[i].actor);
    atomic_store(&self->coordinator.stop, 1);
    net_actor_destroy(&self->coordinator.actor);
    open_indices_destroy(&self->indices);
    free(self->workers);
    free(self);
    *embedded = NULL;
}
