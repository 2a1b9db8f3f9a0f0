#include "common/clock.h"
#include "proto/store/result_store_sqlite.h"
#include "proto/store/text_fold.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A transaction ends when it has that much: short enough for the ledger to wait, long enough that
 * the fsync at its end does not count. */
#define BATCH_ROWS 8192
#define BATCH_BYTES (16u << 20)

static void bind_time(statement_t *statement, int parameter, int64_t time_ms)
{
    if (time_ms == TIME_NONE)
        statement_bind_text(statement, parameter, NULL);
    else
        statement_bind_int(statement, parameter, time_ms);
}

/* ---- dropping what nobody can see ---- */

/* Deletes rows of a writing, a piece a transaction, until none is left. */
static int drop_rows(result_sqlite_t *self, statement_name_t name, int64_t writing, error_t *error)
{
    int64_t deleted = 1;
    int code = OK;
    while (code == OK && deleted) {
        statement_bind_int(self->statements[name], 1, writing);
        statement_bind_int(self->statements[name], 2, BATCH_ROWS);
        code = statement_run(self->statements[name], error);
        deleted = database_changes(self->database);
    }
    return code;
}

static int drop_writing(result_sqlite_t *self, int64_t writing, error_t *error)
{
    int code = drop_rows(self, DROP_MEMBERS, writing, error);
    if (code == OK)
        code = drop_rows(self, DROP_CLUSTERS, writing, error);
    if (code == OK)
        code = drop_rows(self, DROP_TEXTS, writing, error);
    if (code != OK)
        return code;
    statement_bind_int(self->statements[DROP_ENTITIES], 1, writing);
    code = statement_run(self->statements[DROP_ENTITIES], error);
    if (code != OK)
        return code;
    statement_bind_int(self->statements[DROP_WRITING], 1, writing);
    return statement_run(self->statements[DROP_WRITING], error);
}

/* Every writing of the job that its row does not point at: replaced ones, and those of writers that
 * were killed. */
static int drop_leftovers(result_sqlite_t *self, const char *job_id, error_t *error)
{
    for (;;) {
        statement_t *next = self->statements[DROP_NEXT];
        int row = 0;
        statement_bind_text(next, 1, job_id);
        int code = statement_step(next, &row, error);
        int64_t writing = row ? statement_int(next, 0) : 0;
        statement_reset(next);
        if (code != OK || !row)
            return code;
        code = drop_writing(self, writing, error);
        if (code != OK)
            return code;
    }
}

/* ---- batches ---- */

static int batch_begin(result_sqlite_t *self, error_t *error)
{
    if (self->batch_rows)
        return OK;
    int code = database_begin(self->database, error);
    self->batch_rows = code == OK;
    self->batch_bytes = 0;
    return code;
}

static int batch_end(result_sqlite_t *self, int code, error_t *error)
{
    if (!self->batch_rows)
        return code;
    self->batch_rows = 0;
    return database_end(self->database, code, error);
}

/* Counts a row just inserted, and ends the batch when it is full. */
static int batch_count(result_sqlite_t *self, size_t bytes, error_t *error)
{
    self->batch_rows++;
    self->batch_bytes += bytes;
    if (self->batch_rows < BATCH_ROWS && self->batch_bytes < BATCH_BYTES)
        return OK;
    int code = batch_end(self, OK, error);
    return code == OK ? batch_begin(self, error) : code;
}

/* ---- who may write ---- */

static int refused(result_sqlite_t *self, error_t *error)
{
    statement_t *statement = self->statements[READ_FENCE];
    int row = 0;
    statement_bind_text(statement, 1, self->claimed.ledger);
    int code = statement_step(statement, &row, error);
    if (code == OK)
        code = result_claim_refuse(database_path(self->database),
                                   row ? statement_int(statement, 0) : 0,
                                   row ? statement_text(statement, 1) : "?", &self->claimed, error);
    statement_reset(statement);
    return code;
}

