#include "coordinator/shell.h"

#include "common/clock.h"
#include "coordinator/status.h"
#include "proto/client_message.h"

#include <stdlib.h>
#include <string.h>

#define REQUESTS_A_TURN 64
#define WAITING_LIMIT 10000

static void reply(shell_t *self, const net_peer_t *peer, uint64_t request_id, const char *body,
                  const error_t *error)
{
    client_reply_t answer = {
        .request_id = request_id, .body = body, .body_length = body ? strlen(body) : 0};
    uint8_t *bytes = NULL;
    size_t length = 0;
    error_t problem = ERROR_INIT;
    if (error)
        answer.error = *error;
    int code = client_reply_encode(&answer, &bytes, &length, &problem);
    if (!code)
        code = net_send(self->clients, peer, &(net_frame_t){bytes, length}, 1, &problem);
    free(bytes);
    if (code) /* a client that has gone, or asks faster than it reads: it may ask again */
        log_event(self->log, LOG_DEBUG, "reply_not_sent", LOG_TEXT("error", problem.message));
}

/* ---- requests that wait for the core ---- */

static uint64_t wait_for(shell_t *self, const net_peer_t *peer, const client_request_t *request)
{
    self->waiting = shell_grow(self->waiting, self->waiting_count, &self->waiting_capacity,
                               sizeof *self->waiting);
    waiting_client_t *client = &self->waiting[self->waiting_count++];
    *client = (waiting_client_t){++self->next_request, *peer, request->request_id, request->verb};
    return client->id;
}

static int take_waiting(shell_t *self, uint64_t id, waiting_client_t *out)
{
    for (size_t i = 0; i < self->waiting_count; i++) {
        if (self->waiting[i].id == id) {
            *out = self->waiting[i];
            self->waiting[i] = self->waiting[--self->waiting_count];
            return 1;
        }
    }
    return 0;
}

/* ---- a job's status ---- */

static void reply_status(shell_t *self, const char *job_id, const ledger_job_t *row,
                         const net_peer_t *peer, uint64_t request_id)
{
    char *body = NULL;
    error_t error = ERROR_INIT;
    status_job(self, job_id, row, &body, &error);
    reply(self, peer, request_id, body, &error);
    free(body);
}

/* At once while the job is at work or waits; of all others the ledger is asked. */
static void answer_status(shell_t *self, const char *job_id, const net_peer_t *peer,
                          uint64_t request_id)
{
    if (status_is_live(self, job_id))
        reply_status(self, job_id, NULL, peer, request_id);
    else
        shell_ask_for(self, store_work_new(STORE_READ_JOB, job_id), peer, request_id);
}

static metrics_now_t now_of(const shell_t *self, const store_work_t *work)
{
    size_t known = core_job_total(self->core);
    metrics_now_t now = {.in_memory = known > self->jobs.count ? known : self->jobs.count,
                         .workers = self->peer_count};
    for (int state = 0; state < JOB_STATE_COUNT; state++)
        now.jobs[state] = core_job_count(self->core, (job_state_t)state);
    for (size_t i = 0; i < self->peer_count; i++) {
        now.worker_threads += self->peers[i].threads;
        now.tasks_held += core_worker_leases(self->core, self->peers[i].handle);
    }
    now.ledger_up = !work->error.code;
    now.results_up = !work->results_error.code;
    now.uptime_seconds = (double)(clock_monotonic_ms() - self->started_ms) / 1000.0;
    return now;
}

/* The stores have said how they are: health, or numbers. */
static void reply_health(shell_t *self, const store_work_t *work)
{
    char *body = NULL;
    error_t error = ERROR_INIT;
    metrics_now_t now = now_of(self, work);
    if (work->verb == VERB_METRICS)
        metrics_text(&self->metrics, &now, &body, &error);
    else
        status_info(self, &work->error, &work->results_error, &body, &error);
    reply(self, &work->peer, work->request_id, body, &error);
    free(body);
}

