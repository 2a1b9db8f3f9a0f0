#include "coordinator/store_thread.h"

#include "coordinator/stage_file.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOGETHER SPOOL_UNSETTLED /* works that are carried out as one */

struct store_thread {
    ledger_t *ledger;
    spool_t *spool;
    result_store_t *results;
    net_actor_t *actor;
    atomic_int stop;
    atomic_int place;
    char name[16];
};

/* ---- work ---- */

static void give_up(const char *why)
{
    fprintf(stderr, "coordinator: %s; what is durable is in the ledger\n", why);
    abort();
}

store_work_t *store_work_new(store_kind_t kind, const char *job_id)
{
    store_work_t *self = calloc(1, sizeof *self);
    if (!self)
        give_up("out of memory");
    self->kind = kind;
    snprintf(self->action.job_id, sizeof self->action.job_id, "%s", job_id);
    return self;
}

void store_work_destroy(store_work_t **self)
{
    if (!self || !*self)
        return;
    ledger_job_clear(&(*self)->row);
    stage_clear(&(*self)->stage);
    free((*self)->found);
    for (size_t i = 0; i < (*self)->page_count; i++)
        ledger_job_clear(&(*self)->page[i]);
    free((*self)->page);
    free((*self)->tasks);
    free((*self)->ids);
    free((*self)->body);
    free(*self);
    *self = NULL;
}

static void discard(void *item)
{
    store_work_t *work = item;
    store_work_destroy(&work);
}

/* ---- a group of works ---- */

typedef struct {
    store_work_t *items[TOGETHER];
    size_t count;
} group_t;

static void fail_results(const group_t *group, const error_t *error)
{
    for (size_t i = 0; i < group->count; i++)
        if (group->items[i]->kind == STORE_SAVE_RESULT && !group->items[i]->error.code)
            group->items[i]->error = *error;
}

static int has_results(const group_t *group)
{
    size_t i = 0;
    while (i < group->count && group->items[i]->kind != STORE_SAVE_RESULT)
        i++;
    return i < group->count;
}

static void put_results(store_thread_t *self, const group_t *group)
{
    error_t error = ERROR_INIT;
    if (!has_results(group))
        return;
    spool_defer(self->spool);
    for (size_t i = 0; i < group->count; i++) {
        store_work_t *work = group->items[i];
        if (work->kind == STORE_SAVE_RESULT)
            spool_put_as(self->spool, work->action.job_id, work->bytes, work->length,
                         &work->action.sha256, &work->error);
    }
    if (spool_settle(self->spool, &error))
        fail_results(group, &error);
}

static stage_name_t name_of(const core_action_t *action)
{
    return (stage_name_t){.job_id = action->job_id,
                          .number = action->stage,
                          .task_count = action->task_count,
                          .stage_sha = action->stage_sha,
                          .state_sha = action->state_sha};
}

/* A stage is read before it is saved: one that cannot be handed out is no stage. */
static void read_stages(store_thread_t *self, const group_t *group)
{
    for (size_t i = 0; i < group->count; i++) {
        store_work_t *work = group->items[i];
        stage_name_t name = name_of(&work->action);
        if (work->kind == STORE_SAVE_STAGE && !work->action.last)
            stage_file_read(self->spool, &name, &work->stage, &work->fingerprint, &work->error);
    }
}

static void recall_results(store_thread_t *self, const group_t *group)
{
    for (size_t i = 0; i < group->count; i++) {
        store_work_t *work = group->items[i];
        stage_name_t name = name_of(&work->action);
        if (work->kind == STORE_SAVE_STAGE && !work->action.last && !work->error.code)
            work->found = stage_file_recall(self->spool, &name);
    }
}

static ledger_stage_t stage_row(const core_action_t *action)
{
    ledger_stage_t row = {.epoch = action->epoch,
                          .stage = action->stage,
                          .task_count = action->task_count,
                          .last = action->last,
                          .stage_sha = action->stage_sha,
                          .state_sha = action->state_sha};
    memcpy(row.job_id, action->job_id, sizeof row.job_id);
    return row;
}

