/* core_fixture.h - a core fed by hand: each helper is one event, and asserts nothing. */
#ifndef STAGE4_TESTS_UNIT_CORE_FIXTURE_H
#define STAGE4_TESTS_UNIT_CORE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "coordinator/core/core.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    core_t *core;
    core_actions_t actions;
    int64_t now_ms;
    int64_t wake_ms;
} fixture_t;

static inline void fixture_open_with(fixture_t *self, const core_options_t *options)
{
    memset(self, 0, sizeof *self);
    self->now_ms = 1000;
    self->wake_ms = INT64_MAX;
    self->core = core_new(options);
}

static inline void fixture_open(fixture_t *self)
{
    core_options_t options;
    core_options_init(&options);
    fixture_open_with(self, &options);
}

static inline void fixture_close(fixture_t *self)
{
    core_destroy(&self->core);
    core_actions_clear(&self->actions);
}

static inline void feed(fixture_t *self, const core_event_t *event)
{
    self->wake_ms = core_step(self->core, event, self->now_ms, &self->actions);
}

static inline core_event_t event_of(core_event_kind_t kind, const char *job_id)
{
    core_event_t event;
    memset(&event, 0, sizeof event);
    event.kind = kind;
    if (job_id)
        strcpy(event.job_id, job_id);
    return event;
}

/* The nth action of that kind of the newest step; NULL when there are fewer. */
static inline const core_action_t *action_at(const fixture_t *self, core_action_kind_t kind,
                                             size_t nth)
{
    for (size_t i = 0; i < self->actions.count; i++) {
        if (self->actions.items[i].kind == kind && nth-- == 0)
            return &self->actions.items[i];
    }
    return NULL;
}

static inline const core_action_t *action(const fixture_t *self, core_action_kind_t kind)
{
    return action_at(self, kind, 0);
}

static inline size_t action_count(const fixture_t *self, core_action_kind_t kind)
{
    size_t count = 0;
    while (action_at(self, kind, count))
        count++;
    return count;
}

static inline uint64_t ticket_of(const fixture_t *self, core_action_kind_t kind)
{
    const core_action_t *found = action(self, kind);
    assert_non_null(found);
    return found->ticket;
}

static inline void submit(fixture_t *self, const char *job_id, uint64_t request)
{
    core_event_t event = event_of(CORE_EVENT_SUBMIT, job_id);
    event.request = request;
    feed(self, &event);
}

static inline void submit_with(fixture_t *self, const char *job_id, uint32_t priority)
{
    core_event_t event = event_of(CORE_EVENT_SUBMIT, job_id);
    event.priority = priority;
    feed(self, &event);
}

static inline void control(fixture_t *self, const char *job_id, client_verb_t verb,
                           uint64_t request)
{
    core_event_t event = event_of(CORE_EVENT_CONTROL, job_id);
    event.request = request;
    event.verb = verb;
    feed(self, &event);
}

static inline void done(fixture_t *self, uint64_t ticket, int code)
{
    core_event_t event = event_of(CORE_EVENT_DONE, NULL);
    event.ticket = ticket;
    if (code != OK)
        error_set(&event.error, code, "the disk is full");
    feed(self, &event);
}

static inline void advanced(fixture_t *self, uint64_t ticket, uint32_t stage, uint32_t task_count)
{
    core_event_t event = event_of(CORE_EVENT_DONE, NULL);
    event.ticket = ticket;
    event.stage = stage;
    event.task_count = task_count;
    event.last = task_count == 0;
    event.state_sha.bytes[0] = (uint8_t)(stage + 1);
    feed(self, &event);
}

static inline void hello(fixture_t *self, uint32_t worker, uint32_t credit)
{
    core_event_t event = event_of(CORE_EVENT_HELLO, NULL);
    event.worker = worker;
    event.credit = credit;
    feed(self, &event);
}

