/* The loop of a run, and which faults happen in it. */
#include "scope.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIVENESS_MS 120000 /* after the last fault everything must have ended by then */
#define STEP_LIMIT 200000

void world_violated(world_t *self, const char *format, ...)
{
    if (self->violated)
        return;
    self->violated = 1;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(self->violation, sizeof self->violation, format, arguments);
    va_end(arguments);
}

void world_note(world_t *self, const char *format, ...)
{
    if (!self->tracing)
        return;
    char *line = self->trace[self->trace_count++ % TRACE_LINES];
    int used = snprintf(line, TRACE_WIDTH, "%8lld ", (long long)self->now_ms);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line + used, TRACE_WIDTH - (size_t)used, format, arguments);
    va_end(arguments);
    if (self->tracing > 1)
        puts(line);
}

/* ---- the plan of a run ---- */

/* Every fault is left out of half of the runs, so that each is also seen alone. */
static double maybe(world_t *self, double low, double high)
{
    if (rng_chance(&self->rng, 0.5))
        return 0;
    return low + (high - low) * (double)rng_below(&self->rng, 1001) / 1000;
}

static uint32_t maybe_count(world_t *self, uint32_t limit)
{
    return rng_chance(&self->rng, 0.5) ? 0 : 1 + rng_below(&self->rng, limit);
}

static void choose_faults(world_t *self)
{
    faults_t *faults = &self->faults;
    faults->drop = maybe(self, 0.01, 0.3);
    faults->repeat = maybe(self, 0.01, 0.3);
    faults->delay = maybe(self, 0.01, 0.3);
    faults->save_fails = maybe(self, 0.01, 0.3);
    faults->save_slow = maybe(self, 0.01, 0.3);
    faults->task_fails = maybe(self, 0.005, 0.05);
    faults->poison = rng_chance(&self->rng, 0.2) ? 0.5 : faults->task_fails;
    faults->task_permanent = rng_chance(&self->rng, 0.1) ? 0.01 : 0;
    faults->advance_fails = maybe(self, 0.01, 0.2);
    faults->crashes = maybe_count(self, 4);
    faults->crash_in_actions = maybe_count(self, 400);
    faults->crash_after_effects = maybe_count(self, 150);
    faults->worker_faults = maybe_count(self, 8);
    faults->lost_payloads = maybe_count(self, 4);
    faults->lost_inputs = maybe_count(self, 3);
    faults->expiries = maybe_count(self, 8);
    faults->stalls = maybe_count(self, 3);
    faults->hangs = maybe_count(self, 3);
    faults->controls = maybe_count(self, 12);
    faults->list_unacknowledged = rng_chance(&self->rng, 0.5);
}

static void choose_options(world_t *self)
{
    static const uint32_t PERCENT[] = {0, 50, 90};
    core_options_init(&self->options);
    self->options.running_limit = 1 + rng_below(&self->rng, 3);
    self->options.memory_limit = rng_chance(&self->rng, 0.5) ? 100 : 0;
    self->options.queue_limit = rng_chance(&self->rng, 0.1) ? 2 : 1000;
    self->options.straggler_percent = PERCENT[rng_below(&self->rng, 3)];
    self->options.save_retry_limit = rng_chance(&self->rng, 0.3) ? 2 : 20;
    self->options.retry_limit = rng_chance(&self->rng, 0.3) ? 2 : 3;
    self->quiet_ms = rng_between(&self->rng, 1000, 8000);
    self->resume_at_end = rng_chance(&self->rng, 0.7);
}

static int64_t some_time(world_t *self) { return rng_between(&self->rng, 1, self->quiet_ms - 1); }

static void plan_clients(world_t *self)
{
    static const client_verb_t VERBS[] = {VERB_PAUSE,  VERB_RESUME, VERB_PAUSE, VERB_RESUME,
                                          VERB_CANCEL, VERB_RETRY,  VERB_RETRY};
    for (uint32_t i = 0; i < self->job_count; i++)
        mail_at(self, MAIL_CLIENT, rng_between(&self->rng, 1, self->quiet_ms / 2))->index = i;
    for (uint32_t i = 0; i < self->faults.controls; i++) {
        mail_t *mail = mail_at(self, MAIL_CLIENT, some_time(self));
        mail->index = rng_below(&self->rng, self->job_count);
        mail->verb = VERBS[rng_below(&self->rng, sizeof VERBS / sizeof *VERBS)];
    }
}

