/* The invariants of core.h, checked at every step from events and actions alone. */
#include "world.h"

#include <string.h>

holding_t *holding_of(world_t *self, uint32_t handle)
{
    for (size_t i = 0; i < self->holding_count; i++) {
        if (self->holdings[i].handle == handle)
            return &self->holdings[i];
    }
    size_t limit = sizeof self->holdings / sizeof *self->holdings;
    size_t at = self->holding_count < limit ? self->holding_count++ : limit - 1;
    self->holdings[at] = (holding_t){.handle = handle};
    return &self->holdings[at];
}

static void let_go(world_t *self, uint32_t handle, const task_key_t *key)
{
    holding_t *holding = holding_of(self, handle);
    for (size_t i = 0; i < holding->key_count; i++) {
        if (same_key(&holding->keys[i], key)) {
            holding->keys[i] = holding->keys[--holding->key_count];
            return;
        }
    }
}

static void blame(world_t *self, const task_key_t *key)
{
    self->jobs[key->job].watch.blame[key->stage][key->task]++;
}

/* The connection holds nothing any more, and may have died on what it held. */
static void lose_all(world_t *self, uint32_t handle)
{
    holding_t *holding = holding_of(self, handle);
    for (size_t i = 0; i < holding->key_count; i++)
        blame(self, &holding->keys[i]);
    holding->key_count = 0;
    holding->known = 0;
}

void check_event(world_t *self, const core_event_t *event)
{
    task_key_t key;
    holding_t *holding;
    switch (event->kind) {
    case CORE_EVENT_HELLO:
        lose_all(self, event->worker);
        holding = holding_of(self, event->worker);
        holding->known = 1;
        holding->credit = event->credit;
        break;
    case CORE_EVENT_GOODBYE:
        lose_all(self, event->worker);
        break;
    case CORE_EVENT_FAILURE:
        key = ref_to_key(&event->ref);
        blame(self, &key);
        if (event->error.code == ERR_CHANGED)
            self->jobs[key.job].watch.permanent_error = 1;
        let_go(self, event->worker, &key);
        break;
    case CORE_EVENT_RETURNED:
        key = ref_to_key(&event->ref);
        let_go(self, event->worker, &key);
        break;
    default:
        break;
    }
}

void check_control_taken(world_t *self, const core_event_t *event)
{
    watch_t *watch = &self->jobs[job_index(event->job_id)].watch;
    for (size_t i = 0; i < self->actions.count; i++) {
        const core_action_t *action = &self->actions.items[i];
        if (action->kind == CORE_ACTION_REPLY && action->request == event->request &&
            action->error.code != OK)
            return;
    }
    if (event->verb == VERB_PAUSE && !watch->pause_wanted)
        watch->pause_taken_ms = self->now_ms;
    if (event->verb == VERB_RETRY)
        watch->retry_taken = 1;
    else if (event->verb == VERB_CANCEL)
        watch->cancel_wanted = 1;
    else
        watch->pause_wanted = event->verb == VERB_PAUSE;
}

/* ---- replies ---- */

static void check_reply(world_t *self, const core_action_t *action)
{
    const request_t *request = &self->requests[action->request - 1];
    const durable_t *row = &self->jobs[request->job].durable;
    if (action->error.code != OK)
        return;
    int paused = in(row->state, JOB_PAUSING, JOB_PAUSED);
    int cancelled = in(row->state, JOB_CANCELLING, JOB_CANCELLED);
    REQUIRE(row->present, "request %u is answered OK, but job %u is not in the ledger",
            (unsigned)action->request, request->job);
    REQUIRE(request->verb != VERB_PAUSE || paused,
            "a pause is answered OK while the ledger says %s", job_state_name(row->state));
    REQUIRE(request->verb != VERB_CANCEL || cancelled,
            "a cancel is answered OK while the ledger says %s", job_state_name(row->state));
    REQUIRE(request->verb != VERB_RESUME || (!paused && !cancelled),
            "a resume is answered OK while the ledger says %s", job_state_name(row->state));
    REQUIRE(request->verb != VERB_RETRY || (!paused && !cancelled && row->state != JOB_FAILED),
            "a retry is answered OK while the ledger says %s", job_state_name(row->state));
}

/* ---- results ---- */