/* Inside the transaction that changes something: ours is the largest number that came here. */
static int hold_fence(result_sqlite_t *self, error_t *error)
{
    statement_t *statement = self->statements[CLAIM];
    if (!self->claimed.number)
        return OK;
    statement_bind_text(statement, 1, self->claimed.ledger);
    statement_bind_int(statement, 2, self->claimed.number);
    statement_bind_text(statement, 3, self->claimed.owner);
    int code = statement_run(statement, error);
    return code == OK && !database_changes(self->database) ? refused(self, error) : code;
}

int result_sqlite_claim(result_store_t *store, const result_fence_t *fence, error_t *error)
{
    result_sqlite_t *self = result_sqlite_of(store);
    if (self->state != WRITING_NONE)
        return error_set(error, ERR_CONFLICT, "job %s is being written", self->job_id);
    result_claim_set(&self->claimed, fence);
    return hold_fence(self, error);
}

/* ---- the verbs ---- */

/* The epoch and writing that are committed; *epoch is -1 when the job is not there. */
static int committed(result_sqlite_t *self, const char *job_id, int64_t *epoch, error_t *error)
{
    statement_t *statement = self->statements[WRITE_EPOCH];
    int row = 0;
    statement_bind_text(statement, 1, job_id);
    int code = statement_step(statement, &row, error);
    *epoch = row ? statement_int(statement, 0) : -1;
    statement_reset(statement);
    return code;
}

static int past_epoch(const char *job_id, int64_t there, uint32_t epoch, error_t *error)
{
    return error_set(error, ERR_CONFLICT, "the results of job %s are of epoch %lld, past %u",
                     job_id, (long long)there, epoch);
}

int result_sqlite_begin_job(result_store_t *store, const char *job_id, uint32_t epoch,
                            error_t *error)
{
    result_sqlite_t *self = result_sqlite_of(store);
    int64_t there = -1;
    if (self->state != WRITING_NONE)
        return error_set(error, ERR_CONFLICT, "job %s is being written on this handle",
                         self->job_id);
    if (!*job_id || strlen(job_id) >= sizeof self->job_id)
        return error_field(error, ERR_USAGE, "job_id", "a job id has 1 to %d characters",
                           JOB_ID_SIZE - 1);
    int code = committed(self, job_id, &there, error);
    if (code == OK && there > (int64_t)epoch)
        return past_epoch(job_id, there, epoch, error);
    if (code == OK)
        code = hold_fence(self, error); /* what is left may be another coordinator's, at work */
    if (code == OK)
        code = drop_leftovers(self, job_id, error);
    if (code == OK && there != (int64_t)epoch) {
        statement_bind_text(self->statements[WRITE_BEGIN], 1, job_id);
        statement_bind_int(self->statements[WRITE_BEGIN], 2, epoch);
        code = statement_run(self->statements[WRITE_BEGIN], error);
        self->writing = database_last_row(self->database);
    }
    if (code != OK)
        return code;
    snprintf(self->job_id, sizeof self->job_id, "%s", job_id);
    self->epoch = epoch;
    self->cluster_count = 0;
    self->member_count = 0;
    self->state = there == (int64_t)epoch ? WRITING_REPLAY : WRITING_ROWS;
    return OK;
}

/* OK to insert, or why not; *skip when the rows are not wanted. */
static int writable(const result_sqlite_t *self, int *skip, error_t *error)
{
    *skip = self->state == WRITING_REPLAY;
    if (self->state == WRITING_NONE)
        return error_set(error, ERR_CONFLICT, "no job was begun on this handle");
    if (self->state == WRITING_FAILED)
        return error_set(error, ERR_CONFLICT, "writing job %s failed before; roll it back",
                         self->job_id);
    return OK;
}

/* A failed row fails the whole writing. */
static int finish(result_sqlite_t *self, int code, error_t *error)
{
    if (code == OK)
        return OK;
    batch_end(self, code, error);
    self->state = WRITING_FAILED;
    return code;
}

