/* kmeans.c - the steps of k-means: seeds, then rounds of assignment until nothing changes.
 *
 * State columns after the seed stage: label u32[n] (of the round before; absent in the first),
 * round u32[1]. The centres are an input of the stage. The labels at the end are those of the last
 * assignment, made with its centres. */
#include "coordinator/merge/centres.h"
#include "coordinator/merge/steps.h"

#include "common/input/flat_index.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Half a second of one core: distances to few centres are a light step, repeated often. */
#define PAIRS_A_TASK 10000000u
#define SLOTS_A_SEGMENT 1024u
#define SEED_RANGE ((uint64_t)1 << 53) /* what a stage parameter, a float64, holds exactly */

int kmeans_begin(step_t *self, advance_output_t *out, error_t *error)
{
    const plan_t *plan = &self->checkpoint.plan;
    const job_spec_t *spec = self->input->spec;
    task_cutter_t cutter;
    task_cutter_init(&cutter, TASK_SEED, PAIRS_A_TASK, UINT32_MAX); /* whole partitions */
    for (uint32_t p = 0; p < plan->partition_count; p++)
        task_cutter_add(&cutter, p, plan->partition_begin[p], plan->partition_begin[p + 1],
                        (uint64_t)plan_partition_size(plan, p) * spec->k);
    task_cutter_input(&cutter, "plan", &self->checkpoint.plan_sha);
    task_cutter_param(&cutter, "k", spec->k);
    task_cutter_param(&cutter, "seed", (double)(spec->seed % SEED_RANGE));
    columns_writer_t *writer = checkpoint_writer(&self->checkpoint, "state");
    snprintf(out->phase, sizeof out->phase, "k-means, seeds");
    return checkpoint_leave(self->input, &cutter, &writer, out, error);
}

static int leave_assign(step_t *self, const centres_t *centres, const uint32_t *label,
                        uint32_t round, advance_output_t *out, error_t *error)
{
    const plan_t *plan = &self->checkpoint.plan;
    task_cutter_t cutter;
    sha256_t sha256;
    int code = centres_save(centres, self->input, &sha256, error);
    if (code != OK)
        return code;
    task_cutter_init(&cutter, TASK_ASSIGN, PAIRS_A_TASK, SLOTS_A_SEGMENT);
    for (uint32_t p = 0; p < plan->partition_count; p++)
        task_cutter_add(&cutter, p, plan->partition_begin[p], plan->partition_begin[p + 1],
                        (uint64_t)plan_partition_size(plan, p) *
                            (centres->begin[p + 1] - centres->begin[p]));
    task_cutter_input(&cutter, "plan", &self->checkpoint.plan_sha);
    task_cutter_input(&cutter, "centres", &sha256);
    columns_writer_t *writer = checkpoint_writer(&self->checkpoint, "state");
    columns_put(writer, "round", COLUMN_U32, &round, 1);
    if (label != NULL)
        columns_put(writer, "label", COLUMN_U32, label, plan->count);
    snprintf(out->phase, sizeof out->phase, "k-means, step %u", round);
    return checkpoint_leave(self->input, &cutter, &writer, out, error);
}

/* ---- after the seeds ---- */

/* The slots of one task's centres, in the order of its segments. */
static int take_seeds(const step_t *self, uint32_t task, const centres_t *centres, uint32_t *rows,
                      error_t *error)
{
    const plan_t *plan = &self->checkpoint.plan;
    const stage_t *stage = &self->stage;
    payload_t result = {0};
    const uint32_t *slots;
    size_t count = 0, next = 0;
    int code = result_open(&result, self->input, task, "seeds", error);
    if (code == OK)
        code = payload_list(&result, "centre_slot", &slots, &count, error);
    for (uint32_t s = stage->segment_begin[task]; code == OK && s < stage->segment_begin[task + 1];
         s++) {
        uint32_t p = stage->segments[s].partition;
        for (uint32_t c = centres->begin[p]; c < centres->begin[p + 1] && code == OK; c++, next++)
            if (next >= count || slots[next] < plan->partition_begin[p] ||
                slots[next] >= plan->partition_begin[p + 1])
                code = error_set(error, ERR_SHAPE, "seed %zu is no slot of its partition", next);
            else
                rows[c] = plan->rows[slots[next]];
    }
    if (code == OK && next != count)
        code = error_set(error, ERR_SHAPE, "%zu seeds where %zu were asked for", count, next);
    payload_close(&result);
    return code == OK ? OK : result_blame(task, code, error);
}

