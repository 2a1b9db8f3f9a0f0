/* run.c - `stage4 run`: one job in one process, by the same coordinator and workers as the cluster.
 *
 * The coordinator's state is a scratch folder beside the output, or with --state a folder that
 * stays. There the job is known by a key made of everything that decides its output: the same
 * command finds it again, unfinished or finished. */
#include "cli/cli.h"

#include "cli/embedded.h"
#include "cli/gateway_call.h"
#include "cli/job_options.h"
#include "cli/job_view.h"
#include "cli/progress.h"
#include "cli/run_key.h"
#include "cli/scratch.h"
#include "cli/summary.h"
#include "cli/target.h"
#include "common/clock.h"
#include "coordinator/status.h"
#include "gateway/coordinator_client.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* How often a job is asked after: what a run takes longer for it is a fiftieth of the run at most. */
#define POLL_MIN_MS 4
#define POLL_MAX_MS 200
#define POLL_SHARE 50
#define POLL_SHARE_WRITING 10
#define ANSWER_MS 2000
#define SILENCE_MS 60000 /* a coordinator or a save that is stuck for so long is lost */
#define ATTEMPT_LIMIT 1000
#define SAVE_PATIENCE_MS 15000 /* a store that is away for so long does not come back */

/* What a job gives beside its clusters, by the option and the report's key. */
static const struct {
    const char *name;
    algorithm_t algorithm; /* that gives it */
} SIDES[] = {{"dendrogram", ALGORITHM_AGGLOMERATIVE}, {"pairs", ALGORITHM_PAIRS}};
#define SIDE_COUNT (sizeof SIDES / sizeof *SIDES)

typedef struct {
    const cli_t *cli;
    const char *output;
    const char *report;           /* NULL none */
    const char *side[SIDE_COUNT]; /* NULL none */
    job_spec_t spec;
    char *spec_json;
    scratch_t *scratch; /* NULL: --state is given */
    char *state_folder;
    char *output_folder;
    log_t *log;
    embedded_t *embedded;
    coordinator_client_t *client;
    json_t *status;
} run_t;

/* ---- before ---- */

/* Written over, an input would be lost. */
static int check_not_input(const run_t *self, const char *option, const char *path, error_t *error)
{
    static const char *const SUFFIXES[] = {".index", "_metadata.json"};
    const char *folder = config_text(self->cli->config, "indices");
    for (int i = 0; i < 2 * LEVEL_COUNT; i++) {
        char input[4096];
        snprintf(input, sizeof input, "%s/%s%s", folder, level_plural(i / 2), SUFFIXES[i % 2]);
        if (target_same(path, input))
            return error_field(error, ERR_USAGE, option,
                               "option --%s: %s is an input; give another name", option, path);
    }
    return OK;
}

static int check_side(const run_t *self, size_t i, error_t *error)
{
    const char *name = SIDES[i].name, *path = self->side[i];
    if (self->spec.algorithm != SIDES[i].algorithm)
        return error_field(error, ERR_USAGE, name, "option --%s: jobs of the algorithm %s have one",
                           name, algorithm_name(SIDES[i].algorithm));
    int code = target_check(name, path, error);
    if (!code)
        code = check_not_input(self, name, path, error);
    if (!code &&
        (target_same(self->output, path) || (self->report && target_same(self->report, path))))
        code = error_field(error, ERR_USAGE, name,
                           "option --%s: %s is the output or the report already; give another "
                           "name",
                           name, path);
    return code;
}

static int check_names(const run_t *self, error_t *error)
{
    int code = check_not_input(self, "output", self->output, error);
    if (!code && self->report)
        code = check_not_input(self, "report", self->report, error);
    if (!code && self->report && target_same(self->output, self->report))
        code = error_field(error, ERR_USAGE, "report",
                           "option --report: %s is the output already; give another name",
                           self->report);
    for (size_t i = 0; i < SIDE_COUNT && !code; i++)
        code = self->side[i] ? check_side(self, i, error) : OK;
    return code;
}

static int check_options(run_t *self, error_t *error)
{
    const config_t *config = self->cli->config;
    self->output = config_text(config, "output");
    self->report = config_text(config, "report");
    for (size_t i = 0; i < SIDE_COUNT; i++)
        self->side[i] = config_text(config, SIDES[i].name);
    int code = job_options_read(config, &self->spec, error);
    if (!code)
        code = job_spec_to_json(&self->spec, &self->spec_json, error);
    if (!code && !self->output)
        code = error_field(error, ERR_USAGE, "output",
                           "option --output is missing: the file that the clusters go to");
    if (!code)
        code = target_check("output", self->output, error);
    if (!code && self->report)
        code = target_check("report", self->report, error);
    return code ? code : check_names(self, error);
}

static int make_log(run_t *self, error_t *error)
{
    const config_t *config = self->cli->config;
    const char *name =
        config_given(config, "log_level") ? config_text(config, "log_level") : "error";
    log_level_t level;
    if (!log_level_parse(name, &level))
        return error_field(error, ERR_USAGE, "log_level",
                           "log_level: '%s' is not debug, info, warning, error or off", name);
    self->log = log_new(self->cli->notes, level, "stage4");
    return self->log ? OK : error_set(error, ERR_MEMORY, "no memory for the log");
}

