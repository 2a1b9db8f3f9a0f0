#include "coordinator/status.h"

#include "common/clock.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where a kind of stage lies in the whole of a job, as a rough share of the time: for the one bar
 * that a person looks at. Stages of a kind that repeats share its span, each half of what is left.
 */
static const struct {
    double begin, end;
} SPANS[TASK_KIND_COUNT] = {
    [TASK_KNN] = {0.08, 0.70},        [TASK_REACH] = {0.70, 0.92},
    [TASK_SEED] = {0.05, 0.10},       [TASK_ASSIGN] = {0.10, 0.92},
    [TASK_SUMMARISE] = {0.95, 0.97},  [TASK_ROTATE] = {0.01, 0.02},
    [TASK_ENCODE] = {0.02, 0.05},     [TASK_LINKAGE] = {0.05, 0.92},
    [TASK_PAIRS] = {0.05, 0.92},      [TASK_NEAR] = {0.05, 0.08},
    [TASK_VERIFY] = {0.75, 0.92},     [TASK_DENSITY] = {0.93, 0.94},
    [TASK_SEPARATION] = {0.94, 0.95}, [TASK_SILHOUETTE] = {0.92, 0.93},
};

/* Whatever jansson refuses (text that is no UTF-8) becomes null rather than a broken answer. */
static void set(json_t *object, const char *key, json_t *value)
{
    json_object_set_new(object, key, value ? value : json_null());
}

static json_t *time_text(int64_t time_ms)
{
    char text[32];
    if (time_ms == TIME_NONE || time_ms == 0)
        return json_null();
    time_format(time_ms, text);
    return json_string(text);
}

static json_t *error_object(const error_t *error)
{
    if (!error->code)
        return json_null();
    json_t *object = json_object();
    set(object, "code", json_string(error_name(error->code)));
    set(object, "message", json_string(error->message));
    set(object, "field", error->field[0] ? json_string(error->field) : json_null());
    return object;
}

static json_t *parsed(const char *text)
{
    return text ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : json_null();
}

static int finish(json_t *object, char **json, error_t *error)
{
    *json = json_dumps(object, STATUS_DUMP);
    json_decref(object);
    return *json ? OK : error_set(error, ERR_MEMORY, "no memory for an answer");
}

/* ---- progress ---- */

static uint64_t work_done(const job_record_t *record)
{
    uint64_t done = 0;
    for (uint32_t task = 0; task < record->stage.task_count; task++)
        done += record->progress[task];
    return done;
}

static double share(uint64_t part, uint64_t whole)
{
    return whole ? (double)part / (double)whole : 0.0;
}

static double overall(const job_record_t *record, uint64_t done)
{
    if (record->state == JOB_COMPLETED)
        return 1.0;
    if (record->state == JOB_WRITING)
        return 0.97;
    if (!record->stage.task_count)
        return record->state == JOB_QUEUED ? 0.0 : 0.01;
    task_kind_t kind = record->stage.kind;
    double left = SPANS[kind].end - SPANS[kind].begin;
    double begin = SPANS[kind].begin;
    uint32_t repeats = kind == TASK_REACH || kind == TASK_ASSIGN ? record->stage_number : 0;
    for (uint32_t i = 1; i < repeats && i < 30; i++) {
        begin += left / 2;
        left /= 2;
    }
    return begin + (repeats ? left / 2 : left) * share(done, record->work_total);
}

/* Of the present stage, by the pace since it began; null while nothing can be said. */
static json_t *eta(const job_record_t *record, uint64_t done)
{
    double elapsed = (double)(clock_monotonic_ms() - record->stage_started_ms) / 1000.0;
    if (record->state != JOB_RUNNING || elapsed < 1.0 || done <= record->work_at_start)
        return json_null();
    double pace = (double)(done - record->work_at_start) / elapsed;
    return json_real((double)(record->work_total - done) / pace);
}

static double mebibytes(uint64_t bytes) { return (double)bytes / (1 << 20); }

/* Which of the places that saves go to keeps them waiting. */
static const char *place_words(const shell_t *shell)
{
    if (store_thread_place(shell->saver) == STORE_AT_SPOOL)
        return "the disk of the spool";
    return strcmp(shell->ledger_options.kind, "redis") ? "the disk of the ledger" : "Redis";
}

