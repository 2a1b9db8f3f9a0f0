#include "coordinator/merge/pairing.h"

#include "coordinator/merge/decay.h"
#include "proto/payload.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define NEAR_PLACES_A_TASK 4096u
#define NEAR_PLACES_A_TASK_LEAST 2048u
#define NEAR_PLACES_A_SEGMENT 1024u

static int takes_part(const step_t *self, uint32_t partition)
{
    return plan_partition_size(&self->checkpoint.plan, partition) >=
           self->input->spec->min_cluster_size;
}

int pairing_begin(step_t *self, const coding_t *coding, uint32_t least, advance_output_t *out,
                  error_t *error)
{
    const plan_t *plan = &self->checkpoint.plan;
    task_cutter_t cutter;
    sha256_t decay;
    int decays;
    int code = decay_save(self, &decays, &decay, error);
    if (code != OK)
        return code;
    task_cutter_init(&cutter, TASK_NEAR,
                     task_cutter_even(plan->count, NEAR_PLACES_A_TASK, NEAR_PLACES_A_TASK_LEAST),
                     NEAR_PLACES_A_SEGMENT);
    for (uint32_t p = 0; p < plan->partition_count; p++)
        if (takes_part(self, p))
            task_cutter_add(&cutter, p, plan->partition_begin[p], plan->partition_begin[p + 1],
                            plan_partition_size(plan, p));
    task_cutter_input(&cutter, "plan", &self->checkpoint.plan_sha);
    coding_put(coding, &cutter);
    if (decays)
        task_cutter_input(&cutter, "decay", &decay);
    task_cutter_param(&cutter, "k", least);
    columns_writer_t *writer = checkpoint_writer(&self->checkpoint, "state");
    snprintf(out->phase, sizeof out->phase, "bounds");
    return checkpoint_leave(self->input, &cutter, &writer, out, error);
}

/* ---- the bounds of all places ---- */

static int take_bounds(const step_t *self, uint32_t task, float *bound, error_t *error)
{
    const stage_t *stage = &self->stage;
    payload_t result = {0};
    const float *values;
    size_t places = 0;
    for (uint32_t s = stage->segment_begin[task]; s < stage->segment_begin[task + 1]; s++)
        places += stage->segments[s].end - stage->segments[s].begin;
    int code = result_open(&result, self->input, task, "bounds", error);
    if (code != OK)
        goto done;
    code = payload_f32(&result, "bound", places, &values, error);
    for (uint32_t s = stage->segment_begin[task]; s < stage->segment_begin[task + 1] && code == OK;
         s++)
        for (uint32_t place = stage->segments[s].begin; place < stage->segments[s].end; place++) {
            bound[place] = *values++;
            if (!(bound[place] >= 0))
                code = error_set(error, ERR_SHAPE, "place %u has the bound %g", place,
                                 (double)bound[place]);
        }
    if (code != OK)
        code = result_blame(task, code, error);
done:
    payload_close(&result);
    return code;
}

static int gather_bounds(const step_t *self, sha256_t *out, error_t *error)
{
    size_t places = self->checkpoint.plan.count;
    float *bound = malloc((places + 1) * sizeof *bound);
    if (bound == NULL)
        return error_set(error, ERR_MEMORY, "out of memory for the bounds of %zu rows", places);
    for (size_t i = 0; i < places; i++)
        bound[i] = INFINITY;
    int code = OK;
    for (uint32_t t = 0; t < self->stage.task_count && code == OK; t++)
        code = take_bounds(self, t, bound, error);

    if (code == OK) {
        columns_writer_t *writer = columns_writer_new("near");
        columns_put(writer, "bound", COLUMN_F32, bound, places);
        code = payload_save(self->input, &writer, out, error);
    }
    free(bound);
    return code;
}

/* ---- the tasks ---- */

