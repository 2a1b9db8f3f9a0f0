/* A simulated worker: runs what it holds in order, re-sends results until they are acknowledged,
 * dies, hangs, leaves and comes back. */
#include "world.h"

#include <string.h>

#define HEARTBEAT_MS 1000
#define RESEND_MS 1000

static mail_t mail_from(const sim_worker_t *worker, mail_kind_t kind)
{
    mail_t mail;
    memset(&mail, 0, sizeof mail);
    mail.kind = kind;
    mail.worker = worker->handle;
    return mail;
}

static void say_hello(world_t *self, sim_worker_t *worker)
{
    worker->task_count = 0;
    mail_t mail = mail_from(worker, MAIL_HELLO);
    mail.credit = worker->credit;
    mail_over_network(self, &mail);
}

void worker_start(world_t *self, sim_worker_t *worker)
{
    if (worker->handle == 0 || rng_chance(&self->rng, 0.5))
        worker->handle = ++self->next_handle;
    worker->alive = 1;
    worker->hung_until_ms = 0;
    worker->slow = !self->quiet && rng_chance(&self->rng, 0.15);
    worker->credit = 1 + rng_below(&self->rng, WORLD_CREDIT);
    worker->heartbeat_ms = self->now_ms + rng_between(&self->rng, 1, HEARTBEAT_MS);
    say_hello(self, worker);
}

static size_t find_task(const sim_worker_t *worker, const task_key_t *key)
{
    size_t at = 0;
    while (at < worker->task_count && !same_key(&worker->tasks[at].key, key))
        at++;
    return at;
}

static void forget_task(sim_worker_t *worker, const task_key_t *key)
{
    size_t at = find_task(worker, key);
    if (at == worker->task_count)
        return;
    worker->task_count--;
    memmove(worker->tasks + at, worker->tasks + at + 1,
            (worker->task_count - at) * sizeof *worker->tasks);
}

static void take_task(sim_worker_t *worker, const mail_t *mail)
{
    size_t room = sizeof worker->tasks / sizeof *worker->tasks;
    if (worker->task_count == room || find_task(worker, &mail->key) < worker->task_count)
        return;
    sim_task_t *task = &worker->tasks[worker->task_count++];
    memset(task, 0, sizeof *task);
    task->key = mail->key;
    task->state = mail->value;
}

void worker_receive(world_t *self, const mail_t *mail)
{
    sim_worker_t *worker = NULL;
    for (uint32_t i = 0; i < self->worker_count; i++) {
        if (self->workers[i].alive && self->workers[i].handle == mail->worker)
            worker = &self->workers[i];
    }
    if (!worker)
        return;
    if (worker->hung_until_ms > self->now_ms) { /* it waits in the socket */
        mail_again(self, mail, worker->hung_until_ms);
        return;
    }
    if (mail->kind == MAIL_TASK)
        take_task(worker, mail);
    else if (mail->kind == MAIL_WHO)
        say_hello(self, worker);
    else
        forget_task(worker, &mail->key);
}

static void leave(world_t *self, sim_worker_t *worker)
{
    for (size_t i = 0; i < worker->task_count; i++) {
        mail_t mail = mail_from(worker, MAIL_RETURNED);
        mail.key = worker->tasks[i].key;
        mail_over_network(self, &mail);
    }
    mail_t mail = mail_from(worker, MAIL_GOODBYE);
    mail_over_network(self, &mail);
}

void worker_fault(world_t *self, sim_worker_t *worker)
{
    if (!worker->alive)
        return;
    if (rng_chance(&self->rng, 0.4)) {
        worker->hung_until_ms = self->now_ms + rng_between(&self->rng, 100, 7000);
        world_note(self, "worker %u hangs until %lld", worker->handle,
                   (long long)worker->hung_until_ms);
        return;
    }
    if (rng_chance(&self->rng, 0.3))
        leave(self, worker);
    world_note(self, "worker %u is gone", worker->handle);
    worker->alive = 0;
    worker->task_count = 0;
    worker->revive_ms = self->now_ms + rng_between(&self->rng, 10, 5000);
}