/* Of a save that has failed, or not come back: "...; 3 tasks hold". 0: there is none. */
static int save_words(const shell_t *shell, const job_record_t *record, const core_job_view_t *view,
                      char *out, size_t size)
{
    char why[400];
    char tasks[40] = "";
    int64_t since_ms = record->saves ? clock_monotonic_ms() - record->save_since_ms : 0;
    if (view->results_waiting)
        snprintf(tasks, sizeof tasks, "; %u task%s", view->results_waiting,
                 view->results_waiting == 1 ? " holds" : "s hold");
    if (view->saving_failed) {
        if (!job_story_waits(&record->story, clock_wall_ms(), why, sizeof why))
            snprintf(why, sizeof why, "%s", view->error.message);
        snprintf(out, size, STATUS_SAVE_FAILED "%s%s", why, tasks);
    } else if (since_ms >= STORY_PATIENCE_MS)
        snprintf(out, size, STATUS_SAVE_HANGS "%s has not answered for %lld s%s",
                 place_words(shell), (long long)(since_ms / 1000), tasks);
    else
        return 0;
    return 1;
}

static json_t *waiting_for(const shell_t *shell, const job_record_t *record,
                           const core_job_view_t *view)
{
    char text[900];
    if (save_words(shell, record, view, text, sizeof text))
        return json_string(text);
    if (view->waits_for_memory) {
        snprintf(text, sizeof text, "memory: needs %.1f MiB, %.1f of %.1f MiB are in use",
                 mebibytes(view->memory_need), mebibytes(view->memory_in_use),
                 mebibytes(shell->options->memory.limit));
        return json_string(text);
    }
    if (view->waits_for_turn)
        return json_string("its turn: as many jobs as may run at once are running");
    if (view->state == JOB_RUNNING && !core_worker_count(shell->core))
        return json_string("no worker is connected");
    return json_null();
}

/* ---- one job ---- */

/* What a user may ask for now. */
static json_t *actions_of(job_state_t state)
{
    json_t *list = json_array();
    for (int move = 0; move < JOB_MOVE_COUNT; move++)
        if (job_state_offers(state, (job_move_t)move))
            json_array_append_new(list, json_string(job_move_name((job_move_t)move)));
    return list;
}

static void add_identity(json_t *object, const shell_t *shell, const job_record_t *record,
                         job_state_t state)
{
    set(object, "job_id", json_string(record->job_id));
    set(object, "state", json_string(job_state_name(state)));
    set(object, "state_words", json_string(job_state_words(state)));
    set(object, "actions", actions_of(state));
    set(object, "embedding_type", json_string(level_plural(record->spec.level)));
    set(object, "algorithm", json_string(algorithm_name(record->spec.algorithm)));
    set(object, "submitted_at", time_text(record->submitted_ms));
    set(object, "changed_at", time_text(record->changed_ms));
    set(object, "as_of", time_text(record->spec.as_of_ms));
    set(object, "expires_at", time_text(shell_expires_ms(shell, record)));
}

static void add_progress(json_t *object, const job_record_t *record)
{
    uint64_t done = work_done(record);
    int computing = record->stage.task_count > 0;
    set(object, "phase", record->phase[0] ? json_string(record->phase) : json_null());
    set(object, "stage", computing ? json_integer(record->stage_number) : json_null());
    set(object, "progress", json_real(overall(record, done)));
    set(object, "phase_progress",
        computing ? json_real(share(done, record->work_total)) : json_null());
    set(object, "work_done", json_integer((json_int_t)done));
    set(object, "work_total", json_integer((json_int_t)record->work_total));
    set(object, "eta_seconds", eta(record, done));
}

