#include "coordinator/merge_thread.h"

#include "common/clock.h"
#include "coordinator/output/write.h"

#include <stdlib.h>
#include <string.h>

struct merge_thread {
    const merge_places_t *places;
    spool_t *spool;
    result_store_t *results;
    kept_t kept;
    net_actor_t *actor;
    atomic_int stop;
};

void merge_work_destroy(merge_work_t **self)
{
    if (!self || !*self)
        return;
    free((*self)->results);
    free((*self)->report_json);
    free(*self);
    *self = NULL;
}

static void discard(void *item)
{
    merge_work_t *work = item;
    merge_work_destroy(&work);
}

/* 1 when advance() has named the task whose result makes no sense ("task:<number>"). */
static int is_named(merge_work_t *work)
{
    static const char NAME[] = "task:";
    const char *field = work->error.field;
    char *end = NULL;
    if (work->error.code != ERR_NOT_FOUND || strncmp(field, NAME, sizeof NAME - 1) != 0)
        return 0;
    unsigned long task = strtoul(field + sizeof NAME - 1, &end, 10);
    if (*end || task >= work->result_count)
        return 0;
    work->broken_task = (uint32_t)task;
    return 1;
}

/* The core wants the task whose payload is missing, damaged or nonsense, to have it done again. (A
 * damaged file was removed by the spool when it was read.) */
static void find_broken(merge_thread_t *self, merge_work_t *work)
{
    if (is_named(work) || (work->error.code != ERR_NOT_FOUND && work->error.code != ERR_INPUT))
        return;
    for (uint32_t task = 0; task < work->result_count; task++) {
        uint8_t *bytes = NULL;
        size_t length;
        error_t error = ERROR_INIT;
        int code =
            spool_get(self->spool, work->job_id, &work->results[task], &bytes, &length, &error);
        free(bytes);
        if (code == ERR_NOT_FOUND || code == ERR_INPUT) {
            work->broken_task = task;
            work->error = error;
            return;
        }
    }
}

/* A result is named first: it alone is computed again. */
static void find_lost(merge_work_t *work)
{
    int code = work->error.code;
    work->lost = (code == ERR_NOT_FOUND || code == ERR_INPUT) && work->broken_task == UINT32_MAX &&
                 !strcmp(work->error.field, SPOOL_PAYLOAD);
}

/* Costs a small file a stage, and is missed only when a later step loses one of this one's. */
static void remember(merge_thread_t *self, const merge_work_t *work)
{
    sha256_t name = spool_stage_name(&work->stage_sha, &work->state_sha);
    spool_remember(self->spool, work->job_id, &name, work->results, work->result_count, NULL);
}

static void run_advance(merge_thread_t *self, merge_work_t *work)
{
    advance_input_t input = {.job_id = work->job_id,
                             .spec = work->spec,
                             .indices_folder = self->places->indices_folder,
                             .cache_folder = self->places->cache_folder,
                             .spool = self->spool,
                             .kept = &self->kept,
                             .memory = self->places->memory,
                             .stop = &work->stop,
                             .matrix_bytes = self->places->matrix_bytes,
                             .first = work->first,
                             .stage_number = work->stage,
                             .stage_sha = work->stage_sha,
                             .state_sha = work->state_sha,
                             .result_count = work->result_count,
                             .results = work->results};
    spool_defer(
        self->spool); /* what the fold leaves is named to nobody before all of it is there */
    work->error.code = advance(&input, &work->advanced, &work->error);
    int settled = spool_settle(self->spool, work->error.code ? NULL : &work->error);
    if (!work->error.code)
        work->error.code = settled;
    if (work->error.code)
        find_broken(self, work);
    else if (!work->first)
        remember(self, work);
}

static void run_write(merge_thread_t *self, merge_work_t *work)
{
    write_input_t input = {.job_id = work->job_id,
                           .epoch = work->epoch,
                           .spec = work->spec,
                           .spec_json = work->spec_json,
                           .indices_folder = self->places->indices_folder,
                           .cache_folder = self->places->cache_folder,
                           .output_folder = self->places->output_folder,
                           .spool = self->spool,
                           .results = self->results,
                           .state_sha = work->state_sha,
                           .finished_ms = clock_wall_ms()};
    work->error.code = write_outcome(&input, &work->report_json, &work->error);
}

static void run_purge(merge_thread_t *self, merge_work_t *work)
{
    kept_drop(&self->kept, work->job_id);
    if (!work->keep_spool)
        work->error.code = spool_remove_job(self->spool, work->job_id, &work->error);
    if (!work->error.code)
        work->error.code = (work->discard_results ? write_remove : write_discard)(
            self->places->output_folder, work->job_id, &work->error);
    if (!work->error.code && work->discard_results)
        work->error.code =
            self->results->verbs->remove_job(self->results, work->job_id, &work->error);
}

/* What is seen first: the file, then the rows. */
static void run_remove(merge_thread_t *self, merge_work_t *work)
{
    work->error.code = write_remove(self->places->output_folder, work->job_id, &work->error);
    if (!work->error.code)
        work->error.code =
            self->results->verbs->remove_job(self->results, work->job_id, &work->error);
    if (!work->error.code)
        work->error.code = spool_remove_job(self->spool, work->job_id, &work->error);
}

static void run_work(merge_thread_t *self, merge_work_t *work)
{
    static void (*const RUN[])(merge_thread_t *, merge_work_t *) = {[MERGE_ADVANCE] = run_advance,
                                                                    [MERGE_WRITE] = run_write,
                                                                    [MERGE_PURGE] = run_purge,
                                                                    [MERGE_REMOVE] = run_remove};
    work->broken_task = UINT32_MAX;
    int stoppable = work->kind == MERGE_ADVANCE || work->kind == MERGE_WRITE;
    if (atomic_load(&self->stop) || (stoppable && atomic_load(&work->stop)))
        error_set(&work->error, ERR_CANCELLED, "stopped before it began");
    else
        RUN[work->kind](self, work);
    find_lost(work);
}

static void run(net_pipe_t *pipe, void *argument)
{
    void *item;
    while (net_pipe_take(pipe, -1, &item) > 0) {
        run_work(argument, item);
        if (net_pipe_put(pipe, item))
            discard(item);
    }
}

int merge_thread_new(const merge_places_t *places, merge_thread_t **out, error_t *error)
{
    *out = NULL;
    merge_thread_t *self = calloc(1, sizeof *self);
    if (!self)
        return error_set(error, ERR_MEMORY, "no memory for a merge thread");
    self->places = places;
    int code = places->scratch ? spool_open_scratch(places->spool_folder, &self->spool, error)
                               : spool_open(places->spool_folder, &self->spool, error);
    if (!code)
        code = result_store_open(places->results, 0, &self->results, error);
    if (!code)
        code = self->results->verbs->claim(self->results, &places->fence, error);
    if (!code)
        code = net_actor_new(run, self, discard, &self->actor, error);
    if (code)
        merge_thread_destroy(&self);
    *out = self;
    return code;
}

void merge_thread_destroy(merge_thread_t **self)
{
    if (!self || !*self)
        return;
    merge_thread_stop(*self);
    net_actor_destroy(&(*self)->actor);
    kept_drop(&(*self)->kept, NULL);
    if ((*self)->results)
        (*self)->results->verbs->close(&(*self)->results);
    spool_close(&(*self)->spool);
    free(*self);
    *self = NULL;
}

net_pipe_t *merge_thread_pipe(merge_thread_t *self) { return net_actor_pipe(self->actor); }

void merge_thread_stop(merge_thread_t *self) { atomic_store(&self->stop, 1); }