/* The first unfinished task is the one that runs. */
static sim_task_t *running(sim_worker_t *worker)
{
    for (size_t i = 0; i < worker->task_count; i++) {
        if (!worker->tasks[i].finished)
            return &worker->tasks[i];
    }
    return NULL;
}

int64_t worker_next_ms(const sim_worker_t *worker)
{
    if (!worker->alive)
        return worker->revive_ms;
    int64_t next_ms = worker->heartbeat_ms;
    for (size_t i = 0; i < worker->task_count; i++) {
        const sim_task_t *task = &worker->tasks[i];
        int64_t at_ms = task->finished ? task->sent_ms + RESEND_MS : task->finish_ms;
        next_ms = at_ms < next_ms ? at_ms : next_ms;
        if (!task->finished)
            break;
    }
    return next_ms > worker->hung_until_ms ? next_ms : worker->hung_until_ms;
}

static void send_heartbeat(world_t *self, sim_worker_t *worker)
{
    mail_t mail = mail_from(worker, MAIL_HEARTBEAT);
    for (size_t i = 0; i < worker->task_count; i++) {
        if (!worker->tasks[i].finished || self->faults.list_unacknowledged)
            mail.keys[mail.key_count++] = worker->tasks[i].key;
    }
    mail_over_network(self, &mail);
    worker->heartbeat_ms = self->now_ms + HEARTBEAT_MS;
}

static void send_result(world_t *self, sim_worker_t *worker, sim_task_t *task)
{
    mail_t mail = mail_from(worker, MAIL_RESULT);
    mail.key = task->key;
    mail.value = model_result(&self->jobs[task->key.job].model, task->key.stage, task->key.task,
                              task->state);
    mail_over_network(self, &mail);
    task->sent_ms = self->now_ms;
}

static void send_failure(world_t *self, sim_worker_t *worker, sim_task_t *task, int code)
{
    mail_t mail = mail_from(worker, MAIL_FAILURE);
    mail.key = task->key;
    mail.code = code;
    mail_over_network(self, &mail);
    task_key_t key = task->key;
    forget_task(worker, &key);
}

/* One task of the first job is poisonous now and then. */
static double chance_to_fail(const world_t *self, const task_key_t *key)
{
    return key->job == 0 && key->task == 0 ? self->faults.poison : self->faults.task_fails;
}

static void finish(world_t *self, sim_worker_t *worker, sim_task_t *task)
{
    task->finished = 1;
    if (!self->quiet && rng_chance(&self->rng, self->faults.task_permanent))
        send_failure(self, worker, task, ERR_CHANGED);
    else if (!self->quiet && rng_chance(&self->rng, chance_to_fail(self, &task->key)))
        send_failure(self, worker, task, ERR_IO);
    else
        send_result(self, worker, task);
}

static void run_tasks(world_t *self, sim_worker_t *worker)
{
    sim_task_t *task = running(worker);
    if (task && task->finish_ms == 0)
        task->finish_ms = self->now_ms + rng_between(&self->rng, 1, 200) * (worker->slow ? 10 : 1);
    else if (task && task->finish_ms <= self->now_ms)
        finish(self, worker, task);
    for (size_t i = 0; i < worker->task_count; i++) {
        task = &worker->tasks[i];
        if (task->finished && task->sent_ms + RESEND_MS <= self->now_ms)
            send_result(self, worker, task);
    }
}

void worker_run_due(world_t *self, sim_worker_t *worker)
{
    if (!worker->alive) {
        worker_start(self, worker);
        return;
    }
    run_tasks(self, worker);
    if (worker->heartbeat_ms <= self->now_ms)
        send_heartbeat(self, worker);
}
