/* inline_cluster.h - a whole job in this thread: advance() and task_run() in turn, no network.
 *
 * What the cluster does between two barriers is done here by a loop over the tasks, so the merge
 * code is tested with the real tasks, and an oracle can look at the labels before they are written
 * out. `hook` (may be NULL) sees every stage's results before the fold and may change them. */
#ifndef STAGE4_TESTS_LIB_INLINE_CLUSTER_H
#define STAGE4_TESTS_LIB_INLINE_CLUSTER_H

#include "coordinator/merge/advance.h"
#include "coordinator/plan/plan.h"
#include "proto/columns.h"
#include "tests/lib/folder.h"
#include "worker/compute/compute.h"
#include "worker/tasks/task_run.h"

#include <stdlib.h>
#include <string.h>

typedef struct inline_cluster inline_cluster_t;
typedef void (*inline_hook_fn)(inline_cluster_t *self, const stage_t *stage, sha256_t *results);

struct inline_cluster {
    const job_spec_t *spec;
    const char *indices_folder;
    test_folder_t folder;
    spool_t *spool;
    kept_t kept;
    compute_t *compute;
    flat_index_t *index;
    inline_hook_fn hook;
    void *hook_context;
    uint64_t matrix_bytes;
    int repeat;      /* every advance() runs twice, and must say the same */
    uint32_t stages; /* that had tasks */
    uint32_t kinds[TASK_KIND_COUNT];
    uint8_t *held[STAGE_INPUT_LIMIT]; /* inputs of the task under way */
    size_t held_count;
    /* the outcome */
    plan_t plan;
    int32_t *label;
    float *strength;
    float *outlier;
    uint32_t cluster_count;
    char *report;
};

#define INLINE_JOB "inline"

static inline int inline_input(void *context, const sha256_t *sha256, const void **bytes,
                               size_t *length, error_t *error)
{
    inline_cluster_t *self = context;
    uint8_t *copy = NULL;
    if (self->held_count == STAGE_INPUT_LIMIT)
        return error_set(error, ERR_INTERNAL, "a task reads too many inputs");
    int code = spool_get(self->spool, INLINE_JOB, sha256, &copy, length, error);
    if (code == OK)
        self->held[self->held_count++] = copy;
    *bytes = copy;
    return code;
}

static inline int inline_task(inline_cluster_t *self, const stage_t *stage, uint32_t number,
                              const sha256_t *fingerprint, sha256_t *result, error_t *error)
{
    uint8_t *payload = NULL;
    size_t length = 0;
    atomic_uint_fast64_t work_done = 0;
    atomic_int stop = 0;
    task_t task = {.kind = stage->kind,
                   .index_fingerprint = *fingerprint,
                   .dimension = self->spec->dimension,
                   .segments = stage->segments + stage->segment_begin[number],
                   .segment_count = stage->segment_begin[number + 1] - stage->segment_begin[number],
                   .work = stage->work[number],
                   .input_count = stage->input_count,
                   .param_count = stage->param_count};
    task.ref.task = number;
    snprintf(task.ref.job_id, sizeof task.ref.job_id, INLINE_JOB);
    snprintf(task.index_name, sizeof task.index_name, "%s", level_plural(self->spec->level));
    memcpy(task.inputs, stage->inputs, sizeof task.inputs);
    memcpy(task.params, stage->params, sizeof task.params);
    task_context_t context = {.compute = self->compute,
                              .index = self->index,
                              .input = inline_input,
                              .input_context = self,
                              .work_done = &work_done,
                              .stop = &stop};
    int code = task_run(&task, &context, &payload, &length, error);
    if (code == OK)
        code = spool_put(self->spool, INLINE_JOB, payload, length, result, error);
    free(payload);
    while (self->held_count > 0)
        free(self->held[--self->held_count]);
    return code;
}

static inline int inline_stage(inline_cluster_t *self, const advance_output_t *step, stage_t *stage,
                               sha256_t *results, error_t *error)
{
    uint8_t *bytes = NULL;
    size_t length = 0;
    sha256_t fingerprint;
    int code = spool_get(self->spool, INLINE_JOB, &step->stage_sha, &bytes, &length, error);
    if (code == OK)
        code = stage_decode(bytes, length, stage, error);
    free(bytes);
    if (code == OK)
        code = advance_index_fingerprint(self->spool, INLINE_JOB, &step->state_sha, &fingerprint,
                                         error);
    for (uint32_t t = 0; t < step->task_count && code == OK; t++)
        code = inline_task(self, stage, t, &fingerprint, &results[t], error);
    if (code == OK && self->hook != NULL)
        self->hook(self, stage, results);
    self->stages++;
    self->kinds[stage->kind]++;
    return code;
}

static inline int inline_open(inline_cluster_t *self, error_t *error)
{
    char path[4096];
    self->folder = folder_new();
    snprintf(path, sizeof path, "%s/%s.index", self->indices_folder,
             level_plural(self->spec->level));
    compute_options_t options = {.threads = 1, .screen = SCREEN_AUTO};
    int code = spool_open(self->folder.path, &self->spool, error);
    if (code == OK)
        code = compute_new(&options, &self->compute, error);
    if (code == OK)
        code = flat_index_open(path, self->spec->dimension, &self->index, error);
    return code;
}

