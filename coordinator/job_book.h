/* job_book.h - what the shell knows of each job beside the core: the spec, the stage that is being
 * worked on, progress, times for the report.
 *
 * Of the jobs that the core knows, and for as long: others are in the ledger alone. */
#ifndef STAGE4_COORDINATOR_JOB_BOOK_H
#define STAGE4_COORDINATOR_JOB_BOOK_H

#include "coordinator/core/job_state.h"
#include "coordinator/job_story.h"
#include "coordinator/merge_thread.h"
#include "coordinator/store/ledger.h"
#include "proto/job_spec.h"
#include "proto/stage.h"
#include "proto/worker_message.h"

typedef struct {
    char name[48];
    int64_t ms;
} phase_time_t;

typedef struct {
    char job_id[JOB_ID_SIZE];
    char idempotency_key[80];
    int64_t submitted_ms;
    int64_t changed_ms;
    int durable; /* the ledger has had it once */
    job_state_t state;
    job_spec_t spec;
    sha256_t asked;    /* of the spec: what a job under the same key must be like */
    char *spec_json;   /* owned */
    char *report_json; /* owned; of the writer */

    stage_t stage; /* decoded, of the stage being worked on; task_count 0: none */
    uint32_t stage_number;
    sha256_t index_fingerprint;
    uint64_t *progress;       /* per task of the stage: work done as last heard; owned */
    uint64_t work_total;      /* of the stage */
    uint64_t work_at_start;   /* done before this process began with the stage */
    int64_t stage_started_ms; /* monotonic */
    char stage_phase[48];     /* what the stage is called */
    char next_phase[48];      /* ... and the one that advance() has given, until it is saved */

    char phase[48];
    int64_t phase_started_ms; /* monotonic; 0: no phase is being timed */
    phase_time_t *times;      /* owned; in order of first appearance */
    size_t time_count;
    char (*workers)[WORKER_NAME_SIZE]; /* names that brought results; owned */
    size_t worker_count;
    uint32_t recovered; /* times that a coordinator took it up again */
    job_story_t story;
    uint32_t row_epoch; /* of the row that the ledger has */
    job_state_t row_state;
    error_t row_error;
    int retry_told;        /* the story has it, and the ledger has not */
    uint32_t row_saves;    /* of the row, under way */
    uint32_t saves;        /* of anything, under way */
    int64_t save_since_ms; /* monotonic: since when the saver has given none of them back */
    merge_work_t *merging; /* under way, borrowed; NULL none */
} job_record_t;

typedef struct {
    job_record_t **items; /* by job_id, which is the order of submission; owned */
    size_t count;
    size_t capacity;
    int64_t last_id_ms; /* of the newest id: at the start the newest job of the ledger */
} job_book_t;

void job_book_clear(job_book_t *self);
job_record_t *job_book_find(const job_book_t *self, const char *job_id); /* NULL: none */
/* The job that has this key; NULL when none, or the key is "". */
job_record_t *job_book_find_key(const job_book_t *self, const char *idempotency_key);
/* NULL when out of memory or the id is taken. */
job_record_t *job_book_add(job_book_t *self, const char *job_id);
void job_book_remove(job_book_t *self, job_record_t *record);

/* "job_" and 26 characters: 48 bits of time, 80 random bits, in Crockford's base 32 as a ULID has
 * them. Every id sorts after all that were made or added before. */
int job_book_new_id(job_book_t *self, int64_t now_ms, char out[JOB_ID_SIZE], error_t *error);

/* Takes the stage over (or clears the old one when `stage` is NULL). */
int job_record_set_stage(job_record_t *self, stage_t *stage, uint32_t number, int64_t now_ms,
                         error_t *error);
/* The task's result was there before this process began with the stage. */
void job_record_done_before(job_record_t *self, uint32_t task);
/* ... and those that an earlier pass over the stage has left, by task; zeros: none. NULL: none. */
void job_record_found_before(job_record_t *self, const sha256_t *found);
/* So much more time was spent in a phase. */
void job_record_add_time(job_record_t *self, const char *phase, int64_t ms);
/* Ends the phase being timed and begins another; NULL: none. */
void job_record_phase(job_record_t *self, const char *name, int64_t now_ms);
void job_record_add_worker(job_record_t *self, const char *name);

#endif
