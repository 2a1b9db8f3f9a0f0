#include "worker/session.h"

#include "common/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FETCH_PATIENCE_MS 2000
#define OFFER_WAIT_LIMIT_MS 16000
#define HELLO_RETRY_MS 20 /* while there is no connection */

int session_say(session_t *self, const worker_message_t *message, const void *payload,
                size_t length)
{
    uint8_t *bytes = NULL;
    size_t size = 0;
    error_t error = ERROR_INIT;
    int code = worker_message_encode(message, &bytes, &size, &error);
    if (code) {
        log_event(self->options->log, LOG_ERROR, "message_not_encoded",
                  LOG_TEXT("kind", worker_message_name(message->kind)),
                  LOG_TEXT("error", error.message));
        return code;
    }
    net_frame_t frames[2] = {{bytes, size}, {payload, length}};
    code = net_send(self->socket, NULL, frames, payload ? 2 : 1, NULL);
    free(bytes);
    return code;
}

static int say_of(session_t *self, worker_message_kind_t kind, const task_ref_t *ref)
{
    worker_message_t message = {.kind = kind, .ref = *ref};
    return session_say(self, &message, NULL, 0);
}

static void fail_task(session_t *self, held_task_t *held, const error_t *error)
{
    const task_ref_t *ref = &held->job->task.ref;
    worker_message_t message = {.kind = MSG_FAILED, .ref = *ref, .error = *error};
    log_event(self->options->log, LOG_WARNING, "task_failed", LOG_TEXT("job_id", ref->job_id),
              LOG_INT("stage", ref->stage), LOG_INT("task", ref->task),
              LOG_TEXT("code", error_name(error->code)), LOG_TEXT("error", error->message));
    session_say(self, &message, NULL, 0);
    task_list_remove(&self->tasks, held, self->cache);
}

/* ---- tasks and their inputs ---- */

static void pin_what_is_there(session_t *self, held_task_t *held)
{
    compute_job_t *job = held->job;
    while (held->pinned < job->task.input_count &&
           input_cache_pin(self->cache, &job->task.inputs[held->pinned].sha256,
                           &job->inputs[held->pinned]))
        held->pinned++;
}

static int is_ready(const held_task_t *held)
{
    return !held->running && held->pinned == held->job->task.input_count;
}

static void start_next(session_t *self)
{
    if (task_list_running(&self->tasks))
        return;
    for (size_t i = 0; i < self->tasks.held_count; i++) {
        held_task_t *held = &self->tasks.held[i];
        if (!is_ready(held))
            continue;
        held->running = !net_pipe_put(compute_thread_pipe(self->compute), held->job);
        return;
    }
}

/* Stops it if it runs; what waits is simply dropped. */
static void drop_task(session_t *self, held_task_t *held)
{
    if (held->running) {
        atomic_store(&held->job->stop, 1);
        held->forgotten = 1;
    } else {
        task_list_remove(&self->tasks, held, self->cache);
    }
}

static void drop_all_tasks(session_t *self)
{
    for (size_t i = self->tasks.held_count; i > 0; i--)
        drop_task(self, &self->tasks.held[i - 1]);
    fetch_clear(&self->fetch);
}

/* ---- fetching ---- */

/* The first task that lacks an input decides what is fetched: the one that runs next. */
static held_task_t *first_lacking(session_t *self, const sha256_t *sha256)
{
    for (size_t i = 0; i < self->tasks.held_count; i++) {
        held_task_t *held = &self->tasks.held[i];
        const task_t *task = &held->job->task;
        if (held->pinned < task->input_count &&
            (!sha256 || sha256_equal(&task->inputs[held->pinned].sha256, sha256)))
            return held;
    }
    return NULL;
}

static void ask_for_input(session_t *self, int64_t now_ms)
{
    held_task_t *held = first_lacking(self, self->fetch.active ? &self->fetch.sha256 : NULL);
    if (!held && self->fetch.active) { /* the task that wanted it is gone */
        fetch_clear(&self->fetch);
        held = first_lacking(self, NULL);
    }
    if (!held)
        return;
    if (!self->fetch.active)
        fetch_start(&self->fetch, held->job->task.ref.job_id,
                    &held->job->task.inputs[held->pinned].sha256);
    if (self->fetch.asked_ms != INT64_MIN && now_ms - self->fetch.asked_ms < FETCH_PATIENCE_MS)
        return;
    worker_message_t message;
    fetch_request(&self->fetch, &message);
    if (!session_say(self, &message, NULL, 0))
        self->fetch.asked_ms = now_ms;
}

