/* job_story.h - what befell a job and was survived: told in its status and its report, and kept over
 * restarts of the coordinator.
 *
 * The newest STORY_LIMIT faults; older ones are only counted. The same fault again and again is one
 * entry with a count. A story is saved with the job's row (as its report so far), and when it grew
 * while no row is being saved, at most once in STORY_SAVE_MS. */
#ifndef STAGE4_COORDINATOR_JOB_STORY_H
#define STAGE4_COORDINATOR_JOB_STORY_H

#include "common/error.h"

#include <jansson.h>
#include <stdint.h>

#define STORY_LIMIT 50
#define STORY_SAVE_MS 1000
#define STORY_PATIENCE_MS 1000 /* a store that fails for less is not worth a line */

typedef struct {
    int64_t at_ms; /* wall clock, as all times here; of the first */
    int64_t last_ms;
    uint32_t times;
    char what[24]; /* worker_lost, task_failed, result_lost, coordinator_restarted, store_failed */
    char words[240];
} fault_t;

/* A store that does not take what it is given. */
typedef enum { STORE_LEDGER, STORE_RESULTS, STORE_COUNT } story_store_t;

typedef struct {
    int64_t since_ms; /* 0: it answers */
    char message[160];
} store_trouble_t;

typedef struct {
    fault_t *faults; /* owned; STORY_LIMIT places once there was one */
    size_t count;
    uint32_t left_out;
    int dirty;        /* there is something that the ledger does not have */
    int64_t saved_ms; /* the last time it was tried */
    store_trouble_t trouble[STORE_COUNT];
    /* Of the coordinators before this one. */
    uint32_t retries;
    uint32_t workers_lost;
    uint32_t late_results;
} job_story_t;

void job_story_clear(job_story_t *self);
void job_story_add(job_story_t *self, int64_t now_ms, const char *what, const char *words, ...)
    __attribute__((format(printf, 4, 5)));

/* A save was refused, or taken again; the latter adds what there is to tell. */
void job_story_refused(job_story_t *self, int64_t now_ms, story_store_t store,
                       const error_t *error);
void job_story_taken(job_story_t *self, int64_t now_ms, story_store_t store);
/* What is waited for: 1 and its words, "the ledger has not answered for 12 s"; 0: nothing. */
int job_story_waits(const job_story_t *self, int64_t now_ms, char *out, size_t size);

/* [{"at", "what", "words"}], with "times" and "last_at" for what came more than once. */
json_t *job_story_list(const job_story_t *self);
/* From a report that an earlier coordinator saved; what is not as expected is passed over. */
void job_story_read(job_story_t *self, const json_t *report);

#endif
