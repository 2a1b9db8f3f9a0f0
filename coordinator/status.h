/* status.h - the one place where jobs and the coordinator are put into words (JSON).
 *
 * Strings are malloc'd and the caller's. docs/protocol.md lists the members. */
#ifndef STAGE4_COORDINATOR_STATUS_H
#define STAGE4_COORDINATOR_STATUS_H

#include "coordinator/shell.h"

/* How `waiting_for` begins while a store does not take what it is given; then comes why. */
#define STATUS_SAVE_FAILED "a save that failed is tried again: "
/* ... and while one has not come back from it. */
#define STATUS_SAVE_HANGS "a save is not done yet: "

/* How JSON is written: 0.972, not 0.97199999999999998. */
#define STATUS_DUMP (JSON_COMPACT | JSON_REAL_PRECISION(15))

/* 1 for a job that has not ended: all others are told of by the ledger. */
int status_is_live(const shell_t *shell, const char *job_id);
/* One job. ERR_NOT_FOUND. `row`: what the ledger has of one that is not live; else NULL. */
int status_job(shell_t *shell, const char *job_id, const ledger_job_t *row, char **json,
               error_t *error);
/* What a list has of one job; the caller's. */
json_t *status_entry(const shell_t *shell, const job_record_t *record, job_state_t state);

/* The query of a list into `work`. `body`: {"state":..., "limit":..., "cursor":...}, all optional;
 * ERR_USAGE names the member that is wrong. */
int status_list_read(const char *body, size_t length, store_work_t *work, error_t *error);
/* The page, newest first. `work` has been to the reader where the state is one of an end, or any. */
int status_list_page(const shell_t *shell, const store_work_t *work, char **json, error_t *error);
/* The coordinator, its workers and its stores; how those are was asked of them just now. */
int status_info(shell_t *shell, const error_t *ledger, const error_t *results, char **json,
                error_t *error);

/* What the ledger keeps of a job that ends in `state`: the writer's report when there is one, and
 * times by phase, workers, retries, faults. NULL when out of memory. */
char *status_report(shell_t *shell, const job_record_t *record, job_state_t state);

#endif