static inline void *inline_copy(const columns_t *columns, const char *name, column_type_t type,
                                size_t count)
{
    const void *values = NULL;
    size_t size = type == COLUMN_U8 ? 1 : 4;
    if (columns_get(columns, name, type, count, &values, NULL, NULL) != OK)
        abort();
    void *copy = malloc(count * size + 1);
    memcpy(copy, values, count * size);
    return copy;
}

static inline columns_t *inline_payload(inline_cluster_t *self, const sha256_t *sha256,
                                        const char *kind, uint8_t **bytes, size_t *length)
{
    columns_t *columns = NULL;
    error_t error = ERROR_INIT;
    if (spool_get(self->spool, INLINE_JOB, sha256, bytes, length, &error) != OK ||
        columns_open(*bytes, *length, kind, &columns, &error) != OK) {
        fprintf(stderr, "%s: %s\n", kind, error.message);
        abort();
    }
    return columns;
}

static inline void inline_take_outcome(inline_cluster_t *self, const sha256_t *state)
{
    uint8_t *bytes = NULL, *plan = NULL, *labels = NULL;
    size_t length, count;
    const char *report;
    const void *ignored;
    columns_t *outcome = inline_payload(self, state, "outcome", &bytes, &length);
    if (columns_string(outcome, "report", 0, &report, &length, NULL) != OK)
        abort();
    self->report = strndup(report, length);
    sha256_t *plan_sha = inline_copy(outcome, "plan", COLUMN_U8, sizeof *plan_sha);
    sha256_t *labels_sha = inline_copy(outcome, "labels", COLUMN_U8, sizeof *labels_sha);
    if (spool_get(self->spool, INLINE_JOB, plan_sha, &plan, &length, NULL) != OK ||
        plan_decode(plan, length, &self->plan, NULL) != OK)
        abort();
    columns_t *columns = inline_payload(self, labels_sha, "labels", &labels, &length);
    self->label = inline_copy(columns, "label", COLUMN_I32, self->plan.count);
    self->strength = inline_copy(columns, "strength", COLUMN_F32, self->plan.count);
    self->outlier = inline_copy(columns, "outlier", COLUMN_F32, self->plan.count);
    if (columns_get(columns, "cluster_partition", COLUMN_U32, SIZE_MAX, &ignored, &count, NULL))
        abort();
    self->cluster_count = (uint32_t)count;
    columns_close(&columns);
    columns_close(&outcome);
    free(bytes);
    free(plan);
    free(labels);
    free(plan_sha);
    free(labels_sha);
}

/* With `repeat` the first call goes on from what is kept, the second from what is stored. */
static inline int inline_advance(const inline_cluster_t *self, const advance_input_t *input,
                                 advance_output_t *out, error_t *error)
{
    int code = advance(input, out, error);
    if (code != OK || !self->repeat)
        return code;
    advance_output_t again;
    code = advance(input, &again, error);
    if (code == OK && (!sha256_equal(&out->stage_sha, &again.stage_sha) ||
                       !sha256_equal(&out->state_sha, &again.state_sha)))
        code = error_set(error, ERR_INTERNAL, "advance() twice gives two things");
    return code;
}

static inline int inline_loop(inline_cluster_t *self, error_t *error)
{
    advance_input_t input = {.job_id = INLINE_JOB,
                             .spec = self->spec,
                             .indices_folder = self->indices_folder,
                             .spool = self->spool,
                             .kept = &self->kept,
                             .matrix_bytes = self->matrix_bytes,
                             .first = 1};
    advance_output_t step;
    sha256_t *results = NULL;
    int code = inline_advance(self, &input, &step, error);
    while (code == OK && !step.last) {
        stage_t stage = {0};
        free(results);
        results = calloc(step.task_count, sizeof *results);
        code = inline_stage(self, &step, &stage, results, error);
        stage_clear(&stage);
        input.first = 0;
        input.stage_number = self->stages - 1;
        input.stage_sha = step.stage_sha;
        input.state_sha = step.state_sha;
        input.result_count = step.task_count;
        input.results = results;
        if (code == OK)
            code = inline_advance(self, &input, &step, error);
    }
    free(results);
    if (code == OK)
        inline_take_outcome(self, &step.state_sha);
    return code;
}

/* Runs `spec` over the folder; clear in any case. */
static inline int inline_cluster_run(inline_cluster_t *self, const job_spec_t *spec,
                                     const char *indices_folder, error_t *error)
{
    self->spec = spec;
    self->indices_folder = indices_folder;
    int code = inline_open(self, error);
    return code == OK ? inline_loop(self, error) : code;
}

static inline void inline_cluster_clear(inline_cluster_t *self)
{
    kept_drop(&self->kept, NULL);
    flat_index_close(&self->index);
    compute_destroy(&self->compute);
    spool_close(&self->spool);
    folder_destroy(&self->folder);
    plan_clear(&self->plan);
    free(self->label);
    free(self->strength);
    free(self->outlier);
    free(self->report);
    memset(self, 0, sizeof *self);
}

#endif