/* 1 and what the ledger is to change for that work; `stage` is a place for its row. */
static int change_of(const store_work_t *work, ledger_stage_t *stage, ledger_change_t *out)
{
    if (work->error.code || work->kind > STORE_REMOVE)
        return 0;
    *stage = stage_row(&work->action);
    switch (work->kind) {
    case STORE_SAVE_JOB:
        *out = ledger_change_job(&work->row);
        break;
    case STORE_SAVE_STAGE:
        *out = ledger_change_stage(stage);
        break;
    case STORE_SAVE_RESULT:
        *out = ledger_change_task(&work->action.ref, &work->action.sha256);
        break;
    case STORE_FORGET:
        *out = ledger_change_forget(work->action.job_id);
        break;
    case STORE_SETTLE:
        *out = ledger_change_settle(work->action.job_id);
        break;
    default:
        *out = ledger_change_remove(work->action.job_id);
    }
    return 1;
}

static void change_ledger(store_thread_t *self, const group_t *group)
{
    ledger_change_t changes[TOGETHER] = {{.kind = LEDGER_JOB}};
    ledger_stage_t stages[TOGETHER];
    store_work_t *of[TOGETHER];
    size_t count = 0;
    for (size_t i = 0; i < group->count; i++)
        if (change_of(group->items[i], &stages[count], &changes[count]))
            of[count++] = group->items[i];
    if (count)
        self->ledger->verbs->change(self->ledger, changes, count);
    for (size_t i = 0; i < count; i++)
        of[i]->error = changes[i].error;
}

/* ---- what is no change ---- */

static void renew(store_thread_t *self, store_work_t *work)
{
    self->ledger->verbs->renew(self->ledger, &work->error);
}

static void read_job(store_thread_t *self, store_work_t *work)
{
    self->ledger->verbs->job(self->ledger, work->action.job_id, &work->row, &work->error);
}

static void find(store_thread_t *self, store_work_t *work)
{
    char key[sizeof work->row.idempotency_key];
    memcpy(key, work->row.idempotency_key, sizeof key);
    self->ledger->verbs->find(self->ledger, key, &work->row, &work->error);
}

/* The row's texts become ours: it is the walk's own copy. */
static void move_job(ledger_job_t *to, const ledger_job_t *from)
{
    *to = *from;
    to->spec_json = from->spec_json ? strdup(from->spec_json) : NULL;
    to->report_json = from->report_json ? strdup(from->report_json) : NULL;
    if ((from->spec_json && !to->spec_json) || (from->report_json && !to->report_json))
        give_up("out of memory");
}

static int take_listed(void *context, const ledger_job_t *row)
{
    store_work_t *work = context;
    if (work->page_count < work->query.limit)
        move_job(&work->page[work->page_count++], row);
    return OK;
}

static void list(store_thread_t *self, store_work_t *work)
{
    work->page = calloc(work->query.limit, sizeof *work->page);
    if (!work->page)
        give_up("out of memory");
    work->query.before = work->cursor;
    self->ledger->verbs->list(self->ledger, &work->query, take_listed, work, &work->error);
}

static int take_job(void *context, const ledger_job_t *row)
{
    store_work_t *work = context;
    move_job(&work->row, row);
    return OK;
}

static int take_stage(void *context, const ledger_stage_t *row)
{
    store_work_t *work = context;
    work->stage_row = *row;
    return OK;
}

static int take_task(void *context, const task_ref_t *ref, const sha256_t *result)
{
    store_work_t *work = context;
    if (work->task_count == work->task_capacity) {
        work->task_capacity = work->task_capacity ? 2 * work->task_capacity : 64;
        work->tasks = realloc(work->tasks, work->task_capacity * sizeof *work->tasks);
        if (!work->tasks)
            give_up("out of memory");
    }
    work->tasks[work->task_count++] = (task_row_t){*ref, *result};
    return OK;
}

static void recall(store_thread_t *self, store_work_t *work)
{
    self->ledger->verbs->load(self->ledger, work->action.job_id, take_job, take_stage, take_task,
                              work, &work->error);
}

