#include "coordinator/merge/advance.h"

#include "coordinator/merge/coding.h"
#include "coordinator/merge/pair_table.h"
#include "coordinator/merge/probing.h"
#include "coordinator/merge/steps.h"
#include "coordinator/plan/planner.h"

#include <stdlib.h>
#include <string.h>

const sha256_t *step_input(const step_t *self, const char *name)
{
    for (size_t i = 0; i < self->stage.input_count; i++)
        if (!strcmp(self->stage.inputs[i].name, name))
            return &self->stage.inputs[i].sha256;
    return NULL;
}

void step_report(step_t *self, const char *key, json_t *value)
{
    json_object_set_new(self->checkpoint.report, key, value);
}

static int has_codes(const job_spec_t *spec, const plan_t *plan)
{
    uint32_t k = plan_list_length(spec, plan_largest_partition(plan));
    if (probing_wanted(spec, plan))
        return 1;
    return spec->algorithm == ALGORITHM_KMEANS ? coding_pays_centres(plan, spec->k)
                                               : coding_pays(spec, plan, k);
}

static int check_memory(const advance_input_t *input, const planned_t *planned, error_t *error)
{
    const plan_t *plan = &planned->plan;
    memory_shape_t shape = {.rows = plan->count,
                            .dimension = plan->dimension,
                            .partitions = plan->partition_count,
                            .largest = plan_largest_partition(plan),
                            .metadata_bytes = planned->metadata_bytes,
                            .vectors = input->memory.vectors};
    if (has_codes(input->spec, plan))
        shape.code_width = memory_code_width(plan->dimension);
    for (uint32_t p = 0; p < plan->partition_count; p++)
        shape.pairs += plan_pairs(plan, p);
    uint64_t need = memory_need(input->spec, &shape, &input->memory);
    json_object_set_new(planned->report, "memory_foreseen_bytes", json_integer((json_int_t)need));
    return memory_check(input->spec, &shape, &input->memory, error);
}

/* Plans, and makes the checkpoint that a later call would read. */
static int plan_first(step_t *self, error_t *error)
{
    const advance_input_t *input = self->input;
    checkpoint_t *checkpoint = &self->checkpoint;
    planned_t planned = {0};
    uint8_t *bytes = NULL;
    size_t length;
    int code = planner_run(input->spec, input->indices_folder, input->cache_folder, input->stop,
                           &planned, error);
    if (code != OK)
        return code;
    code = check_memory(input, &planned, error);
    if (code != OK) {
        planned_clear(&planned);
        return code;
    }
    checkpoint->plan = planned.plan;
    checkpoint->report = planned.report;
    checkpoint->index_fingerprint = planned.index_fingerprint;
    checkpoint->metadata_fingerprint = planned.metadata_fingerprint;
    code = plan_encode(&checkpoint->plan, &bytes, &length, error);
    return code == OK ? payload_save_bytes(input, bytes, length, &checkpoint->plan_sha, error)
                      : code;
}

static int read_stage(step_t *self, error_t *error)
{
    const advance_input_t *input = self->input;
    uint8_t *bytes = NULL;
    size_t length;
    int code = spool_get(input->spool, input->job_id, &input->stage_sha, &bytes, &length, error);
    if (code == OK)
        code = stage_decode(bytes, length, &self->stage, error);
    free(bytes);
    if (code == OK && self->stage.task_count != input->result_count)
        code = error_set(error, ERR_INTERNAL, "%u results of a stage of %u tasks",
                         input->result_count, self->stage.task_count);
    return code;
}

