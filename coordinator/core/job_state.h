/* job_state.h - the states of a job and the one table of transitions between them. */
#ifndef STAGE4_COORDINATOR_CORE_JOB_STATE_H
#define STAGE4_COORDINATOR_CORE_JOB_STATE_H

#include <stdio.h>

/*    name            wire          ended  what a person reads */
#define JOB_STATES(X)                                                                              \
    X(JOB_QUEUED, "queued", 0, "waiting for its turn")                                             \
    X(JOB_PLANNING, "planning", 0, "reading the index and its metadata")                           \
    X(JOB_RUNNING, "running", 0, "workers are computing")                                          \
    X(JOB_MERGING, "merging", 0, "partial results are being merged")                               \
    X(JOB_WRITING, "writing", 0, "clusters are being written")                                     \
    X(JOB_PAUSING, "pausing", 0, "running tasks are finishing")                                    \
    X(JOB_PAUSED, "paused", 0, "paused; resume to go on")                                          \
    X(JOB_CANCELLING, "cancelling", 0, "being cancelled")                                          \
    X(JOB_COMPLETED, "completed", 1, "done")                                                       \
    X(JOB_CANCELLED, "cancelled", 1, "cancelled")                                                  \
    X(JOB_FAILED, "failed", 1, "failed")                                                           \
    X(JOB_REMOVING, "removing", 1, "kept for as long as was asked; it is being removed")

typedef enum {
#define X(name, wire, ended, words) name,
    JOB_STATES(X)
#undef X
        JOB_STATE_COUNT
} job_state_t;

/* What moves a job. Every pair (state, move) that is legal has one row in job_state.c: what users
 * may ask for, what they are told when they may not, and the table of docs/protocol.md come from it.
 *    name             wire          asked  when */
#define JOB_MOVES(X)                                                                               \
    X(MOVE_START, "start", 0, "its turn has come")                                                 \
    X(MOVE_TASKS, "tasks", 0, "a stage with tasks is checkpointed")                                \
    X(MOVE_STAGE_DONE, "stage_done", 0, "every result of the stage is durable")                    \
    X(MOVE_LAST, "last", 0, "nothing is left to compute")                                          \
    X(MOVE_WRITTEN, "written", 0, "the clusters are committed and shown")                          \
    X(MOVE_PAUSE, "pause", 1, "a user asks for it")                                                \
    X(MOVE_IDLE, "idle", 0, "nothing of the job is in flight any more")                            \
    X(MOVE_RESUME, "resume", 1, "a user asks for it")                                              \
    X(MOVE_CANCEL, "cancel", 1, "a user asks for it")                                              \
    X(MOVE_PURGED, "purged", 0, "what it left behind is gone")                                     \
    X(MOVE_FAIL, "fail", 0, "it cannot go on, and says why")                                       \
    X(MOVE_RETRY, "retry", 1, "a user asks for it; it goes on from what it has")                   \
    X(MOVE_REWIND, "rewind", 0, "a file is lost that only an earlier step can make again")         \
    X(MOVE_EXPIRE, "expire", 0, "its retention is over")                                           \
    X(MOVE_WAIT, "wait", 0, "its plan asks for more memory than is left")

typedef enum {
#define X(name, wire, asked, when) name,
    JOB_MOVES(X)
#undef X
        JOB_MOVE_COUNT
} job_move_t;

const char *job_state_name(job_state_t state);
const char *job_state_words(job_state_t state);
int job_state_ended(job_state_t state);
int job_state_parse(const char *name, job_state_t *out);
const char *job_move_name(job_move_t move);
int job_move_asked(job_move_t move); /* a user asks for it, by this name */

/* 1 and *next when the move is legal in `state`, else 0. */
int job_state_next(job_state_t state, job_move_t move, job_state_t *next);

/* 1 when a user may ask for the move in that state, and it would change something. */
int job_state_offers(job_state_t state, job_move_t move);
/* "pause or cancel"; "" when there is nothing to ask for. */
#define JOB_OFFERS_SIZE 64
void job_state_offers_words(job_state_t state, char out[JOB_OFFERS_SIZE]);

/* Both tables in Markdown: the documentation has them verbatim. */
void job_state_markdown(FILE *stream);

#endif