static void look_for_expired(store_thread_t *self, store_work_t *work)
{
    work->ids = calloc(1, sizeof *work->ids);
    if (!work->ids)
        give_up("out of memory");
    self->ledger->verbs->expired(self->ledger, work->now_ms, work->unchanged_since_ms, work->ids,
                                 &work->error);
}

static void ping(store_thread_t *self, store_work_t *work)
{
    self->ledger->verbs->ping(self->ledger, &work->error);
    self->results->verbs->ping(self->results, &work->results_error);
}

static void ask_ledger(store_thread_t *self, store_work_t *work)
{
    static void (*const ASK[STORE_KIND_COUNT])(store_thread_t *, store_work_t *) = {
        [STORE_RENEW] = renew, [STORE_READ_JOB] = read_job, [STORE_FIND] = find,
        [STORE_LIST] = list,   [STORE_RECALL] = recall,     [STORE_EXPIRED] = look_for_expired,
        [STORE_PING] = ping,
    };
    if (ASK[work->kind])
        ASK[work->kind](self, work);
}

static void carry_out(store_thread_t *self, const group_t *group)
{
    for (size_t i = 0; atomic_load(&self->stop) && i < group->count; i++)
        error_set(&group->items[i]->error, ERR_CANCELLED, "stopped before it began");
    if (atomic_load(&self->stop))
        return;
    atomic_store(&self->place, STORE_AT_SPOOL);
    put_results(self, group);
    read_stages(self, group);
    atomic_store(&self->place, STORE_AT_LEDGER);
    change_ledger(self, group);
    for (size_t i = 0; i < group->count; i++)
        ask_ledger(self, group->items[i]);
    atomic_store(&self->place, STORE_AT_SPOOL);
    recall_results(self, group);
    atomic_store(&self->place, STORE_AT_REST);
}

/* ---- the thread ---- */

/* The first is waited for, and then whatever is there already. 0 when the end was seen after it. */
static int gather(net_pipe_t *pipe, void *first, group_t *group)
{
    int got = 1;
    group->items[0] = first;
    group->count = 1;
    while (group->count < TOGETHER && got > 0) {
        void *item;
        got = net_pipe_take(pipe, 0, &item);
        if (got > 0)
            group->items[group->count++] = item;
    }
    return got >= 0;
}

static void run(net_pipe_t *pipe, void *argument)
{
    store_thread_t *self = argument;
    group_t group;
    void *first;
    int more = 1;
    pthread_setname_np(pthread_self(), self->name);
    while (more && net_pipe_take(pipe, -1, &first) > 0) {
        more = gather(pipe, first, &group);
        carry_out(self, &group);
        for (size_t i = 0; i < group.count; i++)
            if (net_pipe_put(pipe, group.items[i]))
                discard(group.items[i]);
    }
}

int store_thread_new(const char *name, ledger_t *ledger, spool_t *spool, result_store_t *results,
                     store_thread_t **out, error_t *error)
{
    store_thread_t *self = calloc(1, sizeof *self);
    *out = NULL;
    if (!self)
        return error_set(error, ERR_MEMORY, "no memory for a thread");
    self->ledger = ledger;
    self->spool = spool;
    self->results = results;
    snprintf(self->name, sizeof self->name, "%s", name);
    int code = net_actor_new(run, self, discard, &self->actor, error);
    if (code)
        store_thread_destroy(&self);
    *out = self;
    return code;
}

void store_thread_destroy(store_thread_t **self)
{
    if (!self || !*self)
        return;
    atomic_store(&(*self)->stop, 1);
    net_actor_destroy(&(*self)->actor);
    free(*self);
    *self = NULL;
}

net_pipe_t *store_thread_pipe(store_thread_t *self) { return net_actor_pipe(self->actor); }

void store_thread_ask(store_thread_t *self, store_work_t *work)
{
    if (net_pipe_put(store_thread_pipe(self), work))
        give_up("a thread of the coordinator is gone");
}

store_place_t store_thread_place(const store_thread_t *self)
{
    return (store_place_t)atomic_load(&self->place);
}
