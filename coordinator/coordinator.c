#include "coordinator/coordinator.h"

#include "common/clock.h"
#include "coordinator/shell.h"
#include "coordinator/state_lock.h"
#include "proto/client_message.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define LOOK_AT_STOP_MS 200
#define SERVER_RETRY_LIMIT 1200 /* saves, each save_retry_ms after the last: ten minutes */

/* As mkdir -p. */
static int make_folder(const char *path, const char *field, error_t *error)
{
    char copy[4096];
    if (strlen(path) >= sizeof copy - 64 || !path[0])
        return error_field(error, ERR_USAGE, field, "the folder's name is empty or too long");
    strcpy(copy, path);
    for (char *at = copy + 1; *at; at++) {
        if (*at != '/')
            continue;
        *at = 0;
        if (mkdir(copy, 0755) && errno != EEXIST)
            return error_field(error, ERR_IO, field, "cannot make the folder %s: %s", copy,
                               strerror(errno));
        *at = '/';
    }
    struct stat info;
    if ((mkdir(copy, 0755) && errno != EEXIST) || stat(copy, &info))
        return error_field(error, ERR_IO, field, "cannot make the folder %s: %s", path,
                           strerror(errno));
    return S_ISDIR(info.st_mode) ? OK : error_field(error, ERR_IO, field, "%s is no folder", path);
}

static int check_folders(const coordinator_options_t *options, error_t *error)
{
    DIR *folder = opendir(options->indices_folder);
    if (!folder)
        return error_field(error, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "indices",
                           "cannot read the indices folder %s: %s", options->indices_folder,
                           strerror(errno));
    closedir(folder);
    int code = make_folder(options->state_folder, "state", error);
    return code ? code : make_folder(options->output_folder, "output_folder", error);
}

static void name_paths(shell_t *self)
{
    const char *state = self->options->state_folder;
    state_paths_t *paths = &self->paths;
    snprintf(paths->spool, sizeof paths->spool, "%s/spool", state);
    snprintf(paths->cache, sizeof paths->cache, "%s/cache", state);
    snprintf(paths->ledger, sizeof paths->ledger, "%s/ledger.db", state);
    snprintf(paths->generation, sizeof paths->generation, "%s/ledger.generation", state);
    snprintf(paths->results, sizeof paths->results, "%s/stage4.db", state);
    self->places = (merge_places_t){.indices_folder = self->options->indices_folder,
                                    .cache_folder = paths->cache,
                                    .output_folder = self->options->output_folder,
                                    .spool_folder = paths->spool,
                                    .scratch = self->options->scratch,
                                    .memory = self->options->memory,
                                    .results = &self->results_options,
                                    .matrix_bytes = self->options->matrix_bytes};
}

/* Without a state that outlives the process the ledger needs no file, and nobody can look up
 * results. */
static void choose_scratch_stores(shell_t *self)
{
    if (!self->ledger_options.kind)
        self->ledger_options.path = ":memory:";
    if (!self->results_options.kind)
        self->results_options.kind = "none";
}

static void choose_stores(shell_t *self)
{
    ledger_options_t *ledger = &self->ledger_options;
    result_store_options_t *results = &self->results_options;
    *ledger = self->options->ledger;
    *results = self->options->results;
    if (self->options->scratch)
        choose_scratch_stores(self);
    ledger->kind = ledger->kind ? ledger->kind : "sqlite";
    ledger->path = ledger->path ? ledger->path : self->paths.ledger;
    if (!ledger->redis.memory_path)
        ledger->redis.memory_path = self->paths.generation;
    results->kind = results->kind ? results->kind : "sqlite";
    results->path = results->path ? results->path : self->paths.results;
}

/* A ledger in memory is there once. */
static int in_memory(const shell_t *self)
{
    return !strcmp(self->ledger_options.kind, "sqlite") &&
           !strcmp(self->ledger_options.path, ":memory:");
}

static int open_spool(const shell_t *self, spool_t **out, error_t *error)
{
    return self->options->scratch ? spool_open_scratch(self->paths.spool, out, error)
                                  : spool_open(self->paths.spool, out, error);
}

static int open_ledger(shell_t *self, error_t *error)
{
    error_t warning = ERROR_INIT;
    int code = ledger_open(&self->ledger_options, &self->ledger, &warning, error);
    if (!code && warning.message[0])
        log_event(self->log, LOG_WARNING, "ledger_not_durable",
                  LOG_TEXT("warning", warning.message));
    return code;
}