static int insert_members(result_sqlite_t *self, const int64_t *cluster,
                          const member_row_t *members, size_t count, error_t *error)
{
    statement_t *statement = self->statements[WRITE_MEMBER];
    int code = OK;
    for (size_t i = 0; code == OK && i < count; i++) {
        const member_row_t *member = &members[i];
        statement_bind_int(statement, 1, self->writing);
        if (cluster)
            statement_bind_int(statement, 2, *cluster);
        statement_bind_text(statement, 3, member->source_id);
        statement_bind_text(statement, 4, member->vector_id);
        statement_bind_text(statement, 5, member->document_id);
        statement_bind_text(statement, 6, member->assignment);
        statement_bind_real(statement, 7, member->strength);
        statement_bind_real(statement, 8, member->outlier_score);
        statement_bind_real(statement, 9, member->similarity);
        code = statement_run(statement, error);
        if (code == OK)
            code = batch_count(self, 0, error);
    }
    return code;
}

static int insert_entities(result_sqlite_t *self, int64_t cluster, const char *entities,
                           error_t *error)
{
    statement_t *statement = self->statements[WRITE_ENTITY];
    int code = OK;
    while (code == OK && *entities) {
        size_t length = strcspn(entities, "\n");
        statement_bind_int(statement, 1, self->writing);
        statement_bind_int(statement, 2, cluster);
        statement_bind_bytes(statement, 3, entities, length);
        if (length)
            code = statement_run(statement, error);
        entities += length + (entities[length] == '\n');
    }
    return code;
}

static int insert_cluster(result_sqlite_t *self, const cluster_row_t *cluster, int64_t *number,
                          error_t *error)
{
    statement_t *statement = self->statements[WRITE_CLUSTER];
    char *folded = strdup(cluster->label);
    if (!folded)
        return error_set(error, ERR_MEMORY, "no memory for cluster %s", cluster->cluster_id);
    text_fold(folded);
    statement_bind_int(statement, 1, self->writing);
    statement_bind_text(statement, 2, cluster->cluster_id);
    statement_bind_int(statement, 3, cluster->size);
    statement_bind_text(statement, 4, cluster->label);
    statement_bind_text(statement, 5, folded);
    statement_bind_text(statement, 6, cluster->domain);
    statement_bind_text(statement, 7, cluster->type);
    bind_time(statement, 8, cluster->time_start_ms);
    bind_time(statement, 9, cluster->time_end_ms);
    statement_bind_real(statement, 10, cluster->intra_similarity);
    statement_bind_bytes(statement, 11, cluster->json, cluster->json_length);
    int code = statement_run(statement, error);
    *number = database_last_row(self->database);
    free(folded);
    return code;
}

int result_sqlite_add_cluster(result_store_t *store, const cluster_row_t *cluster, error_t *error)
{
    result_sqlite_t *self = result_sqlite_of(store);
    int64_t number = 0;
    int skip;
    int code = writable(self, &skip, error);
    if (code != OK || skip)
        return code;
    code = batch_begin(self, error);
    if (code == OK)
        code = insert_cluster(self, cluster, &number, error);
    if (code == OK)
        code = insert_entities(self, number, cluster->entities, error);
    if (code == OK)
        code = batch_count(self, cluster->json_length, error);
    if (code == OK)
        code = insert_members(self, &number, cluster->members, cluster->member_count, error);
    self->cluster_count++;
    self->member_count += cluster->member_count;
    return finish(self, code, error);
}

int result_sqlite_add_noise(result_store_t *store, const member_row_t *members, size_t count,
                            error_t *error)
{
    result_sqlite_t *self = result_sqlite_of(store);
    int skip;
    int code = writable(self, &skip, error);
    if (code != OK || skip)
        return code;
    code = batch_begin(self, error);
    if (code == OK)
        code = insert_members(self, NULL, members, count, error);
    return finish(self, code, error);
}

int result_sqlite_add_text(result_store_t *store, const char *name, uint32_t number,
                           const char *text, size_t length, error_t *error)
{
    result_sqlite_t *self = result_sqlite_of(store);
    statement_t *statement = self->statements[WRITE_TEXT];
    int skip;
    int code = writable(self, &skip, error);
    if (code != OK || skip)
        return code;
    code = batch_begin(self, error);
    if (code == OK) {
        statement_bind_int(statement, 1, self->writing);
        statement_bind_text(statement, 2, name);
        statement_bind_int(statement, 3, number);
        statement_bind_bytes(statement, 4, text, length);
        code = statement_run(statement, error);
    }
    if (code == OK)
        code = batch_count(self, length, error);
    return finish(self, code, error);
}

