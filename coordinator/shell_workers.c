#include "coordinator/shell.h"

#include "common/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MESSAGES_A_TURN 256 /* then the clients and the clock have theirs */

worker_peer_t *shell_peer(const shell_t *self, uint32_t handle)
{
    for (size_t i = 0; i < self->peer_count; i++)
        if (self->peers[i].handle == handle)
            return &self->peers[i];
    return NULL;
}

static worker_peer_t *find_peer(const shell_t *self, const net_peer_t *peer)
{
    for (size_t i = 0; i < self->peer_count; i++)
        if (net_peer_equal(&self->peers[i].peer, peer))
            return &self->peers[i];
    return NULL;
}

void shell_forget_peer(shell_t *self, uint32_t handle)
{
    worker_peer_t *peer = shell_peer(self, handle);
    if (peer)
        *peer = self->peers[--self->peer_count];
}

static int tell(shell_t *self, const net_peer_t *peer, const worker_message_t *message,
                const void *payload, size_t length)
{
    uint8_t *bytes = NULL;
    size_t size = 0;
    error_t error = ERROR_INIT;
    int code = worker_message_encode(message, &bytes, &size, &error);
    net_frame_t frames[2] = {{bytes, size}, {payload, length}};
    if (!code)
        code = net_send(self->workers, peer, frames, payload ? 2 : 1, &error);
    free(bytes);
    if (code)
        log_event(self->log, LOG_DEBUG, "message_not_sent",
                  LOG_TEXT("kind", worker_message_name(message->kind)),
                  LOG_TEXT("error", error.message));
    return code;
}

int shell_tell_worker(shell_t *self, uint32_t handle, const worker_message_t *message,
                      const void *payload, size_t length)
{
    worker_peer_t *peer = shell_peer(self, handle);
    return peer ? tell(self, &peer->peer, message, payload, length) : ERR_UNAVAILABLE;
}

/* What a message handler gets: the peer is NULL for HELLO and FETCH of a stranger only. */
typedef struct {
    worker_peer_t *peer;
    const worker_message_t *message;
    net_message_t *frames;
    int64_t now_ms;
} arrival_t;

/* The same process behind another connection: the one before is no more. */
static void retire_predecessor(shell_t *self, const worker_message_t *message)
{
    for (size_t i = 0; self->peers && i < self->peer_count; i++) {
        worker_peer_t *old = &self->peers[i];
        if (old->pid != message->pid || strcmp(old->host, message->host) != 0 ||
            strcmp(old->name, message->name) != 0)
            continue;
        core_event_t event = {.kind = CORE_EVENT_GOODBYE, .worker = old->handle};
        shell_forget_peer(self, old->handle);
        shell_feed(self, &event);
        return;
    }
}

static worker_peer_t *add_peer(shell_t *self, const net_peer_t *peer)
{
    self->peers =
        shell_grow(self->peers, self->peer_count, &self->peer_capacity, sizeof *self->peers);
    worker_peer_t *added = &self->peers[self->peer_count++];
    memset(added, 0, sizeof *added);
    added->handle = ++self->next_handle;
    added->peer = *peer;
    return added;
}

static void describe_peer(worker_peer_t *peer, const worker_message_t *message, int64_t now_ms)
{
    memcpy(peer->name, message->name, sizeof peer->name);
    memcpy(peer->host, message->host, sizeof peer->host);
    memcpy(peer->backend, message->backend, sizeof peer->backend);
    memcpy(peer->version, message->version, sizeof peer->version);
    peer->pid = message->pid;
    peer->threads = message->threads;
    peer->credit = message->credit;
    peer->heard_ms = now_ms;
}