void shell_answer(shell_t *self, uint64_t request, const char *job_id, const error_t *error)
{
    waiting_client_t client;
    if (!take_waiting(self, request, &client))
        return;
    if (client.verb == VERB_SUBMIT && !error->code)
        self->metrics.jobs_submitted++;
    if (error->code)
        reply(self, &client.peer, client.request_id, NULL, error);
    else
        answer_status(self, job_id, &client.peer, client.request_id);
    job_record_t *record = job_book_find(&self->jobs, job_id);
    if (error->code && client.verb == VERB_SUBMIT && record && !record->durable)
        job_book_remove(&self->jobs, record); /* refused: it never was */
}

/* ---- submit ---- */

/* A key may come again with the same job only. as_of counts when the request gave it. */
sha256_t shell_asked(const job_spec_t *spec)
{
    const sha256_t identity = job_spec_identity(spec);
    uint8_t bytes[sizeof identity.bytes + 4 * sizeof(int64_t)];
    const int64_t rest[] = {spec->include_metadata, spec->quality, spec->priority,
                            spec->retention_days};
    memcpy(bytes, identity.bytes, sizeof identity.bytes);
    memcpy(bytes + sizeof identity.bytes, rest, sizeof rest);
    return sha256_of(bytes, sizeof bytes);
}

static int same_job(const job_spec_t *asked, const job_record_t *kept)
{
    sha256_t sum = shell_asked(asked);
    return sha256_equal(&sum, &kept->asked) &&
           (asked->as_of_ms == TIME_NONE || asked->as_of_ms == kept->spec.as_of_ms);
}

/* A key that is known: the job that has it is the answer, or why it is none. */
static void answer_by_key(shell_t *self, const net_peer_t *peer, const client_request_t *request,
                          const job_spec_t *spec, const job_record_t *record, error_t *error)
{
    if (!record->durable)
        error_set(error, ERR_UNAVAILABLE,
                  "a job with this idempotency key is being saved; ask again");
    else if (!same_job(spec, record))
        error_field(error, ERR_CONFLICT, "idempotency_key",
                    "this idempotency key belongs to job %s, which asks for something else",
                    record->job_id);
    else
        answer_status(self, record->job_id, peer, request->request_id);
}

/* The record takes the spec over. */
static int new_record(shell_t *self, const client_request_t *request, job_spec_t *spec,
                      job_record_t **out, error_t *error)
{
    char job_id[JOB_ID_SIZE];
    char *spec_json = NULL;
    int64_t now_ms = clock_wall_ms();
    if (spec->as_of_ms == TIME_NONE)
        spec->as_of_ms = now_ms - now_ms % 1000;
    int code = job_spec_to_json(spec, &spec_json, error);
    if (!code)
        code = job_book_new_id(&self->jobs, now_ms, job_id, error);
    if (code) {
        free(spec_json);
        return code;
    }
    job_record_t *record = job_book_add(&self->jobs, job_id);
    if (!record) {
        free(spec_json);
        return error_set(error, ERR_MEMORY, "no memory for another job");
    }
    memcpy(record->idempotency_key, request->idempotency_key, sizeof record->idempotency_key);
    record->submitted_ms = now_ms;
    record->changed_ms = now_ms;
    record->spec_json = spec_json;
    record->asked = shell_asked(spec);
    record->spec = *spec;
    memset(spec, 0, sizeof *spec);
    *out = record;
    return OK;
}

static void submit(shell_t *self, const net_peer_t *peer, const client_request_t *request,
                   const job_record_t *record)
{
    core_event_t event = {.kind = CORE_EVENT_SUBMIT,
                          .priority = record->spec.priority,
                          .request = wait_for(self, peer, request)};
    memcpy(event.job_id, record->job_id, sizeof event.job_id);
    log_event(self->log, LOG_INFO, "job_submitted", LOG_TEXT("job_id", record->job_id),
              LOG_TEXT("embedding_type", level_plural(record->spec.level)),
              LOG_TEXT("algorithm", algorithm_name(record->spec.algorithm)));
    shell_feed(self, &event);
}

