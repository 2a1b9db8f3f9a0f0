/* job_state.h - the states of a job and the one table of transitions between them. */
#ifndef STAGE4_COORDINATOR_CORE_JOB_STATE_H
#define STAGE4_COORDINATOR_CORE_JOB_STATE_H

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

/* What moves a job. Every pair (state, move) that is legal has one row in job_state.c. */
#define JOB_MOVES(X)                                                                               \
    X(MOVE_START, "start")           /* its turn has come */                                       \
    X(MOVE_TASKS, "tasks")           /* a stage with tasks is checkpointed */                      \
    X(MOVE_STAGE_DONE, "stage_done") /* every result of the stage is durable */                    \
    X(MOVE_LAST, "last")             /* nothing is left to compute */                              \
    X(MOVE_WRITTEN, "written")                                                                     \
    X(MOVE_PAUSE, "pause")   /* asked by a user */                                                 \
    X(MOVE_IDLE, "idle")     /* nothing of the job is in flight any more */                        \
    X(MOVE_RESUME, "resume") /* asked by a user */                                                 \
    X(MOVE_CANCEL, "cancel") /* asked by a user */                                                 \
    X(MOVE_PURGED, "purged") /* what it left behind is gone */                                     \
    X(MOVE_FAIL, "fail")                                                                           \
    X(MOVE_RETRY, "retry")   /* asked by a user: goes on from what the job has */                  \
    X(MOVE_REWIND, "rewind") /* a file is lost that only an earlier step can make again */         \
    X(MOVE_EXPIRE, "expire") /* its retention is over */                                           \
    X(MOVE_WAIT, "wait")     /* its plan asks for more memory than is left */

typedef enum {
#define X(name, wire) name,
    JOB_MOVES(X)
#undef X
        JOB_MOVE_COUNT
} job_move_t;

const char *job_state_name(job_state_t state);
const char *job_state_words(job_state_t state);
int job_state_ended(job_state_t state);
int job_state_parse(const char *name, job_state_t *out);
const char *job_move_name(job_move_t move);

/* 1 and *next when the move is legal in `state`, else 0. */
int job_state_next(job_state_t state, job_move_t move, job_state_t *next);

#endif