/* WELCOME goes out before the core hears of the worker, so it comes before the first task. */
static void on_hello(shell_t *self, arrival_t *arrival)
{
    const worker_message_t *message = arrival->message;
    worker_peer_t *peer = arrival->peer;
    if (message->protocol != WORKER_PROTOCOL || message->credit < 1 ||
        message->credit > WORKER_CREDIT_LIMIT) {
        log_event(self->log, LOG_ERROR, "worker_refused", LOG_TEXT("worker", message->name),
                  LOG_INT("protocol", message->protocol), LOG_INT("credit", message->credit),
                  LOG_INT("protocol_wanted", WORKER_PROTOCOL));
        return;
    }
    if (!peer) {
        retire_predecessor(self, message);
        peer = add_peer(self, &arrival->frames->from);
    }
    describe_peer(peer, message, arrival->now_ms);
    log_event(self->log, LOG_INFO, "worker_connected", LOG_TEXT("worker", peer->name),
              LOG_TEXT("host", peer->host), LOG_INT("threads", peer->threads),
              LOG_TEXT("backend", peer->backend));
    core_options_t core;
    core_options_init(&core);
    worker_message_t welcome = {
        .kind = MSG_WELCOME, .heartbeat_ms = HEARTBEAT_MS, .lease_ms = (uint32_t)core.lease_ms};
    tell(self, &peer->peer, &welcome, NULL, 0);
    core_event_t event = {.kind = CORE_EVENT_HELLO, .worker = peer->handle, .credit = peer->credit};
    shell_feed(self, &event);
}

static void note_progress(shell_t *self, const task_progress_t *progress)
{
    const task_ref_t *ref = &progress->ref;
    job_record_t *record = job_book_find(&self->jobs, ref->job_id);
    if (!record || ref->stage != record->stage_number || ref->task >= record->stage.task_count)
        return;
    uint64_t whole = record->stage.work[ref->task];
    uint64_t told = progress->work_done < whole ? progress->work_done : whole;
    if (told > record->progress[ref->task])
        record->progress[ref->task] = told;
}

static void on_heartbeat(shell_t *self, arrival_t *arrival)
{
    const worker_message_t *message = arrival->message;
    for (size_t i = 0; i < message->progress_count; i++)
        note_progress(self, &message->progress[i]);
    core_event_t event = {.kind = CORE_EVENT_HEARTBEAT,
                          .worker = arrival->peer->handle,
                          .ref_count = message->progress_count,
                          .refs = message->progress};
    shell_feed(self, &event);
}

/* What does not match its name never reaches the core; the worker will offer it again. */
static void on_result(shell_t *self, arrival_t *arrival)
{
    const worker_message_t *message = arrival->message;
    if (arrival->frames->count != 2)
        return;
    sha256_t got = sha256_of(arrival->frames->frames[1].bytes, arrival->frames->frames[1].length);
    if (!sha256_equal(&got, &message->sha256)) {
        log_event(self->log, LOG_WARNING, "result_damaged", LOG_TEXT("worker", arrival->peer->name),
                  LOG_TEXT("job_id", message->ref.job_id), LOG_INT("task", message->ref.task));
        return;
    }
    core_event_t event = {.kind = CORE_EVENT_RESULT,
                          .worker = arrival->peer->handle,
                          .ref = message->ref,
                          .sha256 = message->sha256};
    if (payload_shelf_put(&self->shelf, arrival->peer->handle, &message->ref, arrival->frames))
        shell_feed(self, &event);
}

static void on_failed(shell_t *self, arrival_t *arrival)
{
    const worker_message_t *message = arrival->message;
    self->metrics.tasks_failed++;
    log_event(self->log, LOG_WARNING, "task_failed", LOG_TEXT("worker", arrival->peer->name),
              LOG_TEXT("job_id", message->ref.job_id), LOG_INT("stage", message->ref.stage),
              LOG_INT("task", message->ref.task), LOG_TEXT("code", error_name(message->error.code)),
              LOG_TEXT("error", message->error.message));
    job_record_t *record = job_book_find(&self->jobs, message->ref.job_id);
    if (record && !job_state_ended(record->state))
        job_story_add(&record->story, clock_wall_ms(), "task_failed",
                      "task %u of stage %u failed on worker %s: %s", message->ref.task,
                      message->ref.stage, arrival->peer->name, message->error.message);
    core_event_t event = {.kind = CORE_EVENT_FAILURE,
                          .worker = arrival->peer->handle,
                          .ref = message->ref,
                          .error = message->error};
    if (!event.error.code)
        error_set(&event.error, ERR_INTERNAL, "the worker failed and did not say why");
    if (event.error.code == ERR_NOT_FOUND)
        shell_verify_inputs(self, message->ref.job_id);
    shell_feed_later(self);
    shell_feed(self, &event);
}