static void submit_new(shell_t *self, const net_peer_t *peer, const client_request_t *request,
                       job_spec_t *spec, error_t *error)
{
    job_record_t *record = NULL;
    if (!new_record(self, request, spec, &record, error))
        submit(self, peer, request, record);
}

/* The ledger knows no job of this key, or this one; what came with the same key meanwhile is in the
 * book. A row of a job that nobody knows is of one that was refused: its save will say so again. */
static void answer_submit(shell_t *self, store_work_t *work)
{
    client_request_t asked = {.request_id = work->request_id, .verb = VERB_SUBMIT};
    job_spec_t spec;
    job_record_t kept = {.durable = 0};
    error_t error = ERROR_INIT;
    int found = !work->error.code &&
                (job_state_ended(work->row.state) || core_knows(self->core, work->row.job_id));
    memcpy(asked.idempotency_key, work->row.idempotency_key, sizeof asked.idempotency_key);
    if (work->error.code && work->error.code != ERR_NOT_FOUND) {
        reply(self, &work->peer, work->request_id, NULL, &work->error);
        return;
    }
    int code = job_spec_from_json(work->body, work->body_length, &spec, &error);
    const job_record_t *living = job_book_find_key(&self->jobs, asked.idempotency_key);
    if (!code && living)
        answer_by_key(self, &work->peer, &asked, &spec, living, &error);
    else if (!code && found && !shell_record_of_row(&work->row, &kept, &error))
        answer_by_key(self, &work->peer, &asked, &spec, &kept, &error);
    else if (!code && !found)
        submit_new(self, &work->peer, &asked, &spec, &error);
    if (error.code)
        reply(self, &work->peer, work->request_id, NULL, &error);
    job_spec_clear(&kept.spec);
    job_spec_clear(&spec);
}

/* A key that no living job has may be one of the ledger's. */
static void ask_for_key(shell_t *self, const net_peer_t *peer, const client_request_t *request,
                        error_t *error)
{
    char *body = strndup(request->body ? request->body : "", request->body_length);
    if (!body) {
        error_set(error, ERR_MEMORY, "no memory for another job");
        return;
    }
    store_work_t *work = store_work_new(STORE_FIND, "");
    memcpy(work->row.idempotency_key, request->idempotency_key, sizeof work->row.idempotency_key);
    work->body_length = request->body_length;
    work->body = body;
    shell_ask_for(self, work, peer, request->request_id);
}

/* 1 when the answer was given, or comes later from reader or core: as all of these. */
static int on_submit(shell_t *self, const net_peer_t *peer, const client_request_t *request,
                     char **body, error_t *error)
{
    job_spec_t spec;
    (void)body;
    if (job_spec_from_json(request->body ? request->body : "", request->body_length, &spec, error))
        return 0;
    const job_record_t *known = job_book_find_key(&self->jobs, request->idempotency_key);
    if (known)
        answer_by_key(self, peer, request, &spec, known, error);
    else if (request->idempotency_key[0])
        ask_for_key(self, peer, request, error);
    else
        submit_new(self, peer, request, &spec, error);
    job_spec_clear(&spec);
    return !error->code;
}

/* ---- questions that come back ---- */

static void reply_list(shell_t *self, const store_work_t *work)
{
    char *body = NULL;
    error_t error = work->error;
    if (!error.code)
        status_list_page(self, work, &body, &error);
    reply(self, &work->peer, work->request_id, body, &error);
    free(body);
}

/* It may have ended, and been forgotten, after it was read. */
static int is_out_of_date(const shell_t *self, const store_work_t *work)
{
    int gone = 0;
    if (work->error.code)
        return 0;
    if (work->row.job_id[0])
        gone = !job_state_ended(work->row.state) && !core_knows(self->core, work->row.job_id);
    for (size_t i = 0; !gone && i < work->page_count; i++)
        gone =
            !job_state_ended(work->page[i].state) && !core_knows(self->core, work->page[i].job_id);
    return gone;
}