static void pin_everywhere(session_t *self)
{
    for (size_t i = 0; i < self->tasks.held_count; i++)
        pin_what_is_there(self, &self->tasks.held[i]);
}

static void keep_input(session_t *self)
{
    sha256_t sha256 = self->fetch.sha256;
    size_t length;
    uint8_t *bytes = fetch_take(&self->fetch, &length);
    if (!input_cache_add(self->cache, &sha256, bytes, length)) {
        free(bytes); /* no memory for an entry: asked for again */
        return;
    }
    pin_everywhere(self);
    input_cache_unpin(self->cache, &sha256);
}

static void on_blob(session_t *self, worker_message_t *message, const net_frame_t *payload,
                    int64_t now_ms)
{
    error_t error = ERROR_INIT;
    int complete = 0;
    sha256_t sha256 = self->fetch.sha256;
    if (fetch_accept(&self->fetch, message, payload->bytes, payload->length, &complete, &error)) {
        held_task_t *held;
        fetch_clear(&self->fetch);
        while ((held = first_lacking(self, &sha256)))
            fail_task(self, held, &error);
    } else if (complete) {
        keep_input(self);
    } else if (self->fetch.active) {
        self->fetch.asked_ms = INT64_MIN; /* the next chunk at once */
    }
    ask_for_input(self, now_ms);
}

/* ---- messages ---- */

/* The coordinator takes this connection for a worker that holds nothing: so it does. Results that
 * were computed before are offered again, they may still be wanted. */
static void on_welcome(session_t *self, worker_message_t *message, const net_frame_t *payload,
                       int64_t now_ms)
{
    (void)payload;
    drop_all_tasks(self);
    self->welcomed = 1;
    if (message->heartbeat_ms >= 50 && message->heartbeat_ms <= 60000)
        self->heartbeat_ms = message->heartbeat_ms;
    self->next_beat_ms = now_ms + self->heartbeat_ms;
    for (size_t i = 0; i < self->tasks.offer_count; i++)
        self->tasks.offers[i].due_ms = now_ms;
    log_event(self->options->log, LOG_INFO, "welcomed",
              LOG_TEXT("endpoint", self->options->endpoint));
}

static void on_task(session_t *self, worker_message_t *message, const net_frame_t *payload,
                    int64_t now_ms)
{
    (void)payload;
    task_ref_t ref = message->task.ref;
    if (!self->welcomed || task_list_find(&self->tasks, &ref))
        return; /* meant for the connection before this one, or said twice */
    held_task_t *held = NULL;
    if (!self->leaving && task_list_counted(&self->tasks) < self->options->credit)
        held = task_list_add(&self->tasks, &message->task, NULL);
    if (!held) {
        say_of(self, MSG_RETURNED, &ref);
        return;
    }
    pin_what_is_there(self, held);
    ask_for_input(self, now_ms);
}

static void on_abort(session_t *self, worker_message_t *message, const net_frame_t *payload,
                     int64_t now_ms)
{
    (void)payload;
    (void)now_ms;
    held_task_t *held = task_list_find(&self->tasks, &message->ref);
    if (held)
        drop_task(self, held);
    task_list_withdraw(&self->tasks, &message->ref);
}

static void on_ack(session_t *self, worker_message_t *message, const net_frame_t *payload,
                   int64_t now_ms)
{
    (void)payload;
    (void)now_ms;
    task_list_withdraw(&self->tasks, &message->ref);
}

/* Several of these may be on the way, one for each heartbeat that a new coordinator found waiting;
 * those after the first come before its WELCOME and are ignored. */
static void on_who(session_t *self, worker_message_t *message, const net_frame_t *payload,
                   int64_t now_ms)
{
    (void)message;
    (void)payload;
    if (!self->welcomed)
        return;
    self->welcomed = 0;
    self->next_beat_ms = now_ms;
}

static void handle(session_t *self, worker_message_t *message, const net_frame_t *payload,
                   int64_t now_ms)
{
    static void (*const HANDLERS[WORKER_MESSAGE_COUNT])(session_t *, worker_message_t *,
                                                        const net_frame_t *, int64_t) = {
        [MSG_WELCOME] = on_welcome, [MSG_TASK] = on_task, [MSG_ABORT] = on_abort,
        [MSG_ACK] = on_ack,         [MSG_BLOB] = on_blob, [MSG_WHO] = on_who,
    };
    if (HANDLERS[message->kind])
        HANDLERS[message->kind](self, message, payload, now_ms);
}