static void on_returned(shell_t *self, arrival_t *arrival)
{
    core_event_t event = {
        .kind = CORE_EVENT_RETURNED, .worker = arrival->peer->handle, .ref = arrival->message->ref};
    shell_feed(self, &event);
}

static void on_goodbye(shell_t *self, arrival_t *arrival)
{
    core_event_t event = {.kind = CORE_EVENT_GOODBYE, .worker = arrival->peer->handle};
    log_event(self->log, LOG_INFO, "worker_left", LOG_TEXT("worker", arrival->peer->name));
    shell_forget_peer(self, event.worker);
    shell_feed(self, &event);
}

/* A chunk of an input. Not verified here: the worker checks the whole against its name. */
static void on_fetch(shell_t *self, arrival_t *arrival)
{
    const worker_message_t *message = arrival->message;
    worker_message_t blob = {
        .kind = MSG_BLOB, .sha256 = message->sha256, .offset = message->offset};
    size_t length = 0;
    uint8_t *chunk = malloc(BLOB_CHUNK);
    if (!chunk)
        error_set(&blob.error, ERR_MEMORY, "no memory for a chunk of an input");
    else
        spool_read(self->spool, message->job_id, &message->sha256, message->offset, chunk,
                   BLOB_CHUNK, &length, &blob.total, &blob.error);
    if (blob.error.code)
        log_event(self->log, LOG_WARNING, "fetch_failed", LOG_TEXT("job_id", message->job_id),
                  LOG_TEXT("error", blob.error.message));
    if (blob.error.code == ERR_NOT_FOUND &&
        shell_input_missed(self, message->job_id, &message->sha256, &blob.error)) {
        free(chunk);
        shell_feed_later(self); /* the task is taken from the worker: it need not fail it */
        return;
    }
    tell(self, &arrival->frames->from, &blob, chunk ? (void *)chunk : "", length);
    free(chunk);
}

static void dispatch(shell_t *self, arrival_t *arrival)
{
    static void (*const HANDLERS[WORKER_MESSAGE_COUNT])(shell_t *, arrival_t *) = {
        [MSG_HELLO] = on_hello,     [MSG_HEARTBEAT] = on_heartbeat, [MSG_RESULT] = on_result,
        [MSG_FAILED] = on_failed,   [MSG_RETURNED] = on_returned,   [MSG_FETCH] = on_fetch,
        [MSG_GOODBYE] = on_goodbye,
    };
    worker_message_kind_t kind = arrival->message->kind;
    if (!HANDLERS[kind])
        return;
    if (!arrival->peer && kind != MSG_HELLO) {
        worker_message_t who = {.kind = MSG_WHO};
        tell(self, &arrival->frames->from, &who, NULL, 0);
        return;
    }
    if (arrival->peer)
        arrival->peer->heard_ms = arrival->now_ms;
    HANDLERS[kind](self, arrival);
}

/* Those that had not said goodbye; the core dismisses them, which forgets them here. */
static void give_up_unreachable(shell_t *self)
{
    size_t i = 0;
    while (i < self->peer_count) {
        core_event_t event = {.kind = CORE_EVENT_GOODBYE, .worker = self->peers[i].handle};
        if (!self->peers[i].unreachable) {
            i++;
            continue;
        }
        self->peers[i].unreachable = 0;
        error_set(&event.error, ERR_UNAVAILABLE, "its connection is gone");
        shell_feed(self, &event);
        i = 0; /* the list has changed */
    }
}

void shell_read_workers(shell_t *self)
{
    net_message_t frames;
    int all = 0;
    for (int i = 0; i < MESSAGES_A_TURN; i++) {
        all = !net_receive(self->workers, &frames);
        if (all)
            break;
        worker_message_t message;
        error_t error = ERROR_INIT;
        arrival_t arrival = {.peer = find_peer(self, &frames.from),
                             .message = &message,
                             .frames = &frames,
                             .now_ms = clock_monotonic_ms()};
        if (worker_message_decode(frames.frames[0].bytes, frames.frames[0].length, &message,
                                  &error))
            log_event(self->log, LOG_WARNING, "message_dropped", LOG_TEXT("error", error.message));
        else
            dispatch(self, &arrival);
        worker_message_clear(&message);
        net_message_clear(&frames);
    }
    if (all)
        give_up_unreachable(self);
}
