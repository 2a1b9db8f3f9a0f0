/* The simulated shell: feeds the core events, and carries its actions out with delays and faults.
 */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint32_t job_index(const char *job_id) { return (uint32_t)atoi(job_id + 4); }

void key_to_ref(const world_t *self, const task_key_t *key, task_ref_t *out)
{
    memcpy(out->job_id, self->jobs[key->job].id, sizeof out->job_id);
    out->epoch = key->epoch;
    out->stage = key->stage;
    out->task = key->task;
    out->attempt = key->attempt;
}

task_key_t ref_to_key(const task_ref_t *ref)
{
    return (task_key_t){job_index(ref->job_id), ref->epoch, ref->stage, ref->task, ref->attempt};
}

/* ---- payloads: kept by (worker, ref) until ACK or DROP ---- */

static void keep_payload(world_t *self, uint32_t worker, const task_key_t *key, uint64_t value)
{
    for (size_t i = 0; i < self->payload_count; i++) {
        payload_t *payload = &self->payloads[i];
        if (payload->worker == worker && same_key(&payload->key, key)) {
            payload->value = value;
            return;
        }
    }
    if (self->payload_count == WORLD_PAYLOADS) {
        world_violated(self, "the shell is left with %d payloads", WORLD_PAYLOADS);
        return;
    }
    self->payloads[self->payload_count++] = (payload_t){worker, *key, value};
}

static void let_payload_go(world_t *self, uint32_t worker, const task_key_t *key)
{
    for (size_t i = 0; i < self->payload_count; i++) {
        if (self->payloads[i].worker == worker && same_key(&self->payloads[i].key, key)) {
            self->payloads[i] = self->payloads[--self->payload_count];
            return;
        }
    }
}

/* ---- operations ---- */

static int is_save(core_action_kind_t kind)
{
    return kind == CORE_ACTION_SAVE_JOB || kind == CORE_ACTION_SAVE_STAGE ||
           kind == CORE_ACTION_SAVE_RESULT;
}

/* ADVANCE reads the results; a payload that is gone is named, a result that is missing is a bug. */
static int advance_inputs(world_t *self, const op_t *op, uint64_t *results)
{
    const sim_job_t *job = &self->jobs[op->job];
    for (uint32_t task = 0; task < op->task_count; task++) {
        sha256_t sha;
        if (!core_result(self->core, job->id, task, &sha)) {
            world_violated(self, "job %u stage %u is merged without result %u", op->job, op->stage,
                           task);
            return -1;
        }
        results[task] = model_value(&sha);
        if (!job->durable.tasks[task].payload || job->durable.tasks[task].value != results[task])
            return (int)task;
    }
    return -1;
}

static void prepare_advance(world_t *self, op_t *op)
{
    uint64_t results[MODEL_TASKS];
    const model_t *model = &self->jobs[op->job].model;
    if (op->first) {
        op->next_state = model_first_state(model);
        return;
    }
    if (self->jobs[op->job].durable.input_lost) {
        op->code = ERR_NOT_FOUND;
        op->lost = 1;
        return;
    }
    int broken = advance_inputs(self, op, results);
    if (broken >= 0) {
        op->code = ERR_NOT_FOUND;
        op->key = (task_key_t){op->job, op->epoch, op->stage, (uint32_t)broken, 0};
        self->jobs[op->job].watch.blame[op->stage][broken]++;
        return;
    }
    if (!self->violated)
        op->next_state = model_fold(model_value(&op->state_sha), results, op->task_count);
}

static int64_t op_duration(world_t *self, const op_t *op)
{
    if (op->kind == CORE_ACTION_ADVANCE || op->kind == CORE_ACTION_WRITE)
        return rng_between(&self->rng, 2, 300);
    if (!self->quiet && rng_chance(&self->rng, self->faults.save_slow))
        return rng_between(&self->rng, 20, 1500);
    return rng_between(&self->rng, 0, 10);
}