void session_receive(session_t *self, int64_t now_ms)
{
    net_message_t frames;
    while (net_receive(self->socket, &frames)) {
        worker_message_t message;
        error_t error = ERROR_INIT;
        net_frame_t payload = frames.count > 1 ? frames.frames[1] : (net_frame_t){NULL, 0};
        if (worker_message_decode(frames.frames[0].bytes, frames.frames[0].length, &message,
                                  &error))
            log_event(self->options->log, LOG_WARNING, "message_dropped",
                      LOG_TEXT("error", error.message));
        else
            handle(self, &message, &payload, now_ms);
        worker_message_clear(&message);
        net_message_clear(&frames);
    }
}

void session_computed(session_t *self, compute_job_t *job, int64_t now_ms)
{
    held_task_t *held = task_list_running(&self->tasks);
    if (!held || held->job != job)
        return; /* cannot be: one task runs at a time */
    held->running = 0;
    if (held->forgotten) {
        log_event(self->options->log, LOG_DEBUG, "task_dropped",
                  LOG_TEXT("job_id", job->task.ref.job_id), LOG_INT("stage", job->task.ref.stage),
                  LOG_INT("task", job->task.ref.task));
        task_list_remove(&self->tasks, held, self->cache);
    } else if (job->code) {
        fail_task(self, held, &job->error);
    } else {
        log_event(self->options->log, LOG_DEBUG, "task_done",
                  LOG_TEXT("job_id", job->task.ref.job_id), LOG_INT("stage", job->task.ref.stage),
                  LOG_INT("task", job->task.ref.task), LOG_REAL("seconds", job->seconds),
                  LOG_INT("bytes", job->length));
        task_list_offer(&self->tasks, job, now_ms);
        task_list_remove(&self->tasks, held, self->cache);
    }
    session_tick(self, now_ms);
}

/* ---- what is due ---- */

static int say_hello(session_t *self)
{
    worker_message_t message = {.kind = MSG_HELLO,
                                .protocol = WORKER_PROTOCOL,
                                .pid = (uint32_t)getpid(),
                                .threads = self->options->threads,
                                .credit = self->options->credit};
    memcpy(message.name, self->name, sizeof message.name);
    if (gethostname(message.host, sizeof message.host - 1))
        strcpy(message.host, "unknown");
    snprintf(message.version, sizeof message.version, "%s", STAGE4_VERSION);
    snprintf(message.backend, sizeof message.backend, "%s", compute_thread_describe(self->compute));
    return session_say(self, &message, NULL, 0);
}

static void beat(session_t *self, int64_t now_ms)
{
    if (now_ms < self->next_beat_ms)
        return;
    self->next_beat_ms = now_ms + self->heartbeat_ms;
    if (!self->welcomed) {
        if (say_hello(self))
            self->next_beat_ms = now_ms + HELLO_RETRY_MS;
        return;
    }
    worker_message_t message = {.kind = MSG_HEARTBEAT};
    task_list_progress(&self->tasks, &message);
    session_say(self, &message, NULL, 0);
}

static void offer_results(session_t *self, int64_t now_ms)
{
    for (size_t i = 0; i < self->tasks.offer_count; i++) {
        offer_t *offer = &self->tasks.offers[i];
        if (now_ms < offer->due_ms)
            continue;
        worker_message_t message = {.kind = MSG_RESULT,
                                    .ref = offer->ref,
                                    .sha256 = offer->sha256,
                                    .seconds = offer->seconds};
        if (session_say(self, &message, offer->payload, offer->length)) {
            offer->due_ms = now_ms + 200; /* no connection: soon again */
            continue;
        }
        offer->due_ms = now_ms + offer->wait_ms;
        if (offer->wait_ms < OFFER_WAIT_LIMIT_MS)
            offer->wait_ms *= 2;
    }
}

void session_tick(session_t *self, int64_t now_ms)
{
    beat(self, now_ms);
    if (!self->welcomed)
        return;
    ask_for_input(self, now_ms);
    offer_results(self, now_ms);
    if (!self->leaving)
        start_next(self);
}

void session_leave(session_t *self)
{
    self->leaving = 1;
    for (size_t i = self->tasks.held_count; i > 0; i--) {
        held_task_t *held = &self->tasks.held[i - 1];
        if (held->forgotten)
            continue;
        if (self->welcomed)
            say_of(self, MSG_RETURNED, &held->job->task.ref);
        drop_task(self, held);
    }
    fetch_clear(&self->fetch);
}