static void plan_faults(world_t *self)
{
    for (uint32_t i = 0; i < self->faults.crashes; i++)
        mail_at(self, MAIL_CRASH, some_time(self));
    for (uint32_t i = 0; i < self->faults.worker_faults; i++)
        mail_at(self, MAIL_WORKER_FAULT, some_time(self))->index =
            rng_below(&self->rng, self->worker_count);
    for (uint32_t i = 0; i < self->faults.lost_payloads; i++)
        mail_at(self, MAIL_LOSE_PAYLOAD, some_time(self))->index =
            rng_below(&self->rng, self->job_count);
    for (uint32_t i = 0; i < self->faults.lost_inputs; i++) {
        mail_t *mail = mail_at(self, MAIL_LOSE_INPUT, some_time(self));
        mail->index = rng_below(&self->rng, self->job_count);
        mail->value = rng_below(&self->rng, 2);
    }
    for (uint32_t i = 0; i < self->faults.expiries; i++)
        mail_at(self, MAIL_EXPIRE, some_time(self))->index = rng_below(&self->rng, self->job_count);
    for (uint32_t i = 0; i < self->faults.stalls; i++)
        mail_at(self, MAIL_STALL, some_time(self))->value =
            (uint64_t)rng_between(&self->rng, 200, 8000);
    for (uint32_t i = 0; i < self->faults.hangs; i++)
        mail_at(self, MAIL_HANG, some_time(self))->value =
            (uint64_t)rng_between(&self->rng, 500, 6000);
    self->crash_countdown_actions = self->faults.crash_in_actions;
    self->crash_countdown_effects = self->faults.crash_after_effects;
    mail_at(self, MAIL_QUIET, self->quiet_ms);
}

static void plan(world_t *self, uint64_t seed)
{
    rng_seed(&self->rng, seed);
    self->seed = seed;
    choose_faults(self);
    choose_options(self);
    self->job_count = 1 + rng_below(&self->rng, WORLD_JOBS);
    self->worker_count = 1 + rng_below(&self->rng, WORLD_WORKERS);
    scope_apply(&self->scope, self);
    for (uint32_t i = 0; i < self->job_count; i++) {
        model_init(&self->jobs[i].model, rng_next(&self->rng));
        snprintf(self->jobs[i].id, sizeof self->jobs[i].id, "job-%u", i);
    }
    for (uint32_t i = 0; i < self->worker_count; i++)
        self->workers[i].revive_ms = rng_between(&self->rng, 1, 500);
    plan_clients(self);
    plan_faults(self);
}

/* ---- what happens ---- */

/* One payload of a finished task cannot be read any more. */
static void lose_payload(world_t *self, uint32_t index)
{
    durable_t *row = &self->jobs[index].durable;
    if (self->quiet || !row->has_stage || row->task_count == 0)
        return;
    uint32_t task = rng_below(&self->rng, row->task_count);
    if (row->tasks[task].payload)
        world_note(self, "the payload of task %u.%u of job %u is lost", row->stage, task, index);
    row->tasks[task].payload = 0;
}

/* A file is gone that the stage at work needs, and with it a result of an earlier stage; somebody
 * notices at once, or the next merge does. */
static void lose_input(world_t *self, const mail_t *mail)
{
    durable_t *row = &self->jobs[mail->index].durable;
    if (self->quiet || !row->has_stage || !self->core)
        return;
    world_note(self, "an input of stage %u of job %u is lost", row->stage, mail->index);
    row->input_lost = 1;
    if (row->stage > 0)
        row->memo[rng_below(&self->rng, row->stage)][rng_below(&self->rng, MODEL_TASKS)].payload =
            0;
    if (mail->value)
        shell_lost_input(self, mail->index);
}

static void stall(world_t *self, int64_t until_ms)
{
    until_ms = until_ms < self->quiet_ms ? until_ms : self->quiet_ms;
    if (until_ms > self->stalled_until_ms)
        self->stalled_until_ms = until_ms;
    world_note(self, "the coordinator stands still until %lld", (long long)self->stalled_until_ms);
}