static void add_view(json_t *object, const shell_t *shell, const job_record_t *record,
                     const core_job_view_t *view)
{
    const job_story_t *story = &record->story;
    set(object, "tasks_done", json_integer(view->tasks_done));
    set(object, "tasks_total", json_integer(view->task_count));
    set(object, "tasks_in_flight", json_integer(view->tasks_in_flight));
    set(object, "workers", json_integer((json_int_t)core_worker_count(shell->core)));
    set(object, "retries", json_integer(story->retries + view->retries));
    set(object, "workers_lost", json_integer(story->workers_lost + view->workers_lost));
    set(object, "late_results", json_integer(story->late_results + view->late_results));
    set(object, "faults", job_story_list(story));
    set(object, "waiting_for", waiting_for(shell, record, view));
}

static int status_live(const shell_t *shell, const job_record_t *record,
                       const core_job_view_t *view, char **json, error_t *error)
{
    static const error_t NONE = ERROR_INIT;
    json_t *object = json_object();
    add_identity(object, shell, record, view->state);
    add_progress(object, record);
    add_view(object, shell, record, view);
    set(object, "error", error_object(view->saving_failed ? &NONE : &view->error));
    set(object, "report", json_null());
    set(object, "spec", parsed(record->spec_json));
    return finish(object, json, error);
}

/* What the report tells of the whole of a job's life counts more than what this process has seen. */
static void add_counts_of(json_t *object, const json_t *report)
{
    static const char *const KEYS[] = {"retries", "workers_lost", "late_results", "faults"};
    for (size_t i = 0; i < sizeof KEYS / sizeof *KEYS; i++) {
        json_t *value = json_object_get(report, KEYS[i]);
        if (value)
            json_object_set(object, KEYS[i], value);
    }
}

static int status_ended(shell_t *shell, const ledger_job_t *row, char **json, error_t *error)
{
    core_job_view_t view = {.state = row->state};
    job_record_t record;
    int code = shell_record_of_row(row, &record, error);
    if (code)
        return code;
    json_t *object = json_object();
    core_job(shell->core, row->job_id, &view);
    add_identity(object, shell, &record, row->state);
    add_progress(object, &record);
    add_view(object, shell, &record, &view);
    set(object, "waiting_for", json_null());
    set(object, "error", error_object(&row->error));
    json_t *report = parsed(row->report_json);
    add_counts_of(object, report);
    set(object, "report", report);
    set(object, "spec", parsed(row->spec_json));
    job_spec_clear(&record.spec);
    return finish(object, json, error);
}

int status_is_live(const shell_t *shell, const char *job_id)
{
    core_job_view_t view;
    return job_book_find(&shell->jobs, job_id) && core_job(shell->core, job_id, &view) &&
           !job_state_ended(view.state);
}

int status_job(shell_t *shell, const char *job_id, const ledger_job_t *row, char **json,
               error_t *error)
{
    core_job_view_t view;
    if (status_is_live(shell, job_id) && core_job(shell->core, job_id, &view))
        return status_live(shell, job_book_find(&shell->jobs, job_id), &view, json, error);
    if (row && job_state_ended(row->state))
        return status_ended(shell, row, json, error);
    return error_field(error, ERR_NOT_FOUND, "job_id", "there is no job %s", job_id);
}

json_t *status_entry(const shell_t *shell, const job_record_t *record, job_state_t state)
{
    json_t *object = json_object();
    add_identity(object, shell, record, state);
    set(object, "progress", json_real(overall(record, work_done(record))));
    return object;
}

/* ---- the report ---- */

static json_t *times_of(const job_record_t *record)
{
    json_t *list = json_array();
    for (size_t i = 0; i < record->time_count; i++) {
        json_t *entry = json_object();
        set(entry, "phase", json_string(record->times[i].name));
        set(entry, "seconds", json_real((double)record->times[i].ms / 1000.0));
        json_array_append_new(list, entry);
    }
    return list;
}

static int by_name(const void *a, const void *b) { return strcmp(a, b); }

static json_t *workers_of(const job_record_t *record)
{
    json_t *list = json_array();
    char(*names)[WORKER_NAME_SIZE] = calloc(record->worker_count + 1, sizeof *names);
    if (!names)
        return list;
    if (record->worker_count)
        memcpy(names, record->workers, record->worker_count * sizeof *names);
    qsort(names, record->worker_count, sizeof *names, by_name);
    for (size_t i = 0; i < record->worker_count; i++)
        json_array_append_new(list, json_string(names[i]));
    free(names);
    return list;
}