/* The job has failed, though its row may still be on its way (stores say "simulated"). */
static int is_failing(const world_t *self, const sim_job_t *job, const core_job_view_t *view)
{
    if (view->error.code == OK)
        return 0;
    return !view->saving_failed || view->error.code != ERR_UNAVAILABLE ||
           strcmp(view->error.message, "simulated") != 0 ||
           job->watch.store_errors > self->options.save_retry_limit;
}

/* Why a result that is not in the ledger may be acknowledged: nobody wants it any more. */
static int unwanted(const world_t *self, const task_key_t *key)
{
    const sim_job_t *job = &self->jobs[key->job];
    core_job_view_t view;
    if (!core_job(self->core, job->id, &view) || job->watch.cancel_wanted ||
        view.epoch > key->epoch || is_failing(self, job, &view) || job_state_ended(view.state))
        return 1;
    if (!job->durable.has_stage || key->stage < job->durable.stage)
        return 1;
    if (view.state == JOB_PAUSED || view.state == JOB_QUEUED)
        return 1;
    /* Paused, or paused and queued again, while the rows that say so are still on their way. */
    return view.tasks_in_flight == 0 && (job->watch.pause_wanted || view.state == JOB_PAUSING ||
                                         job->watch.row_ops > 0 || view.saving_failed);
}

static void check_ack(world_t *self, const core_action_t *action)
{
    task_key_t key = ref_to_key(&action->ref);
    const durable_t *row = &self->jobs[key.job].durable;
    int durable = row->has_stage && row->stage == key.stage && row->tasks[key.task].present;
    REQUIRE(durable || unwanted(self, &key),
            "result %u.%u.%u of job %u is acknowledged, but not durable", key.epoch, key.stage,
            key.task, key.job);
    let_go(self, action->worker, &key);
}

static void check_drop(world_t *self, const core_action_t *action)
{
    task_key_t key = ref_to_key(&action->ref);
    watch_t *watch = &self->jobs[key.job].watch;
    if (watch->saving[key.task] == SAVING_AGAIN && same_key(&watch->saving_key[key.task], &key) &&
        watch->saving_worker[key.task] == action->worker)
        watch->saving[key.task] = SAVING_NOT;
}

static void check_save_result(world_t *self, const core_action_t *action)
{
    task_key_t key = ref_to_key(&action->ref);
    sim_job_t *job = &self->jobs[key.job];
    watch_t *watch = &job->watch;
    const durable_t *row = &job->durable;
    saving_t saving = watch->saving[key.task];
    int same = same_key(&watch->saving_key[key.task], &key) &&
               watch->saving_worker[key.task] == action->worker;
    REQUIRE(saving == SAVING_NOT || (saving == SAVING_AGAIN && same) ||
                watch->saving_key[key.task].epoch < key.epoch,
            "two results are accepted for task %u.%u of job %u", key.stage, key.task, key.job);
    REQUIRE(saving == SAVING_AGAIN || !row->tasks[key.task].present ||
                !row->tasks[key.task].payload || !row->tasks[key.task].told,
            "a result is accepted for task %u.%u of job %u, which is durable", key.stage, key.task,
            key.job);
    REQUIRE(key.epoch == watch->top_epoch && key.epoch == row->epoch,
            "a result of epoch %u is accepted in epoch %u", key.epoch, watch->top_epoch);
    REQUIRE(row->has_stage && key.stage == row->stage, "a result of stage %u is accepted in %u",
            key.stage, row->stage);
    REQUIRE(!watch->cancel_wanted, "a result of a cancelled job is accepted");
    watch->saving[key.task] = SAVING_NOW;
    watch->saving_key[key.task] = key;
    watch->saving_worker[key.task] = action->worker;
    watch->result_ops++;
}

/* ---- dispatch ---- */

static void check_holders(world_t *self, const core_action_t *action, const task_key_t *key)
{
    const durable_t *row = &self->jobs[key->job].durable;
    uint32_t holders = 0;
    for (size_t i = 0; i < self->holding_count; i++) {
        const holding_t *holding = &self->holdings[i];
        for (size_t k = 0; k < holding->key_count; k++) {
            const task_key_t *held = &holding->keys[k];
            if (held->job != key->job || held->epoch != key->epoch || held->stage != key->stage ||
                held->task != key->task)
                continue;
            holders++;
            REQUIRE(holding->handle != action->worker, "worker %u is given task %u.%u twice",
                    action->worker, key->stage, key->task);
        }
    }
    uint32_t done = 0;
    for (uint32_t task = 0; task < row->task_count; task++)
        done += row->tasks[task].present ? 1 : 0;
    int late = self->options.straggler_percent > 0 &&
               done * 100 >= self->options.straggler_percent * row->task_count;
    REQUIRE(holders == 0 || (holders == 1 && late),
            "task %u.%u of job %u is given out while %u others hold it (%u of %u done)", key->stage,
            key->task, key->job, holders, done, row->task_count);
}