static int read_vectors(const step_t *self, const uint32_t *rows, centres_t *centres,
                        error_t *error)
{
    const advance_input_t *input = self->input;
    flat_index_t *index = NULL;
    char path[PATH_MAX];
    int length = snprintf(path, sizeof path, "%s/%s.index", input->indices_folder,
                          level_plural(input->spec->level));
    if (length >= (int)sizeof path)
        return error_set(error, ERR_USAGE, "the path of the indices is too long");
    int code = flat_index_open(path, input->spec->dimension, &index, error);
    if (code == OK) {
        sha256_t now = flat_index_fingerprint(index);
        if (!sha256_equal(&now, &self->checkpoint.index_fingerprint))
            code = error_set(error, ERR_CHANGED, "%s has changed since the job was planned", path);
    }
    if (code == OK)
        code = flat_index_read_list(index, rows, centres->total, centres->centre, error);
    if (code == OK)
        code = flat_index_check(index, error);
    flat_index_close(&index);
    return code;
}

int kmeans_after_seed(step_t *self, advance_output_t *out, error_t *error)
{
    centres_t centres = {0};
    uint32_t *rows = NULL;
    int code = centres_init(&centres, &self->checkpoint.plan, self->input->spec->k, error);
    if (code != OK)
        return code;
    rows = malloc(((size_t)centres.total + 1) * sizeof *rows);
    if (rows == NULL) {
        code = error_set(error, ERR_MEMORY, "out of memory for %u centres", centres.total);
        goto fail;
    }
    for (uint32_t t = 0; t < self->stage.task_count && code == OK; t++)
        code = take_seeds(self, t, &centres, rows, error);
    if (code == OK)
        code = read_vectors(self, rows, &centres, error);
    if (code == OK)
        code = leave_assign(self, &centres, NULL, 1, out, error);
fail:
    free(rows);
    centres_clear(&centres);
    return code;
}

/* ---- after a round ---- */

typedef struct {
    step_t *step;
    centres_t centres;
    uint32_t *label; /* by slot, within its partition */
    float *d2;
    uint32_t round;
} round_t;

static int take_labels(round_t *self, uint32_t task, const payload_t *result, error_t *error)
{
    const stage_t *stage = &self->step->stage;
    const uint32_t *label;
    const float *d2;
    size_t slots = 0, at = 0;
    uint32_t from = stage->segment_begin[task], to = stage->segment_begin[task + 1];
    for (uint32_t s = from; s < to; s++)
        slots += stage->segments[s].end - stage->segments[s].begin;
    int code = payload_u32(result, "label", slots, &label, error);
    if (code == OK)
        code = payload_f32(result, "d2", slots, &d2, error);
    for (uint32_t s = from; s < to && code == OK; s++) {
        uint32_t p = stage->segments[s].partition;
        uint32_t kinds = self->centres.begin[p + 1] - self->centres.begin[p];
        for (uint32_t i = stage->segments[s].begin; i < stage->segments[s].end; i++, at++) {
            if (label[at] >= kinds || !(d2[at] >= 0))
                return error_set(error, ERR_SHAPE, "slot %u has no such centre", i);
            self->label[i] = label[at];
            self->d2[i] = d2[at];
        }
    }
    return code;
}

