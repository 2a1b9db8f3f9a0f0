#include "worker/tasks/task_state.h"

int task_state_bytes(const task_state_t *state, const char *name, const void **bytes,
                     size_t *length, error_t *error)
{
    const sha256_t *sha256 = task_input(state->task, name);
    if (!sha256)
        return error_set(error, ERR_PROTOCOL, "a %s task needs the input \"%s\"",
                         task_kind_name(state->task->kind), name);
    int code = state->context->input(state->context->input_context, sha256, bytes, length, error);
    return code ? error_wrap(error, "input \"%s\"", name) : OK;
}

int task_state_input(const task_state_t *state, const char *name, columns_t **out, error_t *error)
{
    const void *bytes;
    size_t length;
    int code = task_state_bytes(state, name, &bytes, &length, error);
    return code ? code : columns_open(bytes, length, name, out, error);
}

int task_state_whole(const task_state_t *state, const char *name, uint64_t low, uint64_t high,
                     uint64_t *out, error_t *error)
{
    double value = task_param(state->task, name, -1);
    if (!(value >= (double)low && value <= (double)high) || value != (double)(uint64_t)value)
        return error_field(error, ERR_PROTOCOL, name,
                           "a %s task needs a whole number \"%s\" of %llu to %llu, got %g",
                           task_kind_name(state->task->kind), name, (unsigned long long)low,
                           (unsigned long long)high, value);
    *out = (uint64_t)value;
    return OK;
}

int task_state_slots(const task_state_t *state, size_t *count, error_t *error)
{
    *count = 0;
    for (uint32_t i = 0; i < state->task->segment_count; i++) {
        const segment_t *segment = &state->task->segments[i];
        int code = plan_view_check(&state->plan, segment, error);
        if (code)
            return code;
        *count += segment->end - segment->begin;
    }
    return OK;
}

int task_state_find(const task_state_t *state, const uint32_t *rows, size_t count, float *room,
                    const float **out, error_t *error)
{
    const task_context_t *context = state->context;
    return kept_vectors_find(context->vectors, context->index, rows, count, room, out, error);
}

int task_state_copy(const task_state_t *state, const uint32_t *rows, size_t count, float *out,
                    error_t *error)
{
    const task_context_t *context = state->context;
    return kept_vectors_copy(context->vectors, context->index, rows, count, out, error);
}

int task_state_stopped(const task_state_t *state)
{
    return state->context->stop && atomic_load(state->context->stop);
}

int task_state_check_stop(const task_state_t *state, error_t *error)
{
    if (!task_state_stopped(state))
        return OK;
    return error_set(error, ERR_CANCELLED, "the %s task was stopped",
                     task_kind_name(state->task->kind));
}

void task_state_advance(const task_state_t *state, uint64_t pairs)
{
    atomic_uint_fast64_t *counter = state->context->work_done;
    if (!counter)
        return;
    uint_fast64_t old = atomic_load(counter);
    uint_fast64_t grown;
    do {
        uint64_t left = old < state->task->work ? state->task->work - old : 0;
        grown = old + (pairs < left ? pairs : left);
    } while (!atomic_compare_exchange_weak(counter, &old, grown));
}
