#include "worker/worker.h"

#include "common/clock.h"
#include "worker/session.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOOK_AT_STOP_MS 100
#define FAREWELL_MS 2000 /* results still unacknowledged keep a leaving worker that long */
#define DEFAULT_CACHE_BYTES ((size_t)1 << 30)

static int check_options(const worker_options_t *options, error_t *error)
{
    if (options->threads < 1)
        return error_field(error, ERR_USAGE, "threads", "a worker needs at least one thread");
    if (options->credit > WORKER_CREDIT_LIMIT)
        return error_field(error, ERR_USAGE, "credit", "a worker holds at most %d tasks, not %u",
                           WORKER_CREDIT_LIMIT, options->credit);
    DIR *folder = opendir(options->indices_folder);
    if (!folder)
        return error_field(error, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "indices",
                           "cannot read the indices folder %s: %s", options->indices_folder,
                           strerror(errno));
    closedir(folder);
    return OK;
}

/* Several workers may live in one process, so the thread's number is part of the name. */
static void choose_name(session_t *self)
{
    char host[32] = "worker";
    if (self->options->name) {
        snprintf(self->name, sizeof self->name, "%s", self->options->name);
        return;
    }
    if (gethostname(host, sizeof host - 1))
        snprintf(host, sizeof host, "worker");
    snprintf(self->name, sizeof self->name, "%s-%ld-%ld", host, (long)getpid(),
             (long)syscall(SYS_gettid));
}

static int open_session(session_t *self, const worker_options_t *options, error_t *error)
{
    net_options_t net = {.frame_limit = WORKER_PAYLOAD_LIMIT,
                         .queue_limit = 64,
                         .heartbeat_ms = 1000,
                         .linger_ms = 500};
    memset(self, 0, sizeof *self);
    self->options = options;
    self->heartbeat_ms = 1000;
    choose_name(self);
    self->cache = input_cache_new(options->cache_bytes);
    if (!self->cache)
        return error_set(error, ERR_MEMORY, "no memory for a worker");
    int code = options->indices ? OK
                                : open_indices_new(options->indices_folder, options->vectors_bytes,
                                                   &self->indices, error);
    if (!code)
        code = compute_thread_new(options->indices ? options->indices : self->indices,
                                  options->threads, &self->compute, error);
    return code ? code : net_dealer_connect(options->endpoint, &net, &self->socket, error);
}

static void close_session(session_t *self)
{
    held_task_t *running = task_list_running(&self->tasks);
    if (running)
        atomic_store(&running->job->stop, 1);
    compute_thread_destroy(&self->compute);
    open_indices_destroy(&self->indices);
    if (running)
        *running = (held_task_t){.job = NULL}; /* went with the thread */
    task_list_clear(&self->tasks, self->cache);
    fetch_clear(&self->fetch);
    input_cache_destroy(&self->cache);
    net_socket_close(&self->socket);
}

static void turn(session_t *self)
{
    net_poll_t items[3] = {{.socket = self->socket},
                           {.pipe = compute_thread_pipe(self->compute)},
                           {.pipe = self->options->wake}};
    void *job;
    int64_t until_beat_ms = self->next_beat_ms - clock_monotonic_ms();
    int leaving = self->leaving || !self->options->wake; /* woken once is enough */
    net_poll(items, leaving ? 2 : 3,
             until_beat_ms < LOOK_AT_STOP_MS ? until_beat_ms : LOOK_AT_STOP_MS);
    int64_t now_ms = clock_monotonic_ms();
    while (net_pipe_take(compute_thread_pipe(self->compute), 0, &job) > 0)
        session_computed(self, job, now_ms);
    session_receive(self, now_ms);
    session_tick(self, now_ms);
}

/* Results on their way are waited for, but not for long: without them their tasks run again. */
static void say_farewell(session_t *self)
{
    session_leave(self);
    int64_t until_ms = clock_monotonic_ms() + FAREWELL_MS;
    while (self->welcomed && self->tasks.offer_count && clock_monotonic_ms() < until_ms)
        turn(self);
    worker_message_t message = {.kind = MSG_GOODBYE};
    if (self->welcomed)
        session_say(self, &message, NULL, 0);
}

int worker_run(const worker_options_t *options, const atomic_int *stop, error_t *error)
{
    worker_options_t settled = *options;
    session_t session;
    if (!settled.credit)
        settled.credit = 2;
    if (!settled.cache_bytes)
        settled.cache_bytes = DEFAULT_CACHE_BYTES;
    int code = check_options(&settled, error);
    if (code)
        return code;
    code = open_session(&session, &settled, error);
    if (code)
        goto done;
    log_event(settled.log, LOG_INFO, "worker_started", LOG_TEXT("name", session.name),
              LOG_TEXT("endpoint", settled.endpoint), LOG_TEXT("indices", settled.indices_folder),
              LOG_INT("threads", settled.threads), LOG_INT("credit", settled.credit),
              LOG_TEXT("backend", compute_thread_describe(session.compute)));
    while (!atomic_load(stop))
        turn(&session);
    say_farewell(&session);
    log_event(settled.log, LOG_INFO, "worker_stopped", LOG_TEXT("name", session.name));
done:
    close_session(&session);
    return code;
}
