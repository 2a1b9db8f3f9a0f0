/* task.h - one unit of work as a worker receives it. */
#ifndef STAGE4_PROTO_TASK_H
#define STAGE4_PROTO_TASK_H

#include "proto/stage.h"

#define JOB_ID_SIZE 40 /* with its NUL */

/* Names one attempt at one task. A result is a function of (job, epoch, stage, task) alone. */
typedef struct {
    char job_id[JOB_ID_SIZE];
    uint32_t epoch;
    uint32_t stage;
    uint32_t task;
    uint32_t attempt;
} task_ref_t;

typedef struct {
    task_ref_t ref;
    task_kind_t kind;
    char index_name[24];        /* "events": the file <indices>/<index_name>.index */
    sha256_t index_fingerprint; /* what that file must be, else ERR_CHANGED */
    uint32_t dimension;
    segment_t *segments; /* owned; task_clear frees */
    uint32_t segment_count;
    uint64_t work;
    size_t input_count;
    stage_input_t inputs[STAGE_INPUT_LIMIT];
    size_t param_count;
    stage_param_t params[STAGE_PARAM_LIMIT];
} task_t;

void task_clear(task_t *self);
/* The named input's hash; NULL when the task has none of that name. */
const sha256_t *task_input(const task_t *self, const char *name);
double task_param(const task_t *self, const char *name, double absent);

#endif