/* Where the columns of a partition's first `rows` places end: days rise with the places. */
static uint32_t columns_end(const plan_t *plan, uint32_t partition, uint32_t last)
{
    uint32_t end = plan->partition_begin[partition + 1];
    if (plan->partition_window[partition] < 0 || plan->day == NULL)
        return end;
    int64_t until = (int64_t)plan->day[last] + plan->partition_window[partition];
    uint32_t low = last + 1;
    while (low < end) {
        uint32_t middle = low + (end - low) / 2;
        if (plan->day[middle] <= until)
            low = middle + 1;
        else
            end = middle;
    }
    return end;
}

/* Columns beside rows [begin, end): in as many pieces as make tasks of the quantum, none narrower
 * than the rows. */
static void cut_strip(task_cutter_t *cutter, const plan_t *plan, uint32_t partition, uint32_t begin,
                      uint32_t end)
{
    uint32_t rows = end - begin;
    uint32_t width = columns_end(plan, partition, end - 1) - begin;
    double pairs_a_row = (double)plan_pairs(plan, partition) / plan_partition_size(plan, partition);
    double most = pairs_a_row < width ? pairs_a_row : width;
    uint64_t pieces = (uint64_t)(most * rows / (double)cutter->quantum + 0.5);
    pieces = pieces < width / rows ? pieces : width / rows;
    pieces = pieces > 0 ? pieces : 1;
    for (uint64_t i = 0; i < pieces; i++) {
        uint32_t from = begin + (uint32_t)(width * i / pieces);
        uint32_t to = begin + (uint32_t)(width * (i + 1) / pieces);
        double work = most * rows * (to - from) / width;
        if (i == 0)
            work -= (double)rows * rows / 2; /* the half left of the diagonal */
        task_cutter_patch(cutter, (segment_t){partition, begin, end},
                          (segment_t){partition, from, to}, work > 1 ? (uint64_t)work : 1);
    }
}

static void cut_partition(task_cutter_t *cutter, const plan_t *plan, uint32_t partition)
{
    uint32_t size = plan_partition_size(plan, partition);
    uint32_t rows = task_cutter_rows(cutter->quantum);
    uint32_t strips = (size + rows - 1) / rows;
    for (uint32_t i = 0; i < strips; i++) {
        uint32_t begin = plan->partition_begin[partition];
        cut_strip(cutter, plan, partition, begin + (uint32_t)((uint64_t)size * i / strips),
                  begin + (uint32_t)((uint64_t)size * (i + 1) / strips));
    }
}

static uint64_t quantum_of(const step_t *self)
{
    const plan_t *plan = &self->checkpoint.plan;
    double pairs = 0;
    for (uint32_t p = 0; p < plan->partition_count; p++)
        if (takes_part(self, p))
            pairs += (double)plan_pairs(plan, p) / 2;
    return task_cutter_quantum(pairs);
}

int pairing_after_near(step_t *self, uint32_t k, advance_output_t *out, error_t *error)
{
    const plan_t *plan = &self->checkpoint.plan;
    coding_t coding;
    sha256_t near;
    task_cutter_t cutter;
    if (!coding_of(self, &coding))
        return error_set(error, ERR_INTERNAL, "bounds without codes");
    int code = gather_bounds(self, &near, error);
    if (code != OK)
        return code;
    task_cutter_init(&cutter, TASK_KNN, quantum_of(self), 1);
    for (uint32_t p = 0; p < plan->partition_count; p++)
        if (takes_part(self, p))
            cut_partition(&cutter, plan, p);
    task_cutter_input(&cutter, "plan", &self->checkpoint.plan_sha);
    coding_put(&coding, &cutter);
    task_cutter_input(&cutter, "near", &near);
    if (step_input(self, "decay") != NULL)
        task_cutter_input(&cutter, "decay", step_input(self, "decay"));
    task_cutter_param(&cutter, "k", k);
    columns_writer_t *writer = checkpoint_writer(&self->checkpoint, "state");
    snprintf(out->phase, sizeof out->phase, "neighbours");
    return checkpoint_leave(self->input, &cutter, &writer, out, error);
}
