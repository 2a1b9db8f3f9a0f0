/* kmeans.c - the steps of k-means: seeds, then rounds of assignment until nothing changes, and all of
 * that again from other seeds as often as the job asks.
 *
 * For the cells of an approximate job only a sample of the rows takes part in the rounds; when they are
 * over, one more assigns all rows.
 *
 * State columns from the seed stage on: progress u32[4] (progress_t), and in later runs best u8[32],
 * the best labels of the earlier ones (kmeans_runs.h). The centres, and the labels of the round
 * before ("assigned", absent in the first), are inputs of the assign stage. The labels at the end
 * are those of the last assignment, made with its centres. */
#include "coordinator/merge/centres.h"
#include "coordinator/merge/coding.h"
#include "coordinator/merge/kmeans_runs.h"
#include "coordinator/merge/probing.h"
#include "coordinator/merge/steps.h"

#include "common/input/flat_index.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Half a second of one core: distances to few centres are a light step, repeated often. */
#define PAIRS_A_TASK 10000000u
/* By codes a pair costs a tenth; sums of all centres come with every task. */
#define CODED_PAIRS_A_TASK 20000000u
#define SLOTS_A_SEGMENT 1024u
/* What cells are made from: so many rows for each and in all, in runs of successive slots. */
#define CELL_SAMPLE 64u
#define CELL_SAMPLE_LEAST 16384u
#define SAMPLE_RUN 16u
#define CELL_ROUNDS 4u
#define SEED_RANGE ((uint64_t)1 << 53) /* what a stage parameter, a float64, holds exactly */

typedef struct {
    uint32_t run;       /* from 0 */
    uint32_t round;     /* of this run, from 1 */
    uint32_t earlier;   /* rounds of the runs before */
    uint32_t converged; /* so did all of those */
} progress_t;

/* What is asked of k-means: by the job, or for the cells of an approximate one. */
typedef struct {
    uint32_t k;
    seeding_t init;
    uint32_t n_init;
    uint32_t max_iterations;
    double tolerance;
    uint64_t seed;
} kmeans_t;

static int for_cells(const step_t *self)
{
    return self->input->spec->algorithm != ALGORITHM_KMEANS;
}

static kmeans_t asked(const step_t *self)
{
    const job_spec_t *spec = self->input->spec;
    if (for_cells(self))
        return (kmeans_t){
            probing_cells(spec, &self->checkpoint.plan), SEEDING_RANDOM, 1, CELL_ROUNDS, 1e-3, 0};
    return (kmeans_t){spec->k,         spec->init, spec->n_init, spec->max_iterations,
                      spec->tolerance, spec->seed};
}

static columns_writer_t *write_state(const step_t *self, const progress_t *progress,
                                     const sha256_t *best)
{
    const uint32_t values[] = {progress->run, progress->round, progress->earlier,
                               progress->converged};
    columns_writer_t *writer = checkpoint_writer(&self->checkpoint, "state");
    if (writer != NULL) {
        columns_put(writer, "progress", COLUMN_U32, values, 4);
        if (best != NULL)
            columns_put_sha(writer, "best", best);
    }
    return writer;
}

/* `has_best` is 0 in the first run. */
static int read_state(const step_t *self, progress_t *progress, int *has_best, sha256_t *best,
                      error_t *error)
{
    const payload_t *payload = &self->checkpoint.payload;
    const uint32_t *values;
    int code = payload_u32(payload, "progress", 4, &values, error);
    if (code != OK)
        return code;
    *progress = (progress_t){values[0], values[1], values[2], values[3]};
    *has_best = columns_has(payload->columns, "best");
    return *has_best ? payload_sha(payload, "best", best, error) : OK;
}

static int leave_seed(step_t *self, const progress_t *progress, const sha256_t *best,
                      const coding_t *coding, advance_output_t *out, error_t *error)
{
    const plan_t *plan = &self->checkpoint.plan;
    const kmeans_t kmeans = asked(self);
    task_cutter_t cutter;
    task_cutter_init(&cutter, TASK_SEED, PAIRS_A_TASK, UINT32_MAX); /* whole partitions */
    for (uint32_t p = 0; p < plan->partition_count; p++)
        task_cutter_add(&cutter, p, plan->partition_begin[p], plan->partition_begin[p + 1],
                        (uint64_t)plan_partition_size(plan, p) * kmeans.k);
    task_cutter_input(&cutter, "plan", &self->checkpoint.plan_sha);
    if (coding != NULL)
        coding_put(coding, &cutter);
    task_cutter_param(&cutter, "k", kmeans.k);
    task_cutter_param(&cutter, "seed", (double)((kmeans.seed + progress->run) % SEED_RANGE));
    task_cutter_param(&cutter, "uniform", kmeans.init == SEEDING_RANDOM);
    columns_writer_t *writer = write_state(self, progress, best);
    snprintf(out->phase, sizeof out->phase, "k-means, seeds");
    return checkpoint_leave(self->input, &cutter, &writer, out, error);
}