static int open_stores(shell_t *self, const atomic_int *stop, error_t *error)
{
    int code = make_folder(self->paths.cache, "state", error);
    if (!code)
        code = make_folder(self->paths.spool, "state", error);
    if (!code)
        code = open_spool(self, &self->spool, error);
    if (!code)
        code = open_spool(self, &self->saver_spool, error);
    if (!code)
        code = open_ledger(self, error);
    if (!code)
        code = shell_claim(self, stop, error);
    if (!code)
        code = merge_thread_new(&self->places, &self->merge, error);
    return code ? code : result_store_open(&self->results_options, 1, &self->results, error);
}

/* From here on the ledger is theirs. */
static int start_threads(shell_t *self, error_t *error)
{
    if (in_memory(self)) {
        int code = store_thread_new("saver", self->ledger, self->saver_spool, self->results,
                                    &self->saver, error);
        self->reader = self->saver;
        return code;
    }
    int code = ledger_open(&self->ledger_options, &self->questions, NULL, error);
    if (!code)
        code =
            store_thread_new("saver", self->ledger, self->saver_spool, NULL, &self->saver, error);
    return code ? code
                : store_thread_new("reader", self->questions, NULL, self->results, &self->reader,
                                   error);
}

static int open_sockets(shell_t *self, error_t *error)
{
    net_options_t clients = {.frame_limit = CLIENT_MESSAGE_LIMIT,
                             .queue_limit = 1000,
                             .heartbeat_ms = 2000,
                             .linger_ms = 500};
    net_options_t workers = {.frame_limit = WORKER_PAYLOAD_LIMIT,
                             .queue_limit = 256,
                             .heartbeat_ms = 1000,
                             .linger_ms = 500};
    int code = net_router_bind(self->options->client_endpoint, &clients, &self->clients, error);
    return code ? code
                : net_router_bind(self->options->worker_endpoint, &workers, &self->workers, error);
}

/* A server of its own may be away for as long as somebody needs to start it again. */
static int has_servers(const shell_t *self)
{
    return !strcmp(self->ledger_options.kind, "redis") ||
           !strcmp(self->results_options.kind, "postgres");
}

static core_t *open_core(const shell_t *self)
{
    const coordinator_options_t *options = self->options;
    core_options_t core;
    core_options_init(&core);
    if (has_servers(self))
        core.save_retry_limit = SERVER_RETRY_LIMIT;
    if (options->queue_limit)
        core.queue_limit = options->queue_limit;
    if (options->running_limit)
        core.running_limit = options->running_limit;
    core.memory_limit = options->memory.limit;
    if (options->retry_limit)
        core.retry_limit = options->retry_limit;
    return core_new(&core);
}

/* The endpoints are bound last: nobody is answered before the jobs of yesterday are known. */
static int open_shell(shell_t *self, const coordinator_options_t *options, const atomic_int *stop,
                      error_t *error)
{
    memset(self, 0, sizeof *self);
    self->options = options;
    self->log = options->log;
    self->lock = -1;
    self->started_wall_ms = clock_wall_ms();
    self->started_ms = clock_monotonic_ms();
    self->wake_ms = INT64_MAX;
    int code = check_folders(options, error);
    if (!code)
        code = state_lock_take(options->state_folder, &self->lock, error);
    if (code)
        return code;
    name_paths(self);
    choose_stores(self);
    self->core = open_core(self);
    code = open_stores(self, stop, error);
    if (!code)
        code = open_sockets(self, error);
    if (!code)
        code = shell_recover(self, error);
    if (!code)
        code = start_threads(self, error);
    if (!code)
        shell_recovered(self);
    return code;
}

static void close_shell(shell_t *self)
{
    for (size_t i = 0; i < self->jobs.count; i++)
        if (self->jobs.items[i]->merging)
            atomic_store(&self->jobs.items[i]->merging->stop, 1);
    merge_thread_destroy(&self->merge); /* before the records that its work borrows from */
    if (self->reader != self->saver)
        store_thread_destroy(&self->reader);
    store_thread_destroy(&self->saver); /* before the shelf that its work borrows from */
    net_socket_close(&self->clients);
    net_socket_close(&self->workers);
    if (self->results)
        self->results->verbs->close(&self->results);
    if (self->ledger)
        self->ledger->verbs->close(&self->ledger);
    if (self->questions)
        self->questions->verbs->close(&self->questions);
    spool_close(&self->spool);
    spool_close(&self->saver_spool);
    core_destroy(&self->core);
    core_actions_clear(&self->actions);
    payload_shelf_clear(&self->shelf);
    job_book_clear(&self->jobs);
    free(self->events);
    free(self->peers);
    free(self->waiting);
    state_lock_release(&self->lock);
}