/* What the codes are for. */
static int after_encode(step_t *self, advance_output_t *out, error_t *error)
{
    static int (*const AFTER[ALGORITHM_COUNT])(step_t *, advance_output_t *, error_t *) = {
        [ALGORITHM_HDBSCAN] = hdbscan_after_encode,
        [ALGORITHM_KMEANS] = kmeans_after_encode,
        [ALGORITHM_AGGLOMERATIVE] = agglomerative_after_encode,
        [ALGORITHM_PAIRS] = pairs_after_encode,
        [ALGORITHM_TWO_STAGE] = hdbscan_after_encode, /* never met: it has cells */
    };
    if (probing_wanted(self->input->spec, &self->checkpoint.plan))
        return kmeans_after_encode(self, out, error); /* of the cells */
    return AFTER[self->input->spec->algorithm](self, out, error);
}

static int fold(step_t *self, advance_output_t *out, error_t *error)
{
    static int (*const FOLDS[TASK_KIND_COUNT])(step_t *, advance_output_t *, error_t *) = {
        [TASK_KNN] = hdbscan_after_knn,
        [TASK_REACH] = hdbscan_after_reach,
        [TASK_SEED] = kmeans_after_seed,
        [TASK_ASSIGN] = kmeans_after_assign,
        [TASK_SILHOUETTE] = quality_end,
        [TASK_SUMMARISE] = summarise_end,
        [TASK_ROTATE] = coding_after_rotate,
        [TASK_ENCODE] = after_encode,
        [TASK_LINKAGE] = agglomerative_after_linkage,
        [TASK_PAIRS] = pairs_after_pairs,
        [TASK_NEAR] = hdbscan_after_near,
        [TASK_PROBE] = probing_after_probe,
        [TASK_VERIFY] = hdbscan_after_verify,
        [TASK_DENSITY] = dbcv_after_density,
        [TASK_SEPARATION] = dbcv_after_separation,
    };
    int code = read_stage(self, error);
    if (code == OK)
        code = checkpoint_read(&self->checkpoint, self->input, error);
    return code == OK ? FOLDS[self->stage.kind](self, out, error) : code;
}

static int begin(step_t *self, advance_output_t *out, error_t *error)
{
    int code = plan_first(self, error);
    if (code != OK)
        return code;
    out->memory = (uint64_t)json_integer_value(
        json_object_get(self->checkpoint.report, "memory_foreseen_bytes"));
    static int (*const BEGINS[ALGORITHM_COUNT])(step_t *, advance_output_t *, error_t *) = {
        [ALGORITHM_HDBSCAN] = hdbscan_begin,
        [ALGORITHM_KMEANS] = kmeans_begin,
        [ALGORITHM_AGGLOMERATIVE] = agglomerative_begin,
        [ALGORITHM_PAIRS] = pairs_begin,
        [ALGORITHM_TWO_STAGE] = hdbscan_begin,
    };
    return BEGINS[self->input->spec->algorithm](self, out, error);
}

/* Single linkage is the spanning tree that HDBSCAN* grows when every row is its own core; a decay
 * makes a window, beyond which no pair is heavy enough or, in hdbscan, that of all days there are. */
static void resolve(const job_spec_t *spec, job_spec_t *out)
{
    *out = *spec; /* borrows the filter */
    if (spec->algorithm == ALGORITHM_HDBSCAN && spec->decay != DECAY_NONE)
        out->window_days = pair_table_window(spec);
    if (spec->algorithm != ALGORITHM_AGGLOMERATIVE && spec->algorithm != ALGORITHM_PAIRS)
        return;
    out->min_cluster_size = 2;
    out->min_samples = 1;
    out->window_days = pair_table_window(spec);
}

int advance(const advance_input_t *input, advance_output_t *out, error_t *error)
{
    job_spec_t spec;
    advance_input_t read = *input;
    step_t step = {.input = &read};
    memset(out, 0, sizeof *out);
    resolve(input->spec, &spec);
    read.spec = &spec;
    int code = advance_stopped(input, error);
    if (code == OK)
        code = input->first ? begin(&step, out, error) : fold(&step, out, error);
    checkpoint_clear(&step.checkpoint);
    stage_clear(&step.stage);
    return code;
}