static int take_results(round_t *self, error_t *error)
{
    int code = OK;
    for (uint32_t t = 0; t < self->step->stage.task_count && code == OK; t++) {
        payload_t result = {0};
        code = advance_stopped(self->step->input, error);
        if (code == OK)
            code = payload_open(&result, self->step->input, &self->step->input->results[t],
                                "assign", error);
        if (code == OK)
            code = take_labels(self, t, &result, error);
        if (code == OK)
            code = centres_add(&self->centres, &result, error);
        payload_close(&result);
        if (code != OK)
            code = result_blame(t, code, error);
    }
    return code;
}

static int labels_settled(const round_t *self, error_t *error)
{
    const payload_t *payload = &self->step->checkpoint.payload;
    uint32_t count = self->step->checkpoint.plan.count;
    const uint32_t *before = NULL;
    if (!columns_has(payload->columns, "label") ||
        payload_u32(payload, "label", count, &before, error) != OK || before == NULL)
        return 0;
    return memcmp(before, self->label, count * sizeof *before) == 0;
}

/* Of unit vectors 1 - d2 / 2 is the cosine; a mean inside the sphere is compared in the same way.
 */
static float strength_of(float d2) { return d2 < 2 ? 1 - d2 / 2 : 0; }

static int finish(round_t *self, int converged, advance_output_t *out, error_t *error)
{
    const plan_t *plan = &self->step->checkpoint.plan;
    clustering_t clustering;
    double inertia = 0;
    int code = clustering_init(&clustering, plan->count, error);
    if (code != OK)
        return code;
    for (uint32_t i = 0; i < plan->count; i++) {
        clustering.label[i] = (int32_t)self->label[i];
        clustering.strength[i] = strength_of(self->d2[i]);
        inertia += (double)self->d2[i];
    }
    for (uint32_t p = 0; p < plan->partition_count && code == OK; p++)
        code = clustering_append(&clustering, p, plan->partition_begin[p],
                                 plan->partition_begin[p + 1],
                                 self->centres.begin[p + 1] - self->centres.begin[p], NULL, error);
    step_report(self->step, "iterations", json_integer(self->round));
    step_report(self->step, "converged", json_boolean(converged));
    step_report(self->step, "inertia", json_real(inertia));
    if (code == OK)
        code = summarise_begin(self->step, &clustering, out, error);
    clustering_clear(&clustering);
    return code;
}

static int go_on(round_t *self, advance_output_t *out, error_t *error)
{
    const job_spec_t *spec = self->step->input->spec;
    int settled = labels_settled(self, error);
    if (!settled)
        settled = centres_move(&self->centres, spec->metric, spec->tolerance);
    if (settled || self->round >= spec->max_iterations)
        return finish(self, settled, out, error);
    return leave_assign(self->step, &self->centres, self->label, self->round + 1, out, error);
}

int kmeans_after_assign(step_t *self, advance_output_t *out, error_t *error)
{
    round_t round = {.step = self};
    const plan_t *plan = &self->checkpoint.plan;
    const sha256_t *centres = step_input(self, "centres");
    const uint32_t *number = NULL;
    int code = centres_init(&round.centres, plan, self->input->spec->k, error);
    if (code == OK && centres == NULL)
        code = error_set(error, ERR_PROTOCOL, "the stage names no centres");
    if (code == OK)
        code = centres_load(&round.centres, self->input, centres, error);
    if (code == OK)
        code = payload_u32(&self->checkpoint.payload, "round", 1, &number, error);
    if (code != OK || number == NULL)
        goto fail;
    round.round = *number;
    round.label = calloc((size_t)plan->count + 1, sizeof *round.label);
    round.d2 = calloc((size_t)plan->count + 1, sizeof *round.d2);
    if (round.label == NULL || round.d2 == NULL) {
        code = error_set(error, ERR_MEMORY, "out of memory for the labels of %u rows", plan->count);
        goto fail;
    }
    code = take_results(&round, error);
    if (code == OK)
        code = go_on(&round, out, error);
fail:
    free(round.label);
    free(round.d2);
    centres_clear(&round.centres);
    return code;
}