static void tick(shell_t *self)
{
    core_event_t event = {.kind = CORE_EVENT_TICK};
    if (clock_monotonic_ms() >= self->wake_ms)
        shell_feed(self, &event);
}

static void take_back(shell_t *self, store_work_t *work)
{
    switch (work->kind) {
    case STORE_READ_JOB:
    case STORE_FIND:
    case STORE_LIST:
    case STORE_PING:
        shell_read(self, &work);
        break;
    case STORE_RECALL:
        shell_recalled(self, work);
        return;
    case STORE_EXPIRED:
        shell_expired(self, work);
        break;
    case STORE_RENEW:
        shell_renewed(self, work);
        break;
    default:
        shell_saved(self, work);
    }
    store_work_destroy(&work);
}

static void take_stored(shell_t *self, store_thread_t *thread)
{
    void *work;
    while (net_pipe_take(store_thread_pipe(thread), 0, &work) > 0)
        take_back(self, work);
}

/* The work of other threads first: results that are durable free the workers that brought them. */
static void take_work(shell_t *self)
{
    void *work;
    take_stored(self, self->saver);
    if (self->reader != self->saver)
        take_stored(self, self->reader);
    while (net_pipe_take(merge_thread_pipe(self->merge), 0, &work) > 0)
        shell_merged(self, work);
}

/* What has arrived is read before the clock is looked at: after a stall, heartbeats that waited in
 * the socket count before the silence does. */
static void turn(shell_t *self)
{
    net_poll_t items[6] = {{.socket = self->workers},
                           {.socket = self->clients},
                           {.pipe = merge_thread_pipe(self->merge)},
                           {.pipe = store_thread_pipe(self->saver)}};
    size_t count = 4;
    int64_t wait_ms = LOOK_AT_STOP_MS;
    int64_t until_tick_ms =
        self->wake_ms == INT64_MAX ? LOOK_AT_STOP_MS : self->wake_ms - clock_monotonic_ms();
    if (self->reader != self->saver)
        items[count++].pipe = store_thread_pipe(self->reader);
    if (self->options->wake)
        items[count++].pipe = self->options->wake;
    net_poll(items, count, until_tick_ms < wait_ms ? until_tick_ms : wait_ms);
    take_work(self);
    shell_read_workers(self);
    shell_read_clients(self);
    tick(self);
    shell_save_stories(self);
    shell_look_after(self);
}

static void say_started(const shell_t *self)
{
    const coordinator_options_t *options = self->options;
    char ledger[LEDGER_WORDS_SIZE];
    char results[RESULT_STORE_WORDS_SIZE];
    ledger_describe(&self->ledger_options, ledger);
    result_store_describe(&self->results_options, results);
    log_event(self->log, LOG_INFO, "coordinator_started",
              LOG_TEXT("client_endpoint", net_socket_endpoint(self->clients)),
              LOG_TEXT("worker_endpoint", net_socket_endpoint(self->workers)),
              LOG_TEXT("indices", options->indices_folder),
              LOG_TEXT("state", options->state_folder), LOG_TEXT("output", options->output_folder),
              LOG_TEXT("ledger", ledger), LOG_TEXT("results", results),
              LOG_INT("jobs", self->jobs.count));
}

int coordinator_run(const coordinator_options_t *options, const atomic_int *stop, error_t *error)
{
    shell_t shell;
    int code = open_shell(&shell, options, stop, error);
    if (code)
        goto done;
    say_started(&shell);
    while (!atomic_load(stop) && !shell.fenced.code)
        turn(&shell);
    if (shell.fenced.code) {
        code = error_field(error, ERR_CONFLICT, shell.fenced.field, "%s", shell.fenced.message);
        goto done;
    }
    log_event(options->log, LOG_INFO, "coordinator_stopped", LOG_INT("signal", atomic_load(stop)));
done:
    close_shell(&shell);
    return code;
}