/* Whether the operation fails, and whether it does its work nevertheless. */
static void decide_fate(world_t *self, op_t *op)
{
    watch_t *watch = &self->jobs[op->job].watch;
    double chance = op->kind == CORE_ACTION_ADVANCE || op->kind == CORE_ACTION_WRITE
                        ? self->faults.advance_fails
                        : self->faults.save_fails;
    op->has_effect = 1;
    if (op->kind == CORE_ACTION_SAVE_STAGE && !self->quiet && self->faults.lost_inputs &&
        rng_chance(&self->rng, 0.1)) {
        op->code = ERR_NOT_FOUND;
        op->lost = 1;
        watch->store_errors++;
        return;
    }
    if (self->quiet || op->code != OK || !rng_chance(&self->rng, chance))
        return;
    op->code = ERR_UNAVAILABLE;
    op->has_effect = rng_chance(&self->rng, 0.5);
    watch->store_errors++;
    if (!is_save(op->kind) && op->kind != CORE_ACTION_PURGE && op->kind != CORE_ACTION_REMOVE &&
        rng_chance(&self->rng, 0.1)) {
        op->code = ERR_INTERNAL;
        watch->permanent_error = 1;
    }
}

static uint32_t free_op(world_t *self)
{
    for (uint32_t i = 0; i < WORLD_OPS; i++) {
        if (!self->ops[i].used) {
            if (i >= self->op_count)
                self->op_count = i + 1;
            return i;
        }
    }
    world_violated(self, "more than %d operations are under way", WORLD_OPS);
    return 0;
}

static void start_op(world_t *self, const core_action_t *action)
{
    uint32_t index = free_op(self);
    op_t *op = &self->ops[index];
    memset(op, 0, sizeof *op);
    op->used = 1;
    op->kind = action->kind;
    op->ticket = action->ticket;
    op->job = job_index(action->job_id);
    op->epoch = action->epoch;
    op->stage = action->stage;
    op->task_count = action->task_count;
    op->last = action->last;
    op->first = action->first;
    op->settled = action->settled;
    op->state = action->state;
    op->error.code = action->error.code;
    op->stage_sha = action->stage_sha;
    op->state_sha = action->state_sha;
    op->worker = action->worker;
    op->sha = action->sha256;
    if (action->kind == CORE_ACTION_SAVE_RESULT)
        op->key = ref_to_key(&action->ref);
    if (action->kind == CORE_ACTION_ADVANCE)
        prepare_advance(self, op);
    else if (action->kind == CORE_ACTION_WRITE && self->jobs[op->job].durable.input_lost) {
        op->code = ERR_NOT_FOUND;
        op->lost = 1;
    }
    decide_fate(self, op);
    int64_t effect_ms = self->now_ms + op_duration(self, op);
    mail_at(self, MAIL_EFFECT, effect_ms)->index = index;
    mail_at(self, MAIL_DONE, effect_ms + rng_between(&self->rng, 0, 10))->index = index;
}

int shell_waits(const world_t *self, uint32_t index)
{
    const op_t *op = &self->ops[index];
    return self->now_ms < self->hung_until_ms && op->kind != CORE_ACTION_ADVANCE &&
           op->kind != CORE_ACTION_WRITE;
}

void shell_effect(world_t *self, uint32_t index)
{
    op_t *op = &self->ops[index];
    op->happened = 1;
    if (!op->has_effect || op->stopped || op->lost)
        return;
    int code = store_apply(self, op);
    if (op->code == OK)
        op->code = code;
    if (self->crash_countdown_effects > 0 && --self->crash_countdown_effects == 0)
        shell_crash(self);
}

static void fill_stage(const world_t *self, const op_t *op, core_event_t *event)
{
    const model_t *model = &self->jobs[op->job].model;
    event->stage = op->first ? 0 : op->stage + 1;
    event->memory = op->first ? model->memory : 0;
    event->last = event->stage == model->stage_count;
    event->task_count = event->last ? 0 : model->task_count[event->stage];
    event->stage_sha = model_sha(mix64(op->next_state));
    event->state_sha = model_sha(op->next_state);
}