/* No save comes to its end meanwhile. Then all that were asked for do, in their order and together,
 * before the first of them is told. */
static void hang(world_t *self, int64_t until_ms)
{
    until_ms = until_ms < self->quiet_ms ? until_ms : self->quiet_ms;
    if (until_ms > self->hung_until_ms)
        self->hung_until_ms = until_ms;
    world_note(self, "the store hangs until %lld", (long long)self->hung_until_ms);
}

static void store_goes_on(world_t *self, const mail_t *mail)
{
    if (mail->generation != self->generation)
        return;
    if (shell_waits(self, mail->index))
        mail_again(self, mail, self->hung_until_ms + (mail->kind == MAIL_DONE));
    else if (mail->kind == MAIL_EFFECT)
        shell_effect(self, mail->index);
    else if (!self->ops[mail->index].happened)
        mail_again(self, mail, self->now_ms + 1);
    else
        shell_done(self, mail->index);
}

static void calm(world_t *self)
{
    world_note(self, "from here on nothing goes wrong");
    self->quiet = 1;
    self->crash_countdown_actions = 0;
    self->crash_countdown_effects = 0;
    for (uint32_t i = 0; i < self->worker_count; i++) {
        self->workers[i].slow = 0;
        self->workers[i].hung_until_ms = 0;
        if (!self->workers[i].alive)
            self->workers[i].revive_ms = self->now_ms;
    }
    for (uint32_t i = 0; i < self->job_count && self->faults.expiries; i++)
        mail_at(self, MAIL_EXPIRE, self->now_ms + 5500)->index = i; /* removals that have failed */
    for (uint32_t i = 0; self->resume_at_end && i < self->job_count; i++) {
        mail_t *mail = mail_at(self, MAIL_CLIENT, self->now_ms + 5000);
        mail->index = i;
        mail->verb = VERB_RESUME;
        if (rng_chance(&self->rng, 0.5)) { /* what has failed or was given up gets another chance */
            mail = mail_at(self, MAIL_CLIENT, self->now_ms + 5000);
            mail->index = i;
            mail->verb = VERB_RETRY;
        }
    }
}

static int is_for_coordinator(mail_kind_t kind)
{
    return kind <= MAIL_GOODBYE || kind == MAIL_CLIENT || kind == MAIL_DONE ||
           kind == MAIL_LOSE_INPUT || kind == MAIL_EXPIRE || kind == MAIL_RECALL;
}

/* What comes while the coordinator stands still is read, in its order, when it goes on. */
static void happen(world_t *self, const mail_t *mail)
{
    if (self->now_ms < self->stalled_until_ms && is_for_coordinator(mail->kind)) {
        mail_again(self, mail, self->stalled_until_ms);
        return;
    }
    switch (mail->kind) {
    case MAIL_TASK:
    case MAIL_ABORT:
    case MAIL_ACK:
    case MAIL_WHO:
        worker_receive(self, mail);
        break;
    case MAIL_EFFECT:
    case MAIL_DONE:
        store_goes_on(self, mail);
        break;
    case MAIL_CRASH:
        shell_crash(self);
        break;
    case MAIL_START:
        shell_start(self);
        break;
    case MAIL_WORKER_FAULT:
        worker_fault(self, &self->workers[mail->index]);
        break;
    case MAIL_STALL:
        stall(self, self->now_ms + (int64_t)mail->value);
        break;
    case MAIL_HANG:
        hang(self, self->now_ms + (int64_t)mail->value);
        break;
    case MAIL_LOSE_PAYLOAD:
        lose_payload(self, mail->index);
        break;
    case MAIL_LOSE_INPUT:
        lose_input(self, mail);
        break;
    case MAIL_EXPIRE:
        shell_expire(self, mail->index);
        break;
    case MAIL_RECALL:
        shell_recalled(self, mail);
        break;
    case MAIL_QUIET:
        calm(self);
        break;
    default:
        shell_receive(self, mail);
    }
}

static sim_worker_t *next_worker(world_t *self, int64_t *at_ms)
{
    sim_worker_t *next = NULL;
    *at_ms = INT64_MAX;
    for (uint32_t i = 0; i < self->worker_count; i++) {
        int64_t worker_ms = worker_next_ms(&self->workers[i]);
        if (worker_ms < *at_ms) {
            *at_ms = worker_ms;
            next = &self->workers[i];
        }
    }
    return next;
}

