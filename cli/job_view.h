/* job_view.h - a job's status as the coordinator words it, taken apart for showing. */
#ifndef STAGE4_CLI_JOB_VIEW_H
#define STAGE4_CLI_JOB_VIEW_H

#include "common/error.h"

#include <jansson.h>

/* Text points into the status; "" when it says nothing. */
typedef struct {
    const char *job_id;
    const char *state;
    const char *state_words;
    const char *level;
    const char *algorithm;
    const char *phase;
    const char *waiting_for;
    const char *submitted_at;
    double progress;      /* of the whole job, 0 to 1; -1 not known */
    double work_done;     /* of the present stage, in pairs of vectors */
    double eta_s;         /* of the present stage; -1 not known */
    const json_t *report; /* NULL none yet */
} job_view_t;

job_view_t job_view(const json_t *status);

/* "completed", "failed" or "cancelled": nothing will change any more. */
int job_view_ended(const job_view_t *self);
/* OK for a job that is not lost; else the error that it failed with, or ERR_CANCELLED. */
int job_view_error(const json_t *status, error_t *error);

#endif
