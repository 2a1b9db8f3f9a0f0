/* metrics.h - what the coordinator counts and shows, as text for Prometheus (API.md, "Metrics").
 *
 * Counters begin at 0 with the process. The states of jobs are those of core/job_state.h. */
#ifndef STAGE4_COORDINATOR_METRICS_H
#define STAGE4_COORDINATOR_METRICS_H

#include "common/exposition.h"
#include "coordinator/core/job_state.h"
#include "proto/job_spec.h"

/*    member             name                                   what it counts */
#define METRICS_COUNTERS(X)                                                                        \
    X(jobs_submitted, "clustering_jobs_submitted_total", "Jobs accepted.")                         \
    X(tasks_dispatched, "clustering_tasks_dispatched_total",                                       \
      "Tasks sent to workers, again each time that they were sent again.")                         \
    X(results_saved, "clustering_task_results_total", "Results of tasks made durable.")            \
    X(tasks_failed, "clustering_tasks_failed_total", "Tasks that failed on a worker.")             \
    X(workers_lost, "clustering_workers_lost_total",                                               \
      "Times that a worker fell silent while it held tasks of a job.")                             \
    X(files_lost, "clustering_files_lost_total", "Files of jobs that had to be made again.")       \
    X(saves_failed, "clustering_saves_failed_total", "Saves that a store did not take.")

typedef struct {
#define X(member, name, help) uint64_t member;
    METRICS_COUNTERS(X)
#undef X
    uint64_t ended[ALGORITHM_COUNT][JOB_STATE_COUNT];
    histogram_t durations[LEVEL_COUNT]; /* of completed jobs, in seconds from their submission */
} metrics_t;

/* How things are when somebody asks. */
typedef struct {
    size_t jobs[JOB_STATE_COUNT];
    size_t in_memory; /* jobs that more than the ledger knows of */
    size_t workers;
    size_t worker_threads;
    size_t tasks_held; /* by workers */
    int ledger_up;     /* 1: it answers */
    int results_up;
    double uptime_seconds;
} metrics_now_t;

/* A job has come to a state in which it ended, `seconds` after its submission. */
void metrics_job_ended(metrics_t *self, const job_spec_t *spec, job_state_t state, double seconds);

/* *text: malloc'd, NUL-terminated, the caller's. ERR_MEMORY. */
int metrics_text(const metrics_t *self, const metrics_now_t *now, char **text, error_t *error);

#endif