static inline void heartbeat(fixture_t *self, uint32_t worker, const task_ref_t *held)
{
    core_event_t event = event_of(CORE_EVENT_HEARTBEAT, NULL);
    task_progress_t progress;
    memset(&progress, 0, sizeof progress);
    event.worker = worker;
    if (held) {
        progress.ref = *held;
        event.refs = &progress;
        event.ref_count = 1;
    }
    feed(self, &event);
}

static inline void about_task(fixture_t *self, core_event_kind_t kind, uint32_t worker,
                              const task_ref_t *ref, int code)
{
    core_event_t event = event_of(kind, NULL);
    event.worker = worker;
    event.ref = *ref;
    event.sha256.bytes[0] = (uint8_t)(ref->task + 1);
    if (code != OK)
        error_set(&event.error, code, "segment 3 cannot be read");
    feed(self, &event);
}

static inline void result(fixture_t *self, uint32_t worker, const task_ref_t *ref)
{
    about_task(self, CORE_EVENT_RESULT, worker, ref, OK);
}

/* A result whose save succeeds at once; the actions are those of the save's end. */
static inline void result_saved(fixture_t *self, uint32_t worker, const task_ref_t *ref)
{
    result(self, worker, ref);
    done(self, ticket_of(self, CORE_ACTION_SAVE_RESULT), OK);
}

/* Time passes, with a tick whenever the core asked for one; the actions are those of the last. */
static inline void tick_at(fixture_t *self, int64_t now_ms)
{
    core_event_t event = event_of(CORE_EVENT_TICK, NULL);
    while (self->wake_ms < now_ms) {
        self->now_ms = self->wake_ms;
        feed(self, &event);
    }
    self->now_ms = now_ms;
    feed(self, &event);
}

/* Submitted, started, planned: the stage is about to be saved. */
static inline void plan_job(fixture_t *self, const char *job_id, uint32_t task_count)
{
    submit(self, job_id, 0);
    done(self, ticket_of(self, CORE_ACTION_SAVE_JOB), OK);
    done(self, ticket_of(self, CORE_ACTION_SAVE_JOB), OK);
    advanced(self, ticket_of(self, CORE_ACTION_ADVANCE), 0, task_count);
}

/* ... and saved: the actions are those of the first dispatch. */
static inline void run_job(fixture_t *self, const char *job_id, uint32_t task_count)
{
    plan_job(self, job_id, task_count);
    done(self, ticket_of(self, CORE_ACTION_SAVE_STAGE), OK);
}

static inline job_state_t state_of(const fixture_t *self, const char *job_id)
{
    core_job_view_t view;
    assert_true(core_job(self->core, job_id, &view));
    return view.state;
}

static inline task_ref_t dispatched(const fixture_t *self, size_t nth)
{
    const core_action_t *found = action_at(self, CORE_ACTION_DISPATCH, nth);
    assert_non_null(found);
    return found->ref;
}

/* What the ledger has of an ended job that the core has forgotten: its row, and of a failed one its
 * stage of that many tasks, `finished` of them done. Then comes what is wanted of it. */
static inline void recall(fixture_t *self, const char *job_id, job_state_t job_state, int code,
                          uint32_t task_count, uint32_t finished)
{
    core_event_t event = event_of(CORE_EVENT_RECOVER_JOB, job_id);
    assert_false(core_knows(self->core, job_id));
    event.epoch = 1;
    event.state = job_state;
    event.settled = 1;
    if (code)
        error_set(&event.error, code, "as it was");
    feed(self, &event);
    event = event_of(CORE_EVENT_RECOVER_STAGE, job_id);
    event.epoch = 1;
    event.task_count = task_count;
    if (task_count)
        feed(self, &event);
    for (uint32_t task = 0; task < finished; task++) {
        event = event_of(CORE_EVENT_RECOVER_TASK, NULL);
        strcpy(event.ref.job_id, job_id);
        event.ref.epoch = 1;
        event.ref.task = task;
        feed(self, &event);
    }
    assert_int_equal(self->actions.count, 0);
}

#endif