/* What a pass over the stage before this one has left. */
static const sha256_t *found_results(const durable_t *row, sha256_t *found)
{
    memset(found, 0, MODEL_TASKS * sizeof *found);
    for (uint32_t task = 0; task < row->task_count; task++)
        if (row->tasks[task].present && row->tasks[task].payload && row->tasks[task].told)
            found[task] = model_sha(row->tasks[task].value);
    return found;
}

/* The core is about to hear that a file is lost. */
static void tell_of_loss(world_t *self, uint32_t job)
{
    store_remember(self, job);
    check_lost_input(self, job);
}

/* Found out by a worker's fetch, or when the job is taken up again. */
void shell_lost_input(world_t *self, uint32_t job)
{
    core_event_t event;
    memset(&event, 0, sizeof event);
    event.kind = CORE_EVENT_LOST;
    memcpy(event.job_id, self->jobs[job].id, sizeof event.job_id);
    error_set(&event.error, ERR_NOT_FOUND, "simulated");
    if (!self->core)
        return;
    tell_of_loss(self, job);
    shell_feed(self, &event);
}

void shell_expire(world_t *self, uint32_t job)
{
    core_event_t event;
    memset(&event, 0, sizeof event);
    event.kind = CORE_EVENT_EXPIRE;
    memcpy(event.job_id, self->jobs[job].id, sizeof event.job_id);
    if (self->core)
        shell_feed_or_recall(self, &event);
}

void shell_done(world_t *self, uint32_t index)
{
    op_t op = self->ops[index];
    sha256_t found[MODEL_TASKS];
    self->ops[index].used = 0;
    while (self->op_count > 0 && !self->ops[self->op_count - 1].used)
        self->op_count--;
    core_event_t event;
    memset(&event, 0, sizeof event);
    event.kind = CORE_EVENT_DONE;
    event.ticket = op.ticket;
    if (op.code != OK)
        error_set(&event.error, op.code, "simulated");
    if (op.kind == CORE_ACTION_ADVANCE && op.code == OK)
        fill_stage(self, &op, &event);
    if (op.kind == CORE_ACTION_ADVANCE && op.code == ERR_NOT_FOUND && !op.lost)
        key_to_ref(self, &op.key, &event.ref);
    event.lost = op.lost;
    if (op.lost && (op.kind != CORE_ACTION_SAVE_STAGE || self->jobs[op.job].watch.unsure))
        tell_of_loss(self, op.job);
    if (op.kind == CORE_ACTION_SAVE_STAGE && op.code == OK)
        event.found = found_results(&self->jobs[op.job].durable, found);
    check_done(self, &op);
    shell_feed(self, &event);
}

static void stop_advance(world_t *self, uint32_t job)
{
    for (size_t i = 0; i < self->op_count; i++) {
        op_t *op = &self->ops[i];
        if (op->used && op->job == job && op->kind == CORE_ACTION_ADVANCE &&
            rng_chance(&self->rng, 0.7)) {
            op->stopped = 1;
            op->code = ERR_CANCELLED;
        }
    }
}

/* ---- actions ---- */

static void send_to_worker(world_t *self, mail_kind_t kind, uint32_t worker, const task_ref_t *ref)
{
    mail_t mail;
    memset(&mail, 0, sizeof mail);
    mail.kind = kind;
    mail.worker = worker;
    if (ref)
        mail.key = ref_to_key(ref);
    if (kind == MAIL_TASK)
        mail.value = model_value(&self->jobs[mail.key.job].durable.state_sha);
    mail_over_network(self, &mail);
}

static void answer_client(world_t *self, const core_action_t *action)
{
    request_t *request = &self->requests[action->request - 1];
    if (request->answered)
        world_violated(self, "request %llu is answered twice", (unsigned long long)action->request);
    request->answered = 1;
    if (request->verb == VERB_SUBMIT) {
        self->jobs[request->job].watch.refused = action->error.code != OK;
        self->jobs[request->job].watch.acknowledged = action->error.code == OK;
    }
}