void shell_read(shell_t *self, store_work_t **out)
{
    store_work_t *work = *out;
    if (is_out_of_date(self, work) && shell_ask_again(self, work)) {
        *out = NULL;
        return;
    }
    self->reading--;
    if (work->kind == STORE_PING)
        reply_health(self, work);
    else if (work->kind == STORE_LIST)
        reply_list(self, work);
    else if (work->kind == STORE_FIND)
        answer_submit(self, work);
    else if (work->error.code)
        reply(self, &work->peer, work->request_id, NULL, &work->error);
    else
        reply_status(self, work->action.job_id, &work->row, &work->peer, work->request_id);
}

/* ---- the other verbs ---- */

static int on_control(shell_t *self, const net_peer_t *peer, const client_request_t *request,
                      char **body, error_t *error)
{
    (void)body;
    (void)error;
    core_event_t event = {.kind = CORE_EVENT_CONTROL,
                          .verb = request->verb,
                          .request = wait_for(self, peer, request)};
    memcpy(event.job_id, request->job_id, sizeof event.job_id);
    log_event(self->log, LOG_INFO, "job_control", LOG_TEXT("job_id", request->job_id),
              LOG_TEXT("verb", client_verb_name(request->verb)));
    shell_feed_or_recall(self, &event);
    return 1;
}

static int on_status(shell_t *self, const net_peer_t *peer, const client_request_t *request,
                     char **body, error_t *error)
{
    (void)body;
    (void)error;
    answer_status(self, request->job_id, peer, request->request_id);
    return 1;
}

static int on_list(shell_t *self, const net_peer_t *peer, const client_request_t *request,
                   char **body, error_t *error)
{
    store_work_t *work = store_work_new(STORE_LIST, "");
    int code = status_list_read(request->body, request->body_length, work, error);
    int later = !code && (work->query.state < 0 || job_state_ended((job_state_t)work->query.state));
    if (later) {
        shell_ask_for(self, work, peer, request->request_id);
        return 1;
    }
    if (!code)
        status_list_page(self, work, body, error);
    store_work_destroy(&work);
    return 0;
}

static int on_health(shell_t *self, const net_peer_t *peer, const client_request_t *request,
                     char **body, error_t *error)
{
    store_work_t *work = store_work_new(STORE_PING, "");
    (void)body;
    (void)error;
    work->verb = request->verb;
    shell_ask_for(self, work, peer, request->request_id);
    return 1;
}

static void serve(shell_t *self, const net_peer_t *peer, const client_request_t *request)
{
    static int (*const HANDLERS[CLIENT_VERB_COUNT])(
        shell_t *, const net_peer_t *, const client_request_t *, char **, error_t *) = {
        [VERB_SUBMIT] = on_submit, [VERB_STATUS] = on_status,  [VERB_LIST] = on_list,
        [VERB_PAUSE] = on_control, [VERB_RESUME] = on_control, [VERB_CANCEL] = on_control,
        [VERB_RETRY] = on_control, [VERB_INFO] = on_health,    [VERB_METRICS] = on_health,
    };
    char *body = NULL;
    error_t error = ERROR_INIT;
    int later = 0;
    if (self->waiting_count + self->reading >= WAITING_LIMIT)
        error_set(&error, ERR_BUSY, "%d requests wait already; try later", WAITING_LIMIT);
    else
        later = HANDLERS[request->verb](self, peer, request, &body, &error);
    if (!later)
        reply(self, peer, request->request_id, body, &error);
    free(body);
}

void shell_read_clients(shell_t *self)
{
    net_message_t frames;
    for (int i = 0; i < REQUESTS_A_TURN && net_receive(self->clients, &frames); i++) {
        client_request_t request = {.request_id = 0};
        error_t error = ERROR_INIT;
        if (client_request_decode(frames.frames[0].bytes, frames.frames[0].length, &request,
                                  &error)) {
            log_event(self->log, LOG_WARNING, "request_dropped", LOG_TEXT("error", error.message));
            reply(self, &frames.from, request.request_id, NULL, &error);
        } else {
            serve(self, &frames.from, &request);
        }
        net_message_clear(&frames);
    }
}
