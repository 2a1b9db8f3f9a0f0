#include "coordinator/metrics.h"

#include <stdio.h>
#include <stdlib.h>

#define STAGE "4" /* of the pipeline that this service is a part of */
#define LABELS_SIZE 128

void metrics_job_ended(metrics_t *self, const job_spec_t *spec, job_state_t state, double seconds)
{
    self->ended[spec->algorithm][state]++;
    if (state == JOB_COMPLETED)
        histogram_add(&self->durations[spec->level], seconds);
}

static void tell_ended(const metrics_t *self, FILE *out)
{
    static const char NAME[] = "clustering_jobs_total";
    static const job_state_t ENDS[] = {JOB_COMPLETED, JOB_FAILED, JOB_CANCELLED};
    char labels[LABELS_SIZE];
    exposition_family(out, NAME, "counter", "Jobs that have ended, by how.");
    for (int algorithm = 0; algorithm < ALGORITHM_COUNT; algorithm++) {
        for (size_t i = 0; i < sizeof ENDS / sizeof *ENDS; i++) {
            snprintf(labels, sizeof labels, "stage=\"" STAGE "\",algorithm=\"%s\",status=\"%s\"",
                     algorithm_name((algorithm_t)algorithm), job_state_name(ENDS[i]));
            exposition_value(out, NAME, labels, (double)self->ended[algorithm][ENDS[i]]);
        }
    }
}

static void tell_durations(const metrics_t *self, FILE *out)
{
    static const char NAME[] = "clustering_duration_seconds";
    char labels[LABELS_SIZE];
    exposition_family(out, NAME, "histogram",
                      "From the submission of a job to its clusters, of completed jobs.");
    for (int level = 0; level < LEVEL_COUNT; level++) {
        snprintf(labels, sizeof labels, "stage=\"" STAGE "\",embedding_type=\"%s\"",
                 level_plural((level_t)level));
        exposition_histogram(out, NAME, labels, &self->durations[level]);
    }
}

static void tell_states(const metrics_now_t *now, FILE *out)
{
    static const char NAME[] = "clustering_jobs";
    char labels[LABELS_SIZE];
    exposition_family(out, NAME, "gauge", "Jobs that the coordinator knows, by state.");
    for (int state = 0; state < JOB_STATE_COUNT; state++) {
        snprintf(labels, sizeof labels, "state=\"%s\"", job_state_name((job_state_t)state));
        exposition_value(out, NAME, labels, (double)now->jobs[state]);
    }
}

static void tell_now(const metrics_now_t *now, FILE *out)
{
    tell_states(now, out);
    exposition_single(
        out, "clustering_jobs_in_memory", "gauge",
        "Jobs that have not ended, or are being cleaned up; others are in the ledger alone.",
        (double)now->in_memory);
    exposition_single(out, "clustering_workers", "gauge", "Workers connected.",
                      (double)now->workers);
    exposition_single(out, "clustering_worker_threads", "gauge", "Threads of those workers.",
                      (double)now->worker_threads);
    exposition_single(out, "clustering_tasks_held", "gauge", "Tasks that workers hold.",
                      (double)now->tasks_held);
    exposition_family(out, "clustering_store_up", "gauge", "1: the store answers.");
    exposition_value(out, "clustering_store_up", "store=\"ledger\"", now->ledger_up);
    exposition_value(out, "clustering_store_up", "store=\"results\"", now->results_up);
    exposition_single(out, "clustering_coordinator_uptime_seconds", "gauge",
                      "Since the coordinator began.", now->uptime_seconds);
}

int metrics_text(const metrics_t *self, const metrics_now_t *now, char **text, error_t *error)
{
    size_t length = 0;
    FILE *out = open_memstream(text, &length);
    if (!out)
        return error_set(error, ERR_MEMORY, "no memory for the metrics");
    tell_ended(self, out);
    tell_durations(self, out);
#define X(member, name, help) exposition_single(out, name, "counter", help, (double)self->member);
    METRICS_COUNTERS(X)
#undef X
    tell_now(now, out);
    exposition_process(out, "clustering_coordinator");
    if (fclose(out)) {
        free(*text);
        *text = NULL;
        return error_set(error, ERR_MEMORY, "no memory for the metrics");
    }
    return OK;
}