static int make_scratch(run_t *self, error_t *error)
{
    char *folder = target_folder(self->output);
    int code = folder ? scratch_new(folder, &self->scratch, error)
                      : error_set(error, ERR_MEMORY, "no memory for a path");
    free(folder);
    return code;
}

static int make_state(run_t *self, error_t *error)
{
    const char *folder = config_text(self->cli->config, "state");
    int code = folder ? OK : make_scratch(self, error);
    if (code)
        return code;
    if (!folder)
        folder = scratch_path(self->scratch);
    self->state_folder = strdup(folder);
    if (asprintf(&self->output_folder, "%s/output", folder) < 0)
        self->output_folder = NULL;
    return self->state_folder && self->output_folder
               ? OK
               : error_set(error, ERR_MEMORY, "no memory for a path");
}

static int start(run_t *self, error_t *error)
{
    const config_t *config = self->cli->config;
    embedded_options_t options = {
        .indices_folder = config_text(config, "indices"),
        .state_folder = self->state_folder,
        .output_folder = self->output_folder,
        .scratch = self->scratch != NULL,
        .workers = (uint32_t)config_integer(config, "workers"),
        .threads = (uint32_t)config_integer(config, "threads"),
        .cache_bytes = (size_t)config_integer(config, "cache_mib") << 20,
        .vectors_bytes = (size_t)config_integer(config, "vectors_mib") << 20,
        .matrix_bytes = (uint64_t)config_integer(config, "matrix_mib") << 20,
        .memory_limit_mib = (uint64_t)config_integer(config, "memory_limit_mib"),
        .queue_limit = 1000,
        .running_limit = 1,
        .log = self->log,
    };
    int code = embedded_start(&options, &self->embedded, error);
    return code ? code
                : coordinator_client_new(embedded_client_endpoint(self->embedded), &self->client,
                                         error);
}

/* ---- the job ---- */

static int interrupted(const run_t *self, error_t *error)
{
    if (!atomic_load(self->cli->stop))
        return OK;
    if (self->scratch)
        return error_set(error, ERR_CANCELLED, "ended by a signal; nothing was written");
    return error_set(error, ERR_CANCELLED,
                     "ended by a signal; the same command goes on with what is in %s",
                     self->state_folder);
}

/* Asks until there is an answer, a signal, or a part of us has ended. */
static int ask(run_t *self, client_verb_t verb, const char *job_id, const char *key,
               const char *body, error_t *error)
{
    int64_t give_up_ms = clock_monotonic_ms() + SILENCE_MS;
    for (;;) {
        char *answer = NULL;
        error_t cause = ERROR_INIT;
        int code = coordinator_client_call(self->client, verb, job_id, key, body,
                                           body ? strlen(body) : 0, ANSWER_MS, &answer, &cause);
        if (code == OK) {
            json_decref(self->status);
            self->status = json_loads(answer, 0, NULL);
            free(answer);
            return self->status ? OK : error_set(error, ERR_PROTOCOL, "an answer is no JSON");
        }
        int ended = embedded_check(self->embedded, error);
        if (!ended)
            ended = interrupted(self, error);
        if (ended)
            return ended;
        if (code != ERR_UNAVAILABLE || clock_monotonic_ms() > give_up_ms) {
            *error = cause;
            return code;
        }
        poll(NULL, 0, 20);
    }
}

/* The path of the file that the job's report names there; NULL when there is none. */
static char *result_path(const run_t *self, const char *key)
{
    const json_t *report = json_object_get(self->status, "report");
    const char *name = json_string_value(json_object_get(json_object_get(report, key), "name"));
    char *path = NULL;
    return name && asprintf(&path, "%s/%s", self->output_folder, name) >= 0 ? path : NULL;
}

/* Found in the state folder, ended, and of no use: it failed, or its file is gone. */
static int is_spent(const run_t *self)
{
    job_view_t job = job_view(self->status);
    if (!job_view_ended(&job))
        return 0;
    char *path = result_path(self, "output");
    int there = !strcmp(job.state, "completed") && path && access(path, R_OK) == 0;
    free(path);
    return !there;
}

/* The key's number grows past the attempts that came to nothing. */
static int submit(run_t *self, error_t *error)
{
    char base[65];
    char key[80];
    run_key(config_text(self->cli->config, "indices"), self->spec.level, self->spec_json,
            self->output, base);
    for (int attempt = 0; attempt < ATTEMPT_LIMIT; attempt++) {
        snprintf(key, sizeof key, "%s-%d", base, attempt);
        int code = ask(self, VERB_SUBMIT, NULL, key, self->spec_json, error);
        if (code || self->scratch || !is_spent(self))
            return code;
    }
    return error_field(error, ERR_CONFLICT, "state",
                       "%s holds %d attempts at this job that failed; use another folder",
                       self->state_folder, ATTEMPT_LIMIT);
}

