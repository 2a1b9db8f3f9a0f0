/* What the simulated shell reads back from the ledger: at the start all that is not settled, later a
 * job that the core has forgotten, when something is wanted of it. */
#include "world.h"

#include <string.h>

static void recover_job(world_t *self, uint32_t job)
{
    const durable_t *row = &self->jobs[job].durable;
    core_event_t event;
    memset(&event, 0, sizeof event);
    event.kind = CORE_EVENT_RECOVER_JOB;
    memcpy(event.job_id, self->jobs[job].id, sizeof event.job_id);
    event.priority = job % 3;
    event.epoch = row->epoch;
    event.state = row->state;
    event.settled = row->settled;
    event.error.code = row->error.code;
    shell_feed(self, &event);
}

static void recover_stage(world_t *self, uint32_t job)
{
    const durable_t *row = &self->jobs[job].durable;
    if (!row->has_stage)
        return;
    if (row->input_lost && job % 2 &&
        !job_state_ended(row->state)) { /* noticed before anything else: it is left out */
        self->jobs[job].watch.rewinding = 1;
        return;
    }
    core_event_t event;
    memset(&event, 0, sizeof event);
    event.kind = CORE_EVENT_RECOVER_STAGE;
    memcpy(event.job_id, self->jobs[job].id, sizeof event.job_id);
    event.epoch = row->stage_epoch;
    event.stage = row->stage;
    event.task_count = row->task_count;
    event.last = row->last;
    event.memory = self->jobs[job].model.memory;
    event.stage_sha = row->stage_sha;
    event.state_sha = row->state_sha;
    shell_feed(self, &event);
}

static void recover_tasks(world_t *self, uint32_t job)
{
    durable_t *row = &self->jobs[job].durable;
    for (uint32_t task = 0; task < MODEL_TASKS; task++) {
        if (!row->tasks[task].present)
            continue;
        row->tasks[task].told = 1;
        core_event_t event;
        memset(&event, 0, sizeof event);
        event.kind = CORE_EVENT_RECOVER_TASK;
        task_key_t key = {job, row->tasks[task].epoch, row->stage, task, 1};
        key_to_ref(self, &key, &event.ref);
        event.sha256 = model_sha(row->tasks[task].value);
        shell_feed(self, &event);
    }
}

/* Those that are not settled; of the others only how many there are. */
static void recover_all(world_t *self)
{
    for (uint32_t order = 1; order <= self->insert_count; order++)
        for (uint32_t i = 0; i < self->job_count; i++) {
            const durable_t *row = &self->jobs[i].durable;
            if (row->present && row->order == order && !row->settled)
                recover_job(self, i);
        }
    for (uint32_t i = 0; i < self->job_count; i++)
        if (!self->jobs[i].durable.settled)
            recover_stage(self, i);
    for (uint32_t i = 0; i < self->job_count; i++)
        if (!self->jobs[i].durable.settled)
            recover_tasks(self, i);
}

static void recover_counts(world_t *self)
{
    for (uint32_t i = 0; i < self->job_count; i++) {
        const durable_t *row = &self->jobs[i].durable;
        core_event_t event;
        memset(&event, 0, sizeof event);
        event.kind = CORE_EVENT_RECOVER_COUNT;
        event.state = row->state;
        event.count = 1;
        if (row->present && row->settled)
            shell_feed(self, &event);
    }
}

static int is_forgotten(const world_t *self, uint32_t job)
{
    const durable_t *row = &self->jobs[job].durable;
    return !core_knows(self->core, self->jobs[job].id) && row->present && row->settled;
}

/* Of a job that the core has forgotten: first the ledger is asked, and that takes its time. */
void shell_feed_or_recall(world_t *self, core_event_t *event)
{
    uint32_t job = job_index(event->job_id);
    if (!is_forgotten(self, job)) {
        shell_feed(self, event);
        return;
    }
    mail_t *mail = mail_at(self, MAIL_RECALL, self->now_ms + rng_between(&self->rng, 0, 30));
    mail->index = job;
    mail->verb = event->verb;
    mail->code = event->kind;
    mail->value = event->request;
}

/* What was asked for meanwhile may have brought the job back, or removed it. */
void shell_recalled(world_t *self, const mail_t *mail)
{
    core_event_t event;
    if (!self->core || mail->generation != self->generation)
        return;
    if (is_forgotten(self, mail->index)) {
        recover_job(self, mail->index);
        recover_stage(self, mail->index);
        recover_tasks(self, mail->index);
    }
    memset(&event, 0, sizeof event);
    event.kind = (core_event_kind_t)mail->code;
    event.verb = mail->verb;
    event.request = mail->value;
    memcpy(event.job_id, self->jobs[mail->index].id, sizeof event.job_id);
    world_note(self, "the ledger was asked of %s: verb %d", event.job_id, (int)mail->verb);
    shell_feed(self, &event);
}

void shell_start(world_t *self)
{
    if (self->core)
        return;
    world_note(self, "the coordinator starts");
    uint32_t generation = self->generation;
    self->core = core_new(&self->options);
    self->last_ticket = 0;
    recover_all(self);
    recover_counts(self);
    core_event_t event;
    memset(&event, 0, sizeof event);
    event.kind = CORE_EVENT_RECOVERED;
    if (self->generation == generation)
        shell_feed(self, &event);
}