static void check_attempt(world_t *self, const task_key_t *key)
{
    watch_t *watch = &self->jobs[key->job].watch;
    if (watch->attempt_epoch != key->epoch || watch->attempt_stage != key->stage) {
        memset(watch->attempts, 0, sizeof watch->attempts);
        watch->attempt_epoch = key->epoch;
        watch->attempt_stage = key->stage;
    }
    REQUIRE(key->attempt > watch->attempts[key->task],
            "attempt %u of task %u.%u.%u of job %u is handed out again", key->attempt, key->epoch,
            key->stage, key->task, key->job);
    watch->attempts[key->task] = key->attempt;
    REQUIRE(key->epoch >= watch->epoch_floor,
            "job %u goes on in epoch %u after a crash, and not in %u", key->job, key->epoch,
            watch->epoch_floor);
    if (key->epoch > watch->dispatch_epoch)
        watch->dispatch_epoch = key->epoch;
}

/* Planning, running and merging are one to the ledger. */
static int at_work(const durable_t *row)
{
    return row->present && (in(row->state, JOB_PLANNING, JOB_RUNNING) || row->state == JOB_MERGING);
}

static void check_going(world_t *self, const sim_job_t *job, const char *what)
{
    REQUIRE(!job->watch.pause_wanted, "%s of %s, which is to pause", what, job->id);
    REQUIRE(!job->watch.cancel_wanted, "%s of %s, which is cancelled", what, job->id);
    REQUIRE(!job->watch.must_plan, "%s of %s, whose input was changed", what, job->id);
    REQUIRE(job->watch.advance_ops == 0, "%s of %s during an ADVANCE or WRITE", what, job->id);
}

/* What the jobs at work need together: those whose tasks workers have. */
static void check_memory(world_t *self, uint32_t job)
{
    uint64_t limit = self->options.memory_limit;
    uint64_t sum = self->jobs[job].model.memory;
    int others = 0;
    for (uint32_t i = 0; limit && i < self->job_count; i++) {
        core_job_view_t view;
        int held = 0;
        for (size_t h = 0; h < self->holding_count; h++)
            for (size_t k = 0; k < self->holdings[h].key_count; k++)
                held |= self->holdings[h].keys[k].job == i;
        if (i == job || !held || !core_job(self->core, self->jobs[i].id, &view) ||
            view.tasks_in_flight == 0 || self->jobs[i].watch.cancel_wanted ||
            is_failing(self, &self->jobs[i], &view))
            continue;
        others = 1;
        sum += self->jobs[i].model.memory;
    }
    REQUIRE(!others || sum <= limit, "jobs that need %u together are at work, the limit is %u",
            (unsigned)sum, (unsigned)limit);
}

static void check_dispatch(world_t *self, const core_action_t *action)
{
    task_key_t key = ref_to_key(&action->ref);
    const sim_job_t *job = &self->jobs[key.job];
    const durable_t *row = &job->durable;
    check_going(self, job, "DISPATCH");
    REQUIRE(at_work(row), "DISPATCH of %s while the ledger says %s", job->id,
            job_state_name(row->state));
    REQUIRE(key.epoch == row->epoch && row->has_stage && key.stage == row->stage &&
                key.task < row->task_count,
            "DISPATCH of %u.%u.%u, which is not in the ledger", key.epoch, key.stage, key.task);
    REQUIRE(!(row->tasks[key.task].present && row->tasks[key.task].payload &&
              row->tasks[key.task].told),
            "DISPATCH of task %u.%u of %s, which is durable", key.stage, key.task, job->id);
    REQUIRE(job->watch.saving[key.task] == SAVING_NOT ||
                job->watch.saving_key[key.task].epoch < key.epoch,
            "DISPATCH of task %u.%u of %s, whose result was accepted", key.stage, key.task,
            job->id);
    check_memory(self, key.job);
    check_attempt(self, &key);
    check_holders(self, action, &key);
    holding_t *holding = holding_of(self, action->worker);
    REQUIRE(holding->known, "DISPATCH to worker %u, which is not there", action->worker);
    REQUIRE(holding->key_count < holding->credit, "worker %u is given more than its credit of %u",
            action->worker, holding->credit);
    if (holding->key_count < sizeof holding->keys / sizeof *holding->keys)
        holding->keys[holding->key_count++] = key;
}