/* What follows `how` in what the job waits for; NULL when it does not begin so. */
static const char *after(const job_view_t *job, const char *how)
{
    size_t length = strlen(how);
    return strncmp(job->waiting_for, how, length) ? NULL : job->waiting_for + length;
}

/* The coordinator tries a save again for ever, and waits for ever for one that does not come back, as
 * somebody may make room or mend the disk; a run has nobody. */
static int check_saves(const run_t *self, const job_view_t *job, int64_t *failing_since_ms,
                       error_t *error)
{
    int64_t now_ms = clock_monotonic_ms();
    const char *fails = after(job, STATUS_SAVE_FAILED);
    const char *hangs = after(job, STATUS_SAVE_HANGS);
    if (!fails && !hangs)
        *failing_since_ms = now_ms;
    if (now_ms - *failing_since_ms < (fails ? SAVE_PATIENCE_MS : SILENCE_MS))
        return OK;
    return error_set(error, ERR_IO, "the job cannot be saved in %s: %s", self->state_folder,
                     fails ? fails : hangs);
}

/* The end is waited for more closely: it follows the writing, which is short. */
static int pause_ms(const progress_t *progress, const job_view_t *job)
{
    int64_t now_ms = clock_monotonic_ms();
    int64_t pause = strcmp(job->state, "writing")
                        ? (now_ms - progress->started_ms) / POLL_SHARE
                        : (now_ms - progress->phase_ms) / POLL_SHARE_WRITING;
    return pause < POLL_MIN_MS ? POLL_MIN_MS : pause > POLL_MAX_MS ? POLL_MAX_MS : (int)pause;
}

static int follow(run_t *self, error_t *error)
{
    progress_t progress;
    int64_t failing_since_ms = clock_monotonic_ms();
    char job_id[JOB_ID_SIZE];
    int code = OK;
    snprintf(job_id, sizeof job_id, "%s", text_of(self->status, "job_id"));
    progress_begin(&progress, self->cli->notes, clock_monotonic_ms());
    for (;;) {
        job_view_t job = job_view(self->status);
        progress_show(&progress, &job, clock_monotonic_ms());
        if (job_view_ended(&job))
            break;
        poll(NULL, 0, pause_ms(&progress, &job));
        if ((code = interrupted(self, error)) ||
            (code = check_saves(self, &job, &failing_since_ms, error)) ||
            (code = embedded_check(self->embedded, error)) ||
            (code = ask(self, VERB_STATUS, job_id, NULL, NULL, error)))
            break;
    }
    progress_end(&progress);
    return code ? code : job_view_error(self->status, error);
}

/* ---- after ---- */

/* The kept state keeps its file, so that the same command can give it again. */
static int publish_file(const run_t *self, const char *key, const char *target, error_t *error)
{
    char *path = result_path(self, key);
    if (!path)
        return error_set(error, ERR_INTERNAL, "the report of the finished job names no %s", key);
    int code = self->scratch ? target_move(target, path, error) : target_copy(target, path, error);
    free(path);
    return code;
}

static int publish(run_t *self, error_t *error)
{
    char *text = NULL;
    int code = OK;
    if (self->report) {
        text = json_dumps(json_object_get(self->status, "report"), JSON_INDENT(2) | JSON_SORT_KEYS);
        code = text ? target_write(self->report, text, strlen(text), error)
                    : error_set(error, ERR_MEMORY, "no memory for the report");
    }
    for (size_t i = 0; i < SIDE_COUNT && !code; i++)
        code = self->side[i] ? publish_file(self, SIDES[i].name, self->side[i], error) : OK;
    if (!code)
        code = publish_file(self, "output", self->output, error);
    free(text);
    return code;
}

static void tell(const run_t *self)
{
    const json_t *report = json_object_get(self->status, "report");
    if (!config_switch(self->cli->config, "json")) {
        summary_print(report, self->output, self->cli->out);
        return;
    }
    json_t *answer = json_copy(self->status);
    json_object_set_new(answer, "output", json_string(self->output));
    print_json(answer, self->cli->out);
    json_decref(answer);
}

static void clear(run_t *self)
{
    coordinator_client_destroy(&self->client);
    embedded_stop(&self->embedded);
    scratch_destroy(&self->scratch);
    log_destroy(&self->log);
    job_spec_clear(&self->spec);
    json_decref(self->status);
    free(self->spec_json);
    free(self->state_folder);
    free(self->output_folder);
}

int cli_run(const cli_t *cli, error_t *error)
{
    run_t self = {.cli = cli};
    int code = check_options(&self, error);
    if (!code)
        code = make_log(&self, error);
    if (!code)
        code = make_state(&self, error);
    if (!code)
        code = start(&self, error);
    if (!code)
        code = submit(&self, error);
    if (!code)
        code = follow(&self, error);
    if (!code)
        code = publish(&self, error);
    if (!code)
        tell(&self);
    clear(&self);
    return code;
}