int kmeans_begin(step_t *self, advance_output_t *out, error_t *error)
{
    const progress_t progress = {.converged = 1};
    if (coding_pays_centres(&self->checkpoint.plan, self->input->spec->k))
        return coding_begin(self, out, error);
    return leave_seed(self, &progress, NULL, NULL, out, error);
}

int kmeans_after_encode(step_t *self, advance_output_t *out, error_t *error)
{
    const progress_t progress = {.converged = 1};
    coding_t coding;
    int code = coding_after_encode(self, &coding, error);
    return code == OK ? leave_seed(self, &progress, NULL, &coding, out, error) : code;
}

static int save_assigned(const step_t *self, const uint32_t *label, sha256_t *out, error_t *error)
{
    columns_writer_t *writer = columns_writer_new("assigned");
    columns_put(writer, "label", COLUMN_U32, label, self->checkpoint.plan.count);
    return payload_save(self->input, &writer, out, error);
}

/* The round after the last one is for all rows. */
static int is_sampled(const step_t *self, const progress_t *progress)
{
    return for_cells(self) && progress->round <= CELL_ROUNDS;
}

/* Evenly spaced runs of the partition's slots, of one size but for the last. */
static void cut_sample(uint32_t partition, uint32_t begin, uint32_t size, uint32_t centres,
                       task_cutter_t *cutter)
{
    uint64_t wanted = (uint64_t)CELL_SAMPLE * centres;
    wanted = wanted > CELL_SAMPLE_LEAST ? wanted : CELL_SAMPLE_LEAST;
    uint32_t runs = (uint32_t)((wanted < size ? wanted : size) / SAMPLE_RUN) + 1;
    for (uint32_t i = 0; i < runs; i++) {
        uint32_t from = (uint32_t)((uint64_t)size * i / runs);
        uint32_t to = (uint32_t)((uint64_t)size * (i + 1) / runs);
        to = to - from < SAMPLE_RUN ? to : from + SAMPLE_RUN;
        task_cutter_add(cutter, partition, begin + from, begin + to,
                        (uint64_t)(to - from) * centres);
    }
}

static void cut_assign(const step_t *self, const centres_t *centres, int coded, int sampled,
                       task_cutter_t *cutter)
{
    const plan_t *plan = &self->checkpoint.plan;
    task_cutter_init(cutter, TASK_ASSIGN, coded ? CODED_PAIRS_A_TASK : PAIRS_A_TASK,
                     SLOTS_A_SEGMENT);
    for (uint32_t p = 0; p < plan->partition_count; p++) {
        uint32_t size = plan_partition_size(plan, p);
        uint32_t count = centres->begin[p + 1] - centres->begin[p];
        if (sampled)
            cut_sample(p, plan->partition_begin[p], size, count, cutter);
        else
            task_cutter_add(cutter, p, plan->partition_begin[p], plan->partition_begin[p + 1],
                            (uint64_t)size * count);
    }
    task_cutter_input(cutter, "plan", &self->checkpoint.plan_sha);
}