/* ---- rows ---- */

static int failure_is_justified(const world_t *self, const watch_t *watch)
{
    if (watch->permanent_error || watch->store_errors > self->options.save_retry_limit ||
        watch->rewinds > self->options.retry_limit)
        return 1;
    for (uint32_t stage = 0; stage < MODEL_STAGES; stage++) {
        for (uint32_t task = 0; task < MODEL_TASKS; task++) {
            if (watch->blame[stage][task] >= self->options.retry_limit)
                return 1;
        }
    }
    return 0;
}

/* A retry is a new life: what was held against the job is forgotten. */
static void revive(sim_job_t *job)
{
    watch_t *watch = &job->watch;
    watch->retry_taken = 0;
    watch->revived = 1;
    watch->cancel_wanted = 0;
    watch->pause_wanted = 0;
    watch->purged = 0;
    watch->written = 0;
    watch->store_errors = 0;
    watch->permanent_error = 0;
    watch->rewinds = 0;
    watch->rewinding |= /* a cancelled job has kept nothing, changed input makes all of it void, and
                           a stage may have been saved though it was reported that it was not */
        in(job->durable.state, JOB_CANCELLING, JOB_CANCELLED) ||
        job->durable.error.code == ERR_CHANGED || watch->unsure;
    watch->epoch_floor = watch->dispatch_epoch + 1;
    watch->must_plan = job->durable.error.code == ERR_CHANGED;
    memset(watch->blame, 0, sizeof watch->blame);
}

void check_lost_input(world_t *self, uint32_t job)
{
    watch_t *watch = &self->jobs[job].watch;
    watch->rewinding = 1;
    watch->rewinds++;
    watch->epoch_floor = watch->dispatch_epoch + 1;
}

static void check_save_job(world_t *self, const core_action_t *action)
{
    sim_job_t *job = &self->jobs[job_index(action->job_id)];
    watch_t *watch = &job->watch;
    const durable_t *row = &job->durable;
    if (watch->retry_taken && !job_state_ended(action->state)) {
        REQUIRE(watch->purge_ops == 0, "%s is retried while it is being purged", job->id);
        revive(job);
    }
    REQUIRE(watch->row_ops == 0, "two saves of %s are under way, and may overtake", job->id);
    REQUIRE(action->epoch >= watch->top_epoch && action->epoch >= row->epoch,
            "the epoch of %s goes back to %u", job->id, action->epoch);
    REQUIRE(!row->present || !job_state_ended(row->state) || row->state == action->state ||
                watch->revived || action->state == JOB_REMOVING,
            "%s has ended, and becomes %s", job->id, job_state_name(action->state));
    REQUIRE(row->state != JOB_REMOVING || action->state == JOB_REMOVING, "%s becomes %s", job->id,
            job_state_name(action->state));
    REQUIRE(row->state != JOB_COMPLETED || in(action->state, JOB_COMPLETED, JOB_REMOVING),
            "%s is completed, and becomes %s", job->id, job_state_name(action->state));
    REQUIRE(!row->present || row->state != JOB_CANCELLING ||
                in(action->state, JOB_CANCELLING, JOB_CANCELLED) || watch->revived,
            "%s was cancelled, and becomes %s", job->id, job_state_name(action->state));
    REQUIRE(action->state != JOB_CANCELLING || action->epoch > watch->dispatch_epoch,
            "%s is cancelled in the epoch that it ran in", job->id);
    REQUIRE(action->state != JOB_CANCELLED || watch->purged, "%s is cancelled, but not purged",
            job->id);
    REQUIRE(!action->settled || (job_state_ended(action->state) && watch->purged_well),
            "%s is saved as settled, and its purge has failed", job->id);
    REQUIRE(action->state != JOB_COMPLETED || watch->written, "%s is completed, but not written",
            job->id);
    REQUIRE(action->state != JOB_FAILED || failure_is_justified(self, watch),
            "%s fails without a reason", job->id);
    watch->top_epoch = action->epoch;
    watch->row_ops++;
}

