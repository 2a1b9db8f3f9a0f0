/* progress.h - a job on its way: one line that is written over on a terminal, else JSON lines, one
 * for each phase and every few seconds. */
#ifndef STAGE4_CLI_PROGRESS_H
#define STAGE4_CLI_PROGRESS_H

#include "cli/job_view.h"

#include <stdint.h>
#include <stdio.h>

typedef struct {
    FILE *stream;
    int terminal;
    int64_t started_ms; /* monotonic */
    int64_t told_ms;    /* when the last JSON line was written, or the terminal's line */
    char told[160];     /* the state and phase that were told last */
    int64_t phase_ms;   /* when that phase was first seen */
    double phase_work;  /* and the work done then */
    int shown;          /* a terminal's line stands there */
} progress_t;

void progress_begin(progress_t *self, FILE *stream, int64_t now_ms);
void progress_show(progress_t *self, const job_view_t *job, int64_t now_ms);
/* Wipes the terminal's line. */
void progress_end(progress_t *self);

/* "1.2 s", "3 min 05 s", "2 h 10 min". */
void duration_words(double seconds, char out[32]);
/* "950", "1.2 k", "34 M", "1.1 G". */
void count_words(double count, char out[32]);

#endif
