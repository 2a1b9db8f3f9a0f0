/* Jobs that have ended are in the ledger alone. What is asked of them is read by the reader, and
 * whoever wants something of one gets it back into book and core first.
 *
 * While the reader reads, jobs end and are forgotten: what it says of a job that the core does not know
 * by then counts only when none was forgotten since it was asked (shell_ask_again). */
#include "coordinator/shell.h"

#include <stdlib.h>
#include <string.h>

#define ASK_LIMIT 20 /* what is not known by then is not known */

void shell_ask(shell_t *self, store_work_t *work)
{
    work->forgotten = self->forgotten;
    work->asked++;
    store_thread_ask(self->reader, work);
}

void shell_ask_for(shell_t *self, store_work_t *work, const net_peer_t *peer, uint64_t request_id)
{
    work->peer = *peer;
    work->request_id = request_id;
    self->reading++;
    shell_ask(self, work);
}

/* What it has brought goes; what was asked for stays. */
static void empty(store_work_t *work)
{
    char key[sizeof work->row.idempotency_key];
    memcpy(key, work->row.idempotency_key, sizeof key);
    for (size_t i = 0; i < work->page_count; i++)
        ledger_job_clear(&work->page[i]);
    free(work->page);
    work->page = NULL;
    work->page_count = 0;
    work->task_count = 0;
    ledger_job_clear(&work->row);
    work->row = (ledger_job_t){.epoch = 0};
    work->stage_row = (ledger_stage_t){.epoch = 0};
    work->error = (error_t)ERROR_INIT;
    memcpy(work->row.idempotency_key, key, sizeof key);
}

int shell_ask_again(shell_t *self, store_work_t *work)
{
    if (work->forgotten == self->forgotten || work->asked >= ASK_LIMIT)
        return 0;
    empty(work);
    shell_ask(self, work);
    return 1;
}

/* ---- jobs that come back ---- */

void shell_feed_or_recall(shell_t *self, const core_event_t *event)
{
    if (core_knows(self->core, event->job_id)) {
        shell_feed(self, event);
        return;
    }
    store_work_t *work = store_work_new(STORE_RECALL, event->job_id);
    work->event = *event;
    shell_ask(self, work);
}

static int take_back(shell_t *self, const store_work_t *work, error_t *error)
{
    int code = shell_recover_job(self, &work->row, error);
    if (code)
        return code;
    if (work->stage_row.job_id[0])
        shell_recover_stage(self, &work->stage_row);
    for (size_t i = 0; i < work->task_count; i++)
        shell_recover_task(self, &work->tasks[i].ref, &work->tasks[i].result);
    return OK;
}

/* A row that is not settled, of a job that the core does not know, is of one that was refused. */
void shell_recalled(shell_t *self, store_work_t *work)
{
    error_t error = work->error;
    int there = !error.code && work->row.job_id[0] && work->row.settled;
    int known = core_knows(self->core, work->action.job_id);
    if (!error.code && !known && !there && shell_ask_again(self, work))
        return;
    if (!error.code && !known && there)
        take_back(self, work, &error);
    if (!error.code)
        shell_feed(self, &work->event);
    else
        shell_answer(self, work->event.request, work->action.job_id, &error);
    store_work_destroy(&work);
}

int shell_record_of_row(const ledger_job_t *row, job_record_t *out, error_t *error)
{
    const char *spec = row->spec_json ? row->spec_json : "";
    memset(out, 0, sizeof *out);
    int code = job_spec_from_json(spec, strlen(spec), &out->spec, error);
    if (code)
        return error_set(error, ERR_INPUT, "the spec of job %s in the ledger cannot be read",
                         row->job_id);
    memcpy(out->job_id, row->job_id, sizeof out->job_id);
    memcpy(out->idempotency_key, row->idempotency_key, sizeof out->idempotency_key);
    out->submitted_ms = row->submitted_ms;
    out->changed_ms = row->changed_ms;
    out->durable = 1;
    out->state = out->row_state = row->state;
    out->row_epoch = row->epoch;
    out->row_error = row->error;
    out->asked = shell_asked(&out->spec);
    return OK;
}
