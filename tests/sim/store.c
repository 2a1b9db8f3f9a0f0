/* The simulated ledger, spool and result store: what each operation changes for good. */
#include "world.h"

#include <string.h>

static int save_job(world_t *self, const op_t *op)
{
    durable_t *row = &self->jobs[op->job].durable;
    if (row->present && op->epoch < row->epoch)
        return ERR_CONFLICT;
    if (!row->present)
        row->order = ++self->insert_count;
    row->present = 1;
    row->epoch = op->epoch;
    row->state = op->state;
    row->settled = op->settled;
    row->error = op->error;
    return OK;
}

void store_remember(world_t *self, uint32_t job)
{
    durable_t *row = &self->jobs[job].durable;
    if (!row->has_stage || row->last)
        return;
    for (uint32_t task = 0; task < row->task_count; task++) {
        if (!row->tasks[task].present)
            continue;
        row->memo[row->stage][task].present = 1;
        row->memo[row->stage][task].value = row->tasks[task].value;
        row->memo[row->stage][task].payload = row->tasks[task].payload;
    }
}

static void recall(durable_t *row, const op_t *op)
{
    for (uint32_t task = 0; !op->last && task < op->task_count; task++) {
        if (row->tasks[task].present || !row->memo[op->stage][task].present ||
            !row->memo[op->stage][task].payload)
            continue;
        row->tasks[task].present = 1;
        row->tasks[task].payload = 1;
        row->tasks[task].told = op->code == OK;
        row->tasks[task].epoch = op->epoch;
        row->tasks[task].value = row->memo[op->stage][task].value;
    }
}

static int save_stage(world_t *self, const op_t *op)
{
    durable_t *row = &self->jobs[op->job].durable;
    if (!row->present || op->epoch < row->epoch)
        return ERR_CONFLICT;
    if (!row->has_stage || row->stage != op->stage)
        memset(row->tasks, 0, sizeof row->tasks);
    if (op->stage == 0)
        row->input_lost = 0; /* all of it was made again */
    recall(row, op);
    row->has_stage = 1;
    row->stage_epoch = op->epoch;
    row->stage = op->stage;
    row->task_count = op->task_count;
    row->last = op->last;
    row->stage_sha = op->stage_sha;
    row->state_sha = op->state_sha;
    return OK;
}

static int save_result(world_t *self, const op_t *op)
{
    durable_t *row = &self->jobs[op->job].durable;
    const payload_t *payload = NULL;
    for (size_t i = 0; i < self->payload_count; i++) {
        if (self->payloads[i].worker == op->worker && same_key(&self->payloads[i].key, &op->key))
            payload = &self->payloads[i];
    }
    if (!payload) {
        world_violated(self, "a result is saved whose payload was let go");
        return ERR_INTERNAL;
    }
    if (!row->present || op->key.epoch < row->epoch)
        return ERR_CONFLICT;
    row->tasks[op->key.task].present = 1;
    row->tasks[op->key.task].payload = 1;
    row->tasks[op->key.task].told = op->code == OK;
    row->tasks[op->key.task].epoch = op->key.epoch;
    row->tasks[op->key.task].value = payload->value;
    return OK;
}

static int write_outcome(world_t *self, const op_t *op)
{
    sim_job_t *job = &self->jobs[op->job];
    uint64_t value = model_value(&op->state_sha);
    if (value != model_outcome(&job->model))
        world_violated(self, "job %u is written with another outcome than the fault-free run",
                       op->job);
    job->durable.has_outcome = 1;
    job->durable.outcome = value;
    return OK;
}

static int purge(world_t *self, const op_t *op)
{
    durable_t *row = &self->jobs[op->job].durable;
    row->settled = job_state_ended(row->state) && row->state != JOB_REMOVING;
    if (op->state != JOB_COMPLETED)
        row->has_outcome = 0;
    if (op->state == JOB_FAILED)
        return OK;
    row->has_stage = 0;
    memset(row->tasks, 0, sizeof row->tasks);
    memset(row->memo, 0, sizeof row->memo);
    row->input_lost = 0;
    return OK;
}

/* All of it, the row last: killed in between, the row says what is to be done. */
static int remove_job(world_t *self, const op_t *op)
{
    durable_t *row = &self->jobs[op->job].durable;
    uint32_t order = row->order;
    int row_too = self->quiet || rng_chance(&self->rng, 0.8);
    durable_t kept = {
        .present = row->present, .order = order, .epoch = row->epoch, .state = row->state};
    *row = kept;
    if (!row_too)
        return ERR_UNAVAILABLE;
    row->present = 0;
    self->jobs[op->job].watch.removed = 1;
    return OK;
}

int store_apply(world_t *self, op_t *op)
{
    switch (op->kind) {
    case CORE_ACTION_SAVE_JOB:
        return save_job(self, op);
    case CORE_ACTION_SAVE_STAGE:
        return save_stage(self, op);
    case CORE_ACTION_SAVE_RESULT:
        return save_result(self, op);
    case CORE_ACTION_WRITE:
        return write_outcome(self, op);
    case CORE_ACTION_PURGE:
        return purge(self, op);
    case CORE_ACTION_REMOVE:
        return remove_job(self, op);
    case CORE_ACTION_ADVANCE:
        if (!op->first)
            store_remember(self, op->job);
        return OK;
    default:
        return OK;
    }
}
