#include "coordinator/core/core_inner.h"
#include "coordinator/core/memory.h"

#include <stdlib.h>
#include <string.h>

void core_actions_clear(core_actions_t *self)
{
    free(self->items);
    memset(self, 0, sizeof *self);
}

core_action_t *core_act(core_t *self, core_action_kind_t kind)
{
    core_actions_t *actions = self->actions;
    actions->items =
        core_room(actions->items, actions->count, &actions->capacity, sizeof *actions->items);
    core_action_t *action = &actions->items[actions->count++];
    memset(action, 0, sizeof *action);
    action->kind = kind;
    return action;
}

core_action_t *core_act_job(core_t *self, core_action_kind_t kind, const core_job_t *job)
{
    core_action_t *action = core_act(self, kind);
    memcpy(action->job_id, job->id, sizeof action->job_id);
    action->epoch = job->epoch;
    action->state = job->state;
    return action;
}

void core_act_ref(core_t *self, core_action_kind_t kind, uint32_t worker, const task_ref_t *ref)
{
    core_action_t *action = core_act(self, kind);
    action->worker = worker;
    action->ref = *ref;
    memcpy(action->job_id, ref->job_id, sizeof action->job_id);
}

void core_reply(core_t *self, uint64_t request, const char *job_id, const error_t *error)
{
    if (request == 0)
        return;
    core_action_t *action = core_act(self, CORE_ACTION_REPLY);
    action->request = request;
    memccpy(action->job_id, job_id, 0, sizeof action->job_id - 1);
    if (error)
        action->error = *error;
}