/* Some users are quick. */
static void retry_soon(world_t *self, uint32_t job)
{
    if (self->quiet || self->request_count > 30 || !rng_chance(&self->rng, 0.6))
        return;
    mail_t *mail = mail_at(self, MAIL_CLIENT, self->now_ms + rng_between(&self->rng, 0, 20));
    mail->index = job;
    mail->verb = VERB_RETRY;
}

static void carry_out(world_t *self, const core_action_t *action)
{
    task_key_t key;
    switch (action->kind) {
    case CORE_ACTION_REPLY:
        answer_client(self, action);
        break;
    case CORE_ACTION_DROP_RESULT:
        key = ref_to_key(&action->ref);
        let_payload_go(self, action->worker, &key);
        break;
    case CORE_ACTION_ACK:
        key = ref_to_key(&action->ref);
        let_payload_go(self, action->worker, &key);
        send_to_worker(self, MAIL_ACK, action->worker, &action->ref);
        break;
    case CORE_ACTION_DISPATCH:
        send_to_worker(self, MAIL_TASK, action->worker, &action->ref);
        break;
    case CORE_ACTION_ABORT:
        send_to_worker(self, MAIL_ABORT, action->worker, &action->ref);
        break;
    case CORE_ACTION_DISMISS:
        send_to_worker(self, MAIL_WHO, action->worker, NULL);
        break;
    case CORE_ACTION_STOP_ADVANCE:
        stop_advance(self, job_index(action->job_id));
        break;
    case CORE_ACTION_CHANGED:
        if (action->state == JOB_FAILED)
            retry_soon(self, job_index(action->job_id));
        break;
    case CORE_ACTION_LOST:
    case CORE_ACTION_FORGOTTEN:
        break;
    default:
        start_op(self, action);
    }
}

static void note_action(world_t *self, const core_action_t *action)
{
    static const char *const NAMES[] = {
        "REPLY",    "SAVE_JOB", "SAVE_STAGE", "SAVE_RESULT", "DROP_RESULT", "ACK",
        "DISPATCH", "ABORT",    "DISMISS",    "LOST",        "ADVANCE",     "STOP_ADVANCE",
        "WRITE",    "PURGE",    "REMOVE",     "CHANGED",     "FORGOTTEN"};
    const task_ref_t *ref = &action->ref;
    world_note(self,
               "    %-12s ticket %llu %s epoch %u %s stage %u | worker %u task %u.%u.%u#%u"
               " | request %llu %s",
               NAMES[action->kind], (unsigned long long)action->ticket, action->job_id,
               action->epoch, job_state_name(action->state), action->stage, action->worker,
               ref->epoch, ref->stage, ref->task, ref->attempt, (unsigned long long)action->request,
               error_name(action->error.code));
}

static void add_to_digest(world_t *self, const core_action_t *action)
{
    self->digest = mix64(self->digest ^ ((uint64_t)action->kind << 56) ^ action->ticket ^
                         ((uint64_t)action->worker << 40) ^ ((uint64_t)action->ref.task << 32) ^
                         ((uint64_t)action->ref.attempt << 24) ^ (uint64_t)action->state);
}

void shell_feed(world_t *self, core_event_t *event)
{
    check_event(self, event);
    int64_t wake_ms = core_step(self->core, event, self->now_ms, &self->actions);
    self->steps++;
    self->tick_ms = wake_ms;
    if (wake_ms <= self->now_ms)
        world_violated(self, "the core wants a tick at %lld, which is not after %lld",
                       (long long)wake_ms, (long long)self->now_ms);
    if (event->kind == CORE_EVENT_CONTROL)
        check_control_taken(self, event);
    uint32_t generation = self->generation;
    for (size_t i = 0; i < self->actions.count && !self->violated; i++) {
        const core_action_t *action = &self->actions.items[i];
        if (self->tracing)
            note_action(self, action);
        add_to_digest(self, action);
        check_action(self, action);
        carry_out(self, action);
        if (self->crash_countdown_actions > 0 && --self->crash_countdown_actions == 0)
            shell_crash(self);
        if (self->generation != generation)
            return;
    }
    check_step(self);
}

