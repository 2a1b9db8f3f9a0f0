#include "worker/tasks/task_run.h"

#include "worker/tasks/task_state.h"

static const task_kind_fn KINDS[TASK_KIND_COUNT] = {
    [TASK_KNN] = task_knn,
    [TASK_REACH] = task_reach,
    [TASK_SEED] = task_seed,
    [TASK_ASSIGN] = task_assign,
    [TASK_SUMMARISE] = task_summarise,
    [TASK_ROTATE] = task_rotate,
    [TASK_SILHOUETTE] = task_silhouette,
    [TASK_PROBE] = task_probe,
    [TASK_ENCODE] = task_encode,
    [TASK_LINKAGE] = task_linkage,
    [TASK_PAIRS] = task_pairs,
    [TASK_NEAR] = task_near,
    [TASK_VERIFY] = task_verify,
    [TASK_DENSITY] = task_density,
    [TASK_SEPARATION] = task_reach, /* of clusters instead of components */
};

static int open_plan(task_state_t *state, error_t *error)
{
    const flat_index_t *index = state->context->index;
    const void *bytes;
    size_t length;
    int code = task_state_bytes(state, "plan", &bytes, &length, error);
    if (!code)
        code = plan_view_open(&state->plan, bytes, length, flat_index_rows(index), error);
    if (code)
        return code;
    if (state->plan.dimension == state->task->dimension &&
        flat_index_dimension(index) == state->task->dimension)
        return OK;
    return error_set(error, ERR_PROTOCOL, "task has %u dimensions, its plan %u, the index %u",
                     state->task->dimension, state->plan.dimension, flat_index_dimension(index));
}

/* The factors by days apart, of stages whose job has a decay. */
static int open_decay(task_state_t *state, error_t *error)
{
    const void *factor;
    size_t count = 0;
    if (!task_input(state->task, "decay"))
        return OK;
    int code = task_state_input(state, "decay", &state->decay_columns, error);
    if (!code)
        code = columns_get(state->decay_columns, "factor", COLUMN_F64, SIZE_MAX, &factor, &count,
                           error);
    if (code)
        return code;
    state->decay = (pair_weight_t){.count = count, .factor = factor};
    for (size_t i = 0; i < count; i++)
        if (!(state->decay.factor[i] >= 0 && state->decay.factor[i] <= 1))
            return error_set(error, ERR_PROTOCOL, "decay: a factor of %g", state->decay.factor[i]);
    return OK;
}

int task_run(const task_t *task, const task_context_t *context, uint8_t **payload, size_t *length,
             error_t *error)
{
    task_state_t state = {.task = task, .context = context, .dimension = task->dimension};
    *payload = NULL;
    *length = 0;
    if ((unsigned)task->kind >= TASK_KIND_COUNT)
        return error_set(error, ERR_PROTOCOL, "unknown task kind %d", (int)task->kind);
    if (task->segment_count && !task->segments)
        return error_set(error, ERR_PROTOCOL, "a task of %u segments without them",
                         task->segment_count);
    int code = open_plan(&state, error);
    if (!code)
        code = open_decay(&state, error);
    if (!code) {
        screen_init(&state.screen, state.dimension);
        code = task_state_check_stop(&state, error);
    }
    if (!code)
        code = KINDS[task->kind](&state, payload, length, error);
    if (!code)
        task_state_advance(&state, task->work);
    plan_view_close(&state.plan);
    columns_close(&state.decay_columns);
    return code;
}