int result_sqlite_flush(result_sqlite_t *self, error_t *error)
{
    return finish(self, batch_end(self, OK, error), error);
}

static int put_job(result_sqlite_t *self, const result_job_row_t *job, error_t *error)
{
    statement_t *statement = self->statements[WRITE_JOB];
    statement_bind_text(statement, 1, job->job_id);
    statement_bind_int(statement, 2, self->writing);
    statement_bind_int(statement, 3, job->epoch);
    statement_bind_int(statement, 4, job->level);
    statement_bind_text(statement, 5, job->algorithm);
    statement_bind_text(statement, 6, job->spec_json);
    statement_bind_text(statement, 7, job->report_json);
    statement_bind_text(statement, 8, job->output_name);
    bind_time(statement, 9, job->as_of_ms);
    statement_bind_int(statement, 10, job->finished_ms);
    statement_bind_int(statement, 11, job->item_count);
    statement_bind_int(statement, 12, job->noise_count);
    statement_bind_int(statement, 13, (int64_t)self->cluster_count);
    statement_bind_int(statement, 14, (int64_t)self->member_count);
    return statement_run(statement, error);
}

/* Looks again inside the transaction: another process may have committed or begun meanwhile. */
static int still_ours(result_sqlite_t *self, error_t *error)
{
    statement_t *statement = self->statements[WRITE_THERE];
    int64_t there = -1;
    int row = 0;
    int code = committed(self, self->job_id, &there, error);
    if (code != OK)
        return code;
    if (there > (int64_t)self->epoch)
        return past_epoch(self->job_id, there, self->epoch, error);
    statement_bind_int(statement, 1, self->writing);
    code = statement_step(statement, &row, error);
    statement_reset(statement);
    if (code == OK && !row)
        return error_set(error, ERR_CONFLICT, "another process began to write job %s",
                         self->job_id);
    return code;
}

int result_sqlite_commit_job(result_store_t *store, const result_job_row_t *job, error_t *error)
{
    result_sqlite_t *self = result_sqlite_of(store);
    int skip;
    int code = writable(self, &skip, error);
    if (code == OK && (strcmp(job->job_id, self->job_id) || job->epoch != self->epoch))
        code = error_set(error, ERR_USAGE, "job %s epoch %u was begun, not %s epoch %u",
                         self->job_id, self->epoch, job->job_id, job->epoch);
    if (code != OK)
        return code;
    if (!skip) {
        code = batch_begin(self, error);
        if (code == OK)
            code = still_ours(self, error);
        if (code == OK)
            code = put_job(self, job, error);
        if (code == OK)
            code = hold_fence(self, error);
        code = batch_end(self, code, error);
    }
    if (code != OK)
        return finish(self, code, error);
    self->state = WRITING_NONE;
    /* The commit stands whether or not the replaced rows can be removed now. */
    drop_leftovers(self, job->job_id, NULL);
    return OK;
}

void result_sqlite_rollback_job(result_store_t *store)
{
    result_sqlite_t *self = result_sqlite_of(store);
    if (self->state == WRITING_NONE)
        return;
    batch_end(self, ERR_CANCELLED, NULL);
    if (self->state != WRITING_REPLAY)
        drop_writing(self, self->writing, NULL);
    self->state = WRITING_NONE;
}

static int drop_job(result_sqlite_t *self, const char *job_id, error_t *error)
{
    int code = batch_begin(self, error);
    if (code != OK)
        return code;
    statement_bind_text(self->statements[DROP_JOB], 1, job_id);
    code = statement_run(self->statements[DROP_JOB], error);
    if (code == OK)
        code = hold_fence(self, error);
    return batch_end(self, code, error);
}

int result_sqlite_remove_job(result_store_t *store, const char *job_id, error_t *error)
{
    result_sqlite_t *self = result_sqlite_of(store);
    if (self->state != WRITING_NONE && !strcmp(job_id, self->job_id))
        return error_set(error, ERR_CONFLICT, "job %s is being written", job_id);
    int code = drop_job(self, job_id, error);
    return code == OK ? drop_leftovers(self, job_id, error) : code;
}