/* ---- messages that arrive ---- */

static void receive_client(world_t *self, const mail_t *mail)
{
    core_event_t event;
    memset(&event, 0, sizeof event);
    event.kind = mail->verb == VERB_SUBMIT ? CORE_EVENT_SUBMIT : CORE_EVENT_CONTROL;
    event.verb = mail->verb;
    event.priority = mail->index % 3;
    memcpy(event.job_id, self->jobs[mail->index].id, sizeof event.job_id);
    self->requests[self->request_count] = (request_t){1, mail->index, mail->verb, 0};
    event.request = ++self->request_count;
    if (mail->verb == VERB_SUBMIT)
        self->jobs[mail->index].watch.submitted = 1;
    world_note(self, "client: verb %d, %s", (int)mail->verb, event.job_id);
    if (event.kind == CORE_EVENT_SUBMIT)
        shell_feed(self, &event);
    else
        shell_feed_or_recall(self, &event);
}

static void receive_worker(world_t *self, const mail_t *mail)
{
    static const struct {
        core_event_kind_t kind;
        const char *name;
    } KINDS[] = {{CORE_EVENT_HELLO, "hello"},       {CORE_EVENT_HEARTBEAT, "heartbeat"},
                 {CORE_EVENT_RESULT, "result"},     {CORE_EVENT_FAILURE, "failure"},
                 {CORE_EVENT_RETURNED, "returned"}, {CORE_EVENT_GOODBYE, "goodbye"}};
    core_event_t event;
    task_progress_t progress[16];
    memset(&event, 0, sizeof event);
    event.kind = KINDS[mail->kind].kind;
    event.worker = mail->worker;
    event.credit = mail->credit;
    if (mail->kind == MAIL_RESULT || mail->kind == MAIL_FAILURE || mail->kind == MAIL_RETURNED)
        key_to_ref(self, &mail->key, &event.ref);
    event.sha256 = model_sha(mail->value);
    if (mail->kind == MAIL_RESULT)
        keep_payload(self, mail->worker, &mail->key, mail->value);
    if (mail->code != OK)
        error_set(&event.error, mail->code, "simulated");
    for (size_t i = 0; i < mail->key_count; i++)
        key_to_ref(self, &mail->keys[i], &progress[i].ref);
    event.refs = progress;
    event.ref_count = mail->key_count;
    world_note(self, "%s of worker %u: %u:%u.%u.%u#%u, names %zu", KINDS[mail->kind].name,
               mail->worker, mail->key.job, mail->key.epoch, mail->key.stage, mail->key.task,
               mail->key.attempt, mail->key_count);
    shell_feed(self, &event);
}

void shell_receive(world_t *self, const mail_t *mail)
{
    if (!self->core)
        return; /* nobody is there: lost */
    if (mail->kind == MAIL_CLIENT)
        receive_client(self, mail);
    else
        receive_worker(self, mail);
}

/* ---- death ---- */

void shell_crash(world_t *self)
{
    if (!self->core)
        return;
    world_note(self, "the coordinator is killed");
    check_crash(self);
    core_destroy(&self->core);
    self->generation++;
    self->tick_ms = INT64_MAX;
    self->payload_count = 0;
    for (size_t i = 0; i < self->op_count; i++)
        self->ops[i].used = 0;
    self->op_count = 0;
    for (uint32_t i = 0; i < self->request_count; i++)
        self->requests[i].answered = 1; /* their clients see the connection close */
    mail_at(self, MAIL_START, self->now_ms + rng_between(&self->rng, 1, 2000));
}