static void tick(world_t *self)
{
    core_event_t event;
    memset(&event, 0, sizeof event);
    event.kind = CORE_EVENT_TICK;
    world_note(self, "tick");
    shell_feed(self, &event);
}

/* The earliest of a timer of the core, a timer of a worker, and a message. */
static void step(world_t *self)
{
    int64_t worker_ms;
    sim_worker_t *worker = next_worker(self, &worker_ms);
    int64_t mail_ms = self->heap_count ? self->heap[0].at_ms : INT64_MAX;
    int64_t earliest = worker_ms < mail_ms ? worker_ms : mail_ms;
    int64_t tick_ms =
        self->tick_ms > self->stalled_until_ms ? self->tick_ms : self->stalled_until_ms;
    if (self->core && tick_ms < earliest)
        earliest = tick_ms;
    if (earliest > self->now_ms)
        self->now_ms = earliest;
    if (self->core && tick_ms <= earliest) {
        tick(self);
    } else if (mail_ms <= worker_ms) {
        mail_t mail;
        mail_take(self, &mail);
        happen(self, &mail);
    } else {
        worker_run_due(self, worker);
    }
}

/* ---- the end ---- */

/* Whoever was refused may find the job in the ledger, when the save failed after its effect: the
 * core hears of it at its next recovery, and not before. */
static int job_at_rest(const world_t *self, const sim_job_t *job)
{
    const durable_t *row = &job->durable;
    core_job_view_t view;
    if (!row->present || row->state == JOB_PAUSED)
        return 1;
    if (row->settled)
        return !self->core || !core_knows(self->core, job->id);
    return job->watch.refused && self->core && !core_job(self->core, job->id, &view);
}

static const sim_job_t *restless(const world_t *self)
{
    for (uint32_t i = 0; i < self->job_count; i++) {
        if (!job_at_rest(self, &self->jobs[i]))
            return &self->jobs[i];
    }
    return NULL;
}

static int at_rest(const world_t *self)
{
    if (!self->core || self->now_ms < self->quiet_ms + 6000 || self->op_count > 0 ||
        self->payload_count > 0 || restless(self))
        return 0;
    for (uint32_t i = 0; i < self->worker_count; i++) {
        if (self->workers[i].task_count > 0)
            return 0;
    }
    return 1;
}

static void check_liveness(world_t *self)
{
    const sim_job_t *job = restless(self);
    if (self->now_ms > self->quiet_ms + LIVENESS_MS)
        world_violated(self, "%s is not at rest %d s after the last fault: %s, %zu operations",
                       job ? job->id : "the cluster", LIVENESS_MS / 1000,
                       job ? job_state_name(job->durable.state) : "workers hold tasks",
                       self->op_count);
    else if (self->steps > STEP_LIMIT)
        world_violated(self, "more than %d steps", STEP_LIMIT);
}

static void reset(world_t *self)
{
    world_t kept = *self;
    core_destroy(&self->core);
    memset(self, 0, sizeof *self);
    self->scope = kept.scope;
    self->actions = kept.actions;
    self->mail = kept.mail;
    self->mail_capacity = kept.mail_capacity;
    self->free_slots = kept.free_slots;
    self->heap = kept.heap;
    self->trace = kept.trace;
    for (size_t slot = self->mail_capacity; slot > 0; slot--)
        self->free_slots[self->free_count++] = (uint32_t)(slot - 1);
}

void world_run(world_t *self, uint64_t seed, int tracing)
{
    reset(self);
    self->tracing = tracing;
    self->tick_ms = INT64_MAX;
    if (tracing && !self->trace)
        self->trace = calloc(TRACE_LINES, sizeof *self->trace);
    plan(self, seed);
    shell_start(self);
    while (!self->violated && !at_rest(self)) {
        step(self);
        check_liveness(self);
    }
    if (!self->violated)
        check_end(self);
}

void world_clear(world_t *self)
{
    core_destroy(&self->core);
    core_actions_clear(&self->actions);
    free(self->mail);
    free(self->free_slots);
    free(self->heap);
    free(self->trace);
}
