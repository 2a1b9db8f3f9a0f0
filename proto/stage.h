/* stage.h - one stage of a job: tasks of one kind that may run in any order, between two barriers.
 *
 * A job is a sequence of stages. Between two of them the coordinator folds the results of the one
 * into the tasks of the next (coordinator/merge/advance.h). A stage is a pure function of the job,
 * the input's fingerprint and the earlier results; it never depends on the number of workers. */
#ifndef STAGE4_PROTO_STAGE_H
#define STAGE4_PROTO_STAGE_H

#include "common/error.h"
#include "common/sha256.h"

#include <stddef.h>
#include <stdint.h>

/*    name             wire name     what a segment [begin, end) counts */
#define TASK_KINDS(X)                                                                              \
    X(TASK_KNN, "knn")               /* slots of one partition; with codes places, in twos */      \
    X(TASK_REACH, "reach")           /* positions in reach_in.query, all of one partition */       \
    X(TASK_SEED, "seed")             /* slots: a whole partition */                                \
    X(TASK_ASSIGN, "assign")         /* slots of one partition */                                  \
    X(TASK_SUMMARISE, "summarise")   /* clusters in members */                                     \
    X(TASK_ROTATE, "rotate")         /* slots: any; the sample is of all */                        \
    X(TASK_ENCODE, "encode")         /* slots of one partition */                                  \
    X(TASK_LINKAGE, "linkage")       /* slots: a whole partition */                                \
    X(TASK_SILHOUETTE, "silhouette") /* clusters in members */                                     \
    X(TASK_PAIRS, "pairs")           /* slots of one partition; places when there are codes */     \
    X(TASK_NEAR, "near")             /* places of one partition */                                 \
    X(TASK_PROBE, "probe")           /* groups in probes */                                        \
    X(TASK_VERIFY, "verify")         /* positions in the tree's order, of one partition */         \
    X(TASK_DENSITY, "density")       /* clusters in members */                                     \
    X(TASK_SEPARATION, "separation") /* as reach: positions in reach_in.query */

typedef enum {
#define X(name, wire) name,
    TASK_KINDS(X)
#undef X
        TASK_KIND_COUNT
} task_kind_t;

const char *task_kind_name(task_kind_t kind);
int task_kind_parse(const char *name, task_kind_t *out); /* 1 when known */

typedef struct {
    uint32_t partition;
    uint32_t begin;
    uint32_t end;
} segment_t;

#define STAGE_INPUT_LIMIT 8
#define STAGE_PARAM_LIMIT 16

typedef struct {
    char name[24]; /* "plan", "reach_in", "centres", "members" */
    sha256_t sha256;
} stage_input_t;

typedef struct {
    char name[24]; /* "k", "seed", ... */
    double value;
} stage_param_t;

/* All the tasks of a stage. Arrays owned by the struct; stage_clear frees them. */
typedef struct {
    task_kind_t kind;
    uint32_t task_count;
    uint32_t *segment_begin; /* task_count + 1: task t has segments [segment_begin[t], [t+1]) */
    segment_t *segments;
    uint64_t *work; /* per task, in pairs of vectors compared: for progress and lease sizes */
    size_t input_count;
    stage_input_t inputs[STAGE_INPUT_LIMIT];
    size_t param_count;
    stage_param_t params[STAGE_PARAM_LIMIT];
} stage_t;

void stage_clear(stage_t *self);
int stage_encode(const stage_t *self, uint8_t **bytes, size_t *length, error_t *error);
/* Bounded; copies what it keeps. */
int stage_decode(const void *bytes, size_t length, stage_t *out, error_t *error);

#endif