char *status_report(shell_t *shell, const job_record_t *record, job_state_t state)
{
    core_job_view_t view = {.state = state};
    json_t *report = record->report_json ? parsed(record->report_json) : NULL;
    if (!json_is_object(report)) {
        json_decref(report);
        report = json_object();
    }
    core_job(shell->core, record->job_id, &view);
    double seconds = (double)(clock_wall_ms() - record->submitted_ms) / 1000.0;
    set(report, "seconds", json_real(seconds > 0 ? seconds : 0));
    set(report, "times", times_of(record));
    set(report, "workers", workers_of(record));
    set(report, "retries", json_integer(record->story.retries + view.retries));
    set(report, "workers_lost", json_integer(record->story.workers_lost + view.workers_lost));
    set(report, "late_results", json_integer(record->story.late_results + view.late_results));
    set(report, "recovered", json_integer(record->recovered));
    set(report, "faults", job_story_list(&record->story));
    set(report, "faults_left_out", json_integer(record->story.left_out));
    char *text = json_dumps(report, STATUS_DUMP);
    json_decref(report);
    return text;
}

/* ---- the coordinator ---- */

static int by_handle(const void *a, const void *b)
{
    const worker_peer_t *x = a;
    const worker_peer_t *y = b;
    return (x->handle > y->handle) - (x->handle < y->handle);
}

static json_t *worker_object(const worker_peer_t *peer, size_t tasks_held, int64_t now_ms)
{
    json_t *object = json_object();
    set(object, "name", json_string(peer->name));
    set(object, "host", json_string(peer->host));
    set(object, "pid", json_integer(peer->pid));
    set(object, "version", json_string(peer->version));
    set(object, "threads", json_integer(peer->threads));
    set(object, "backend", json_string(peer->backend));
    set(object, "credit", json_integer(peer->credit));
    set(object, "tasks_held", json_integer((json_int_t)tasks_held));
    set(object, "tasks_done", json_integer((json_int_t)peer->tasks_done));
    set(object, "last_seen_seconds", json_real((double)(now_ms - peer->heard_ms) / 1000.0));
    return object;
}

/* In the order in which they came; the peers' array is in none. */
static json_t *workers_array(shell_t *shell)
{
    json_t *list = json_array();
    if (shell->peer_count)
        qsort(shell->peers, shell->peer_count, sizeof *shell->peers, by_handle);
    for (size_t i = 0; i < shell->peer_count; i++)
        json_array_append_new(list,
                              worker_object(&shell->peers[i],
                                            core_worker_leases(shell->core, shell->peers[i].handle),
                                            clock_monotonic_ms()));
    return list;
}

static json_t *health_of(const error_t *error)
{
    json_t *object = json_object();
    set(object, "status", json_string(error->code ? "unhealthy" : "healthy"));
    set(object, "error", error->code ? json_string(error->message) : json_null());
    return object;
}

int status_info(shell_t *shell, const error_t *ledger, const error_t *results, char **json,
                error_t *error)
{
    json_t *object = json_object();
    json_t *jobs = json_object();
    json_t *stores = json_object();
    for (int state = 0; state < JOB_STATE_COUNT; state++)
        set(jobs, job_state_name((job_state_t)state),
            json_integer((json_int_t)core_job_count(shell->core, (job_state_t)state)));
    set(stores, "ledger", health_of(ledger));
    set(stores, "results", health_of(results));
    set(object, "status", json_string(ledger->code || results->code ? "degraded" : "healthy"));
    set(object, "version", json_string(STAGE4_VERSION));
    set(object, "started_at", time_text(shell->started_wall_ms));
    set(object, "uptime_seconds",
        json_real((double)(clock_monotonic_ms() - shell->started_ms) / 1000.0));
    set(object, "client_endpoint", json_string(net_socket_endpoint(shell->clients)));
    set(object, "worker_endpoint", json_string(net_socket_endpoint(shell->workers)));
    set(object, "stores", stores);
    set(object, "jobs", jobs);
    set(object, "workers", workers_array(shell));
    return finish(object, json, error);
}