static uint32_t rows_done(const durable_t *row)
{
    uint32_t done = 0;
    for (uint32_t task = 0; task < row->task_count; task++)
        done += row->tasks[task].present ? 1 : 0;
    return done;
}

/* Nothing was computed for the stage since it was saved. */
static int only_recalled(const durable_t *row)
{
    for (uint32_t task = 0; task < row->task_count; task++)
        if (row->tasks[task].present && !row->memo[row->stage][task].present)
            return 0;
    return 1;
}

static void check_save_stage(world_t *self, const core_action_t *action)
{
    sim_job_t *job = &self->jobs[job_index(action->job_id)];
    const durable_t *row = &job->durable;
    REQUIRE(job->watch.row_ops == 0, "two saves of %s are under way, and may overtake", job->id);
    REQUIRE(job->watch.advance_ops == 0, "a stage of %s is saved during an ADVANCE", job->id);
    REQUIRE(!job->watch.must_merge, "a stage of %s is saved that cannot be read", job->id);
    /* A save that failed may have had its effect: then the same stage is saved again. */
    REQUIRE(action->stage == (row->has_stage ? row->stage + 1 : 0) ||
                (row->has_stage && action->stage == row->stage && only_recalled(row)) ||
                (action->stage == 0 && job->watch.rewinding),
            "stage %u of %s is saved out of turn", action->stage, job->id);
    REQUIRE(action->epoch == row->epoch, "a stage of %s is saved in epoch %u, not %u", job->id,
            action->epoch, row->epoch);
    job->watch.row_ops++;
}

static void check_advance(world_t *self, const core_action_t *action)
{
    sim_job_t *job = &self->jobs[job_index(action->job_id)];
    const durable_t *row = &job->durable;
    job->watch.must_merge = 0;
    job->watch.must_plan &= !action->first;
    check_going(self, job, "ADVANCE");
    REQUIRE(at_work(row), "ADVANCE of %s while the ledger says %s", job->id,
            job_state_name(row->state));
    REQUIRE(action->first == !row->has_stage || (action->first && job->watch.rewinding),
            "ADVANCE of %s from the start, again", job->id);
    if (!action->first)
        REQUIRE(!row->last && action->stage == row->stage &&
                    action->task_count == row->task_count && rows_done(row) == row->task_count,
                "ADVANCE of %s over stage %u with %u of %u results durable", job->id, action->stage,
                rows_done(row), row->task_count);
    job->watch.advance_ops++;
}

static void check_write(world_t *self, const core_action_t *action)
{
    sim_job_t *job = &self->jobs[job_index(action->job_id)];
    const durable_t *row = &job->durable;
    check_going(self, job, "WRITE");
    REQUIRE(row->state == JOB_WRITING && row->has_stage && row->last,
            "WRITE of %s while the ledger says %s", job->id, job_state_name(row->state));
    REQUIRE(sha256_equal(&action->state_sha, &row->state_sha), "WRITE of %s of another state",
            job->id);
    job->watch.advance_ops++;
}

static void check_purge(world_t *self, const core_action_t *action)
{
    sim_job_t *job = &self->jobs[job_index(action->job_id)];
    watch_t *watch = &job->watch;
    REQUIRE(job->durable.state == JOB_CANCELLING || job_state_ended(job->durable.state),
            "PURGE of %s while the ledger says %s", job->id, job_state_name(job->durable.state));
    REQUIRE(watch->row_ops + watch->result_ops + watch->advance_ops + watch->purge_ops == 0,
            "PURGE of %s while other operations of it are under way", job->id);
    watch->purge_ops++;
}

static void check_remove(world_t *self, const core_action_t *action)
{
    sim_job_t *job = &self->jobs[job_index(action->job_id)];
    watch_t *watch = &job->watch;
    REQUIRE(job->durable.state == JOB_REMOVING, "REMOVE of %s while the ledger says %s", job->id,
            job_state_name(job->durable.state));
    REQUIRE(watch->row_ops + watch->result_ops + watch->advance_ops + watch->purge_ops == 0,
            "REMOVE of %s while other operations of it are under way", job->id);
    watch->purge_ops++;
}

