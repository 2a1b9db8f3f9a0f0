/* jobs.c - `stage4 submit status pause resume cancel`: jobs at a gateway. */
#include "cli/cli.h"

#include "cli/gateway_call.h"
#include "cli/job_options.h"
#include "cli/job_view.h"
#include "cli/progress.h"
#include "cli/summary.h"
#include "cli/text_table.h"
#include "common/clock.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define POLL_MS 200

/* What befell the job and was survived. */
static void print_faults(const json_t *status, FILE *out)
{
    const json_t *faults = json_object_get(status, "faults");
    for (size_t i = 0; i < json_array_size(faults); i++) {
        const json_t *fault = json_array_get(faults, i);
        fprintf(out, "survived   %s  ", text_of(fault, "at"));
        text_print(text_of(fault, "words"), 0, out);
        fputc('\n', out);
    }
}

static int print_status(const cli_t *cli, const json_t *status)
{
    job_view_t job = job_view(status);
    error_t error = ERROR_INIT;
    if (config_switch(cli->config, "json")) {
        print_json(status, cli->out);
        return OK;
    }
    fprintf(cli->out, "job        %s\nstate      %s: %s\n", job.job_id, job.state,
            *job.waiting_for ? job.waiting_for : job.state_words);
    if (*job.phase)
        fprintf(cli->out, "phase      %s\n", job.phase);
    if (job.progress >= 0)
        fprintf(cli->out, "progress   %.0f %%\n", 100 * job.progress);
    fprintf(cli->out, "level      %s\nalgorithm  %s\nsubmitted  %s\n", job.level, job.algorithm,
            job.submitted_at);
    if (*text_of(status, "expires_at"))
        fprintf(cli->out, "expires    %s\n", text_of(status, "expires_at"));
    print_faults(status, cli->out);
    if (job_view_error(status, &error)) {
        fputs("error      ", cli->out);
        text_print(error.message, 0, cli->out);
        fputc('\n', cli->out);
    }
    if (job.report && !strcmp(job.state, "completed"))
        summary_print(job.report, NULL, cli->out);
    return OK;
}

static int list_jobs(const cli_t *cli, error_t *error)
{
    static const text_column_t COLUMNS[] = {{"job", 0, 0},   {"state", 0, 0},
                                            {"level", 0, 0}, {"algorithm", 0, 0},
                                            {"done", 1, 0},  {"submitted", 0, 0}};
    json_t *answer = NULL;
    json_t *status;
    size_t i;
    int code = gateway_call(cli, "GET", "/cluster/jobs", "", NULL, NULL, &answer, error);
    if (!code && config_switch(cli->config, "json"))
        print_json(answer, cli->out);
    else if (!code) {
        text_table_t *table = text_table_new(COLUMNS, 6);
        int sound = table != NULL;
        json_array_foreach(json_object_get(answer, "jobs"), i, status)
        {
            job_view_t job = job_view(status);
            char done[16];
            const char *cells[] = {job.job_id,    job.state, job.level,
                                   job.algorithm, done,      job.submitted_at};
            snprintf(done, sizeof done, "%.0f %%", 100 * job.progress);
            sound = sound && text_table_add(table, cells);
        }
        if (!sound)
            code = error_set(error, ERR_MEMORY, "no memory for a table");
        else if (text_table_rows(table))
            text_table_print(table, "", cli->out);
        else
            fputs("no jobs\n", cli->out);
        text_table_destroy(&table);
    }
    json_decref(answer);
    return code;
}

/* Asks, and prints the status that every one of these requests is answered with. */
static int about_job(const cli_t *cli, const char *method, const char *path, error_t *error)
{
    const char *const *words;
    json_t *status = NULL;
    config_positional(cli->config, &words);
    int code = gateway_call(cli, method, path, words[0], NULL, NULL, &status, error);
    if (!code)
        code = print_status(cli, status);
    json_decref(status);
    return code;
}

int cli_status(const cli_t *cli, error_t *error)
{
    const char *const *words;
    if (!config_positional(cli->config, &words))
        return list_jobs(cli, error);
    return about_job(cli, "GET", "/cluster/status/", error);
}

int cli_pause(const cli_t *cli, error_t *error)
{
    return about_job(cli, "POST", "/cluster/pause/", error);
}

int cli_resume(const cli_t *cli, error_t *error)
{
    return about_job(cli, "POST", "/cluster/resume/", error);
}

int cli_cancel(const cli_t *cli, error_t *error)
{
    return about_job(cli, "POST", "/cluster/cancel/", error);
}

int cli_retry(const cli_t *cli, error_t *error)
{
    return about_job(cli, "POST", "/cluster/retry/", error);
}

/* Follows the job to its end; *status is replaced by the last one. A job outlives who follows it.
 */
static int follow(const cli_t *cli, json_t **status, error_t *error)
{
    progress_t progress;
    char job_id[128];
    int code = OK;
    snprintf(job_id, sizeof job_id, "%s", text_of(*status, "job_id"));
    progress_begin(&progress, cli->notes, clock_monotonic_ms());
    for (;;) {
        job_view_t job = job_view(*status);
        progress_show(&progress, &job, clock_monotonic_ms());
        if (job_view_ended(&job))
            break;
        if (atomic_load(cli->stop)) {
            code = error_set(error, ERR_CANCELLED,
                             "no longer following %s, which goes on; "
                             "`stage4 cancel %s` ends it",
                             job_id, job_id);
            break;
        }
        poll(NULL, 0, POLL_MS);
        json_decref(*status);
        code = gateway_call(cli, "GET", "/cluster/status/", job_id, NULL, NULL, status, error);
        if (code)
            break;
    }
    progress_end(&progress);
    return code;
}

static int submit(const cli_t *cli, const char *body, error_t *error)
{
    json_t *status = NULL;
    int code = gateway_call(cli, "POST", "/cluster/batch", "", body,
                            config_text(cli->config, "idempotency_key"), &status, error);
    if (!code && config_switch(cli->config, "wait")) {
        code = follow(cli, &status, error);
        if (!code)
            print_status(cli, status);
        if (!code)
            code = job_view_error(status, error);
    } else if (!code && config_switch(cli->config, "json")) {
        print_json(status, cli->out);
    } else if (!code) {
        fprintf(cli->out, "%s\n%s/api/v1/cluster/status/%s\n", text_of(status, "job_id"),
                config_text(cli->config, "url"), text_of(status, "job_id"));
    }
    json_decref(status);
    return code;
}

int cli_submit(const cli_t *cli, error_t *error)
{
    job_spec_t spec;
    char *body = NULL;
    int code = job_options_read(cli->config, &spec, error);
    if (!code)
        code = job_spec_to_json(&spec, &body, error);
    if (!code)
        code = submit(cli, body, error);
    free(body);
    job_spec_clear(&spec);
    return code;
}
