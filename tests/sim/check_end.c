/* What the checker learns when an operation, a life of the coordinator, or a run ends. */
#include "world.h"

#include <string.h>

void check_done(world_t *self, const op_t *op)
{
    watch_t *watch = &self->jobs[op->job].watch;
    switch (op->kind) {
    case CORE_ACTION_SAVE_JOB:
    case CORE_ACTION_SAVE_STAGE:
        watch->row_ops--;
        watch->must_merge |= op->kind == CORE_ACTION_SAVE_STAGE && op->lost;
        if (op->kind == CORE_ACTION_SAVE_STAGE && !op->lost)
            watch->unsure = op->code != OK;
        if (op->kind == CORE_ACTION_SAVE_STAGE && op->code == OK && op->stage == 0 &&
            op->epoch >= watch->epoch_floor)
            watch->rewinding = 0;
        break;
    case CORE_ACTION_SAVE_RESULT:
        watch->result_ops--;
        if (same_key(&watch->saving_key[op->key.task], &op->key))
            watch->saving[op->key.task] = op->code == OK ? SAVING_NOT : SAVING_AGAIN;
        break;
    case CORE_ACTION_REMOVE:
        watch->purge_ops--;
        break;
    case CORE_ACTION_PURGE:
        watch->purge_ops--;
        watch->purged = 1;
        watch->purged_well = op->code == OK;
        break;
    default:
        watch->advance_ops--;
        watch->written |= op->kind == CORE_ACTION_WRITE && op->code == OK;
        break;
    }
}

/* The coordinator's memory is gone, and so is everything that was under way. */
void check_crash(world_t *self)
{
    for (uint32_t i = 0; i < self->job_count; i++) {
        watch_t *watch = &self->jobs[i].watch;
        const durable_t *row = &self->jobs[i].durable;
        watch->row_ops = watch->result_ops = watch->advance_ops = watch->purge_ops = 0;
        watch->purged = 0;
        watch->retry_taken = watch->revived = watch->rewinding = watch->unsure = 0;
        watch->must_plan = watch->must_merge = 0;
        memset(watch->saving, 0, sizeof watch->saving);
        watch->pause_wanted = in(row->state, JOB_PAUSING, JOB_PAUSED);
        watch->cancel_wanted = in(row->state, JOB_CANCELLING, JOB_CANCELLED);
        watch->epoch_floor = watch->dispatch_epoch ? watch->dispatch_epoch + 1 : 0;
        watch->top_epoch = row->epoch;
    }
    for (size_t i = 0; i < self->holding_count; i++) {
        self->holdings[i].known = 0;
        self->holdings[i].key_count = 0;
    }
}

/* ---- after the last fault everything ends ---- */

static void check_job_end(world_t *self, const sim_job_t *job)
{
    const durable_t *row = &job->durable;
    REQUIRE(!job->watch.acknowledged || row->present || job->watch.removed,
            "%s was acknowledged, and is lost", job->id);
    if (!row->present)
        return;
    REQUIRE(row->state != JOB_COMPLETED ||
                (row->has_outcome && row->outcome == model_outcome(&job->model)),
            "%s is completed without the outcome of the fault-free run", job->id);
    REQUIRE(!job_state_ended(row->state) || row->state == JOB_FAILED || !row->has_stage,
            "%s has ended, and left tasks in the ledger", job->id);
    REQUIRE(!in(row->state, JOB_FAILED, JOB_CANCELLED) || !row->has_outcome,
            "%s is %s, and its outcome can be seen", job->id, job_state_name(row->state));
    REQUIRE(!job_state_ended(row->state) || !core_knows(self->core, job->id),
            "%s has ended, and the core has not forgotten it", job->id);
}

/* Forgotten jobs are counted as ever. A row whose save was refused counts from the next start on. */
static void check_counts(world_t *self)
{
    size_t counts[JOB_STATE_COUNT] = {0};
    for (uint32_t i = 0; i < self->job_count; i++) {
        const durable_t *row = &self->jobs[i].durable;
        if (row->present && (row->settled || core_knows(self->core, self->jobs[i].id)))
            counts[row->state]++;
    }
    for (int state = 0; state < JOB_STATE_COUNT; state++)
        REQUIRE(core_job_count(self->core, (job_state_t)state) == counts[state],
                "the core counts %zu jobs as %s, and there are %zu",
                core_job_count(self->core, (job_state_t)state), job_state_name((job_state_t)state),
                counts[state]);
}

void check_end(world_t *self)
{
    for (uint32_t i = 0; i < self->job_count; i++)
        check_job_end(self, &self->jobs[i]);
    check_counts(self);
    REQUIRE(self->payload_count == 0, "%zu payloads were neither acknowledged nor dropped",
            self->payload_count);
    for (uint32_t i = 0; i < self->request_count; i++)
        REQUIRE(self->requests[i].answered, "request %u was never answered", i + 1);
}