static void check_changed(world_t *self, const core_action_t *action)
{
    const durable_t *row = &self->jobs[job_index(action->job_id)].durable;
    REQUIRE(in(action->state, JOB_RUNNING, JOB_MERGING) || row->state == action->state,
            "%s is said to be %s while the ledger says %s", action->job_id,
            job_state_name(action->state), job_state_name(row->state));
}

/* From here on only the ledger knows it: what it has must be the end. */
static void check_forgotten(world_t *self, const core_action_t *action)
{
    sim_job_t *job = &self->jobs[job_index(action->job_id)];
    watch_t *watch = &job->watch;
    const durable_t *row = &job->durable;
    REQUIRE(!row->present || row->settled, "%s is forgotten while the ledger says %s, not settled",
            job->id, job_state_name(row->state));
    REQUIRE(watch->row_ops + watch->result_ops + watch->advance_ops + watch->purge_ops == 0,
            "%s is forgotten while operations of it are under way", job->id);
    watch->rewinding = watch->unsure = watch->must_merge = 0;
}

static void check_ticket(world_t *self, const core_action_t *action)
{
    if (action->ticket == 0)
        return;
    REQUIRE(action->ticket > self->last_ticket, "ticket %llu is used again",
            (unsigned long long)action->ticket);
    self->last_ticket = action->ticket;
}

/* The story: nobody can lose more than he may hold. */
static void check_lost(world_t *self, const core_action_t *action)
{
    REQUIRE(action->task_count <= WORLD_CREDIT, "%s gets %u tasks back from worker %u",
            action->job_id, action->task_count, action->worker);
}

static void check_abort(world_t *self, const core_action_t *action)
{
    task_key_t key = ref_to_key(&action->ref);
    let_go(self, action->worker, &key);
}

/* With a sound network and sound workers nobody is lost, however long the coordinator stalls. */
static void check_dismiss(world_t *self, const core_action_t *action)
{
    const faults_t *faults = &self->faults;
    int sound = faults->drop == 0 && faults->delay == 0 && faults->worker_faults == 0;
    REQUIRE(!sound || !holding_of(self, action->worker)->known,
            "worker %u is dismissed, and was never silent", action->worker);
    lose_all(self, action->worker);
}

void check_action(world_t *self, const core_action_t *action)
{
    static void (*const CHECKS[])(world_t *, const core_action_t *) = {
        [CORE_ACTION_REPLY] = check_reply,           [CORE_ACTION_SAVE_JOB] = check_save_job,
        [CORE_ACTION_SAVE_STAGE] = check_save_stage, [CORE_ACTION_SAVE_RESULT] = check_save_result,
        [CORE_ACTION_DROP_RESULT] = check_drop,      [CORE_ACTION_ACK] = check_ack,
        [CORE_ACTION_DISPATCH] = check_dispatch,     [CORE_ACTION_ABORT] = check_abort,
        [CORE_ACTION_DISMISS] = check_dismiss,       [CORE_ACTION_ADVANCE] = check_advance,
        [CORE_ACTION_STOP_ADVANCE] = NULL,           [CORE_ACTION_LOST] = check_lost,
        [CORE_ACTION_WRITE] = check_write,           [CORE_ACTION_PURGE] = check_purge,
        [CORE_ACTION_REMOVE] = check_remove,         [CORE_ACTION_CHANGED] = check_changed,
        [CORE_ACTION_FORGOTTEN] = check_forgotten,
    };
    check_ticket(self, action);
    if (CHECKS[action->kind])
        CHECKS[action->kind](self, action);
}

/* A pause takes back what has not brought its result in time. */
void check_step(world_t *self)
{
    for (size_t i = 0; i < self->holding_count; i++) {
        const holding_t *holding = &self->holdings[i];
        for (size_t k = 0; k < holding->key_count; k++) {
            const task_key_t *key = &holding->keys[k];
            const watch_t *watch = &self->jobs[key->job].watch;
            if (key->epoch < watch->dispatch_epoch)
                continue; /* of a pass that is over: its result is on its way to nowhere */
            REQUIRE(!watch->pause_wanted || watch->saving[key->task] != SAVING_NOT ||
                        self->now_ms < watch->pause_taken_ms + self->options.pause_grace_ms,
                    "worker %u still has task %u.%u of job %u, which was paused long ago",
                    holding->handle, key->stage, key->task, key->job);
        }
    }
}