/* `label`: of the round before, NULL in the first, and where that had other rows. */
static int leave_assign(step_t *self, const centres_t *centres, const uint32_t *label,
                        const progress_t *progress, const sha256_t *best, advance_output_t *out,
                        error_t *error)
{
    task_cutter_t cutter;
    sha256_t centres_sha, assigned;
    coding_t coding;
    int coded = coding_of(self, &coding);
    int code = centres_save(centres, self->input, &centres_sha, error);
    if (code == OK && label != NULL)
        code = save_assigned(self, label, &assigned, error);
    if (code != OK)
        return code;
    cut_assign(self, centres, coded, is_sampled(self, progress), &cutter);
    task_cutter_input(&cutter, "centres", &centres_sha);
    if (for_cells(self) && !is_sampled(self, progress))
        task_cutter_param(&cutter, "sums", 0);
    if (label != NULL)
        task_cutter_input(&cutter, "assigned", &assigned);
    if (coded)
        coding_put(&coding, &cutter);
    columns_writer_t *writer = write_state(self, progress, best);
    snprintf(out->phase, sizeof out->phase, "k-means, step %u",
             progress->earlier + progress->round);
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
    progress_t progress;
    sha256_t best;
    int has_best;
    uint32_t *rows = NULL;
    int code = read_state(self, &progress, &has_best, &best, error);
    if (code == OK)
        code = centres_init(&centres, &self->checkpoint.plan, asked(self).k, error);
    if (code != OK)
        goto fail;
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
        code = centres_distinct(&centres, error);
    progress.round = 1;
    if (code == OK)
        code = leave_assign(self, &centres, NULL, &progress, has_best ? &best : NULL, out, error);
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
    progress_t progress;
    int has_best;
    sha256_t best;
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

static int labels_settled(const round_t *self, int *settled, error_t *error)
{
    const sha256_t *before = step_input(self->step, "assigned");
    uint32_t count = self->step->checkpoint.plan.count;
    const uint32_t *label = NULL;
    payload_t payload = {0};
    *settled = 0;
    if (before == NULL)
        return OK;
    int code = payload_open(&payload, self->step->input, before, "assigned", error);
    if (code == OK)
        code = payload_u32(&payload, "label", count, &label, error);
    if (code == OK)
        *settled = memcmp(label, self->label, count * sizeof *label) == 0;
    payload_close(&payload);
    return code;
}

/* Of unit vectors 1 - d2 / 2 is the cosine; a mean inside the sphere is compared in the same way.
 */
static float strength_of(float d2) { return d2 < 2 ? 1 - d2 / 2 : 0; }

static uint32_t kinds_of(const uint32_t *label, uint32_t begin, uint32_t end)
{
    uint32_t kinds = 0;
    for (uint32_t i = begin; i < end; i++)
        kinds = label[i] >= kinds ? label[i] + 1 : kinds;
    return kinds;
}

static void report(const round_t *self, double inertia)
{
    const progress_t *progress = &self->progress;
    step_report(self->step, "iterations", json_integer(progress->earlier + progress->round));
    step_report(self->step, "converged", json_boolean((int)progress->converged));
    step_report(self->step, "inertia", json_real(inertia));
    if (self->step->input->spec->n_init > 1)
        step_report(self->step, "runs", json_integer(progress->run + 1));
}

static int finish(round_t *self, advance_output_t *out, error_t *error)
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
    for (uint32_t p = 0; p < plan->partition_count && code == OK; p++) {
        uint32_t begin = plan->partition_begin[p], end = plan->partition_begin[p + 1];
        code = clustering_append(&clustering, p, begin, end, kinds_of(self->label, begin, end),
                                 NULL, error);
    }
    report(self, inertia);
    if (code == OK)
        code = summarise_begin(self->step, &clustering, out, error);
    clustering_clear(&clustering);
    return code;
}

/* With the centres that the labels were made with: each row's own is the nearest. */
static int leave_cells(round_t *self, advance_output_t *out, error_t *error)
{
    step_t *step = self->step;
    centres_clear(&self->centres);
    int code = centres_load(&self->centres, &step->checkpoint.plan, step->input,
                            step_input(step, "centres"), error);
    return code == OK ? probing_begin(step, self->label, &self->centres, out, error) : code;
}

/* A run is over: of each partition the better labels are kept, and the next run begins. */
static int end_run(round_t *self, advance_output_t *out, error_t *error)
{
    const plan_t *plan = &self->step->checkpoint.plan;
    coding_t coding;
    sha256_t best;
    const kmeans_run_t run = {self->label, self->d2};
    int code = OK;
    if (self->has_best)
        code = kmeans_run_merge(&run, plan, self->step->input, &self->best, error);
    if (code != OK || self->progress.run + 1 >= asked(self->step).n_init)
        return code != OK ? code : finish(self, out, error);
    code = kmeans_run_save(&run, plan, self->step->input, &best, error);
    if (code != OK)
        return code;
    self->progress.earlier += self->progress.round;
    self->progress.round = 0;
    self->progress.run++;
    return leave_seed(self->step, &self->progress, &best,
                      coding_of(self->step, &coding) ? &coding : NULL, out, error);
}

static int assign_all(round_t *self, advance_output_t *out, error_t *error)
{
    self->progress.round = CELL_ROUNDS + 1;
    return leave_assign(self->step, &self->centres, NULL, &self->progress, NULL, out, error);
}

static int go_on(round_t *self, advance_output_t *out, error_t *error)
{
    const kmeans_t kmeans = asked(self->step);
    int settled;
    int code = OK;
    if (for_cells(self->step) && !is_sampled(self->step, &self->progress))
        return leave_cells(self, out, error);
    code = labels_settled(self, &settled, error);
    if (code != OK)
        return code;
    if (!settled)
        settled = centres_move(&self->centres, self->step->input->spec->metric, kmeans.tolerance);
    if (settled || self->progress.round >= kmeans.max_iterations) {
        self->progress.converged &= settled != 0;
        return for_cells(self->step) ? assign_all(self, out, error) : end_run(self, out, error);
    }
    self->progress.round++;
    return leave_assign(self->step, &self->centres, self->label, &self->progress,
                        self->has_best ? &self->best : NULL, out, error);
}

int kmeans_after_assign(step_t *self, advance_output_t *out, error_t *error)
{
    round_t round = {.step = self};
    const plan_t *plan = &self->checkpoint.plan;
    const sha256_t *centres = step_input(self, "centres");
    int code = read_state(self, &round.progress, &round.has_best, &round.best, error);
    if (code == OK && centres == NULL)
        code = error_set(error, ERR_PROTOCOL, "the stage names no centres");
    if (code == OK)
        code = centres_load(&round.centres, plan, self->input, centres, error);
    if (code != OK)
        goto fail;
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
