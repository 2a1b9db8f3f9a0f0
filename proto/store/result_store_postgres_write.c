#include "common/clock.h"
#include "proto/store/result_store_postgres.h"
#include "proto/store/text_fold.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEND_BYTES (8u << 20) /* rows are sent when so many bytes of one table wait */

#define COPY_CLUSTERS                                                                              \
    "COPY result_cluster(writing, number, size, time_start_ms, time_end_ms, intra_similarity,"     \
    " cluster_id, label, label_folded, domain, type, json) FROM STDIN (FORMAT binary)"
#define COPY_ENTITIES "COPY result_entity(writing, cluster, entity) FROM STDIN (FORMAT binary)"
#define COPY_MEMBERS                                                                               \
    "COPY result_member(writing, cluster, strength, outlier_score, similarity, source_id,"         \
    " vector_id, document_id, assignment) FROM STDIN (FORMAT binary)"

#define COPY_TEXTS "COPY result_text(writing, number, name, text) FROM STDIN (FORMAT binary)"

/* ---- rows ---- */

static void copy_time(copy_rows_t *rows, int64_t time_ms)
{
    if (time_ms == TIME_NONE)
        copy_null(rows);
    else
        copy_int8(rows, time_ms);
}

static void put_member(result_postgres_t *self, const int64_t *cluster, const member_row_t *member)
{
    copy_rows_t *rows = &self->members;
    copy_row(rows, 9);
    copy_int8(rows, self->writing);
    if (cluster)
        copy_int8(rows, *cluster);
    else
        copy_null(rows);
    copy_real(rows, member->strength);
    copy_real(rows, member->outlier_score);
    copy_real(rows, member->similarity);
    copy_text(rows, member->source_id);
    copy_text(rows, member->vector_id);
    copy_text(rows, member->document_id);
    copy_text(rows, member->assignment);
}

static void put_entities(result_postgres_t *self, int64_t cluster, const char *entities)
{
    while (*entities) {
        size_t length = strcspn(entities, "\n");
        if (length) {
            copy_row(&self->entities, 3);
            copy_int8(&self->entities, self->writing);
            copy_int8(&self->entities, cluster);
            copy_bytes(&self->entities, entities, length);
        }
        entities += length + (entities[length] == '\n');
    }
}

static int put_cluster(result_postgres_t *self, int64_t number, const cluster_row_t *cluster,
                       error_t *error)
{
    copy_rows_t *rows = &self->clusters;
    char *folded = strdup(cluster->label);
    if (!folded)
        return error_set(error, ERR_MEMORY, "no memory for cluster %s", cluster->cluster_id);
    text_fold(folded);
    copy_row(rows, 12);
    copy_int8(rows, self->writing);
    copy_int8(rows, number);
    copy_int8(rows, cluster->size);
    copy_time(rows, cluster->time_start_ms);
    copy_time(rows, cluster->time_end_ms);
    copy_real(rows, cluster->intra_similarity);
    copy_text(rows, cluster->cluster_id);
    copy_text(rows, cluster->label);
    copy_text(rows, folded);
    copy_text(rows, cluster->domain);
    copy_text(rows, cluster->type);
    copy_bytes(rows, cluster->json, cluster->json_length);
    free(folded);
    return OK;
}

static int send_rows(result_postgres_t *self, const char *sql, copy_rows_t *rows, size_t least,
                     error_t *error)
{
    if (copy_rows_empty(rows) || (rows->length < least && !rows->failed))
        return OK;
    int code = copy_rows_end(rows, error);
    if (code == OK)
        code = postgres_copy(self->database, sql, rows->bytes, rows->length, error);
    copy_rows_forget(rows);
    return code;
}

/* Sends every table's rows that are `least` bytes or more. */
static int send_all(result_postgres_t *self, size_t least, error_t *error)
{
    int code = send_rows(self, COPY_CLUSTERS, &self->clusters, least, error);
    if (code == OK)
        code = send_rows(self, COPY_ENTITIES, &self->entities, least, error);
    if (code == OK)
        code = send_rows(self, COPY_TEXTS, &self->texts, least, error);
    return code == OK ? send_rows(self, COPY_MEMBERS, &self->members, least, error) : code;
}

/* ---- beginning ---- */

/* Epoch and writing that are committed; *epoch is -1 when the job is not there. */
static int committed(result_postgres_t *self, const char *job_id, int64_t *epoch, int64_t *writing,
                     error_t *error)
{
    postgres_value_t value = postgres_text(job_id);
    postgres_rows_t *rows = NULL;
    int code =
        postgres_query(self->database, "SELECT epoch, writing FROM result_job WHERE job_id = $1",
                       &value, 1, &rows, error);
    int there = code == OK && postgres_rows_count(rows);
    *epoch = there ? postgres_rows_number(rows, 0, 0) : -1;
    *writing = there ? postgres_rows_number(rows, 0, 1) : 0;
    postgres_rows_destroy(&rows);
    return code;
}

static int past_epoch(const char *job_id, int64_t there, uint32_t epoch, error_t *error)
{
    return error_set(error, ERR_CONFLICT, "the results of job %s are of epoch %lld, past %u",
                     job_id, (long long)there, epoch);
}

/* Leaves no transaction open; a lost connection has none. */
static void roll_back(result_postgres_t *self)
{
    if (postgres_connected(self->database))
        postgres_execute(self->database, "ROLLBACK", NULL);
    copy_rows_forget(&self->clusters);
    copy_rows_forget(&self->entities);
    copy_rows_forget(&self->members);
    copy_rows_forget(&self->texts);
}

static int next_writing(result_postgres_t *self, error_t *error)
{
    postgres_rows_t *rows = NULL;
    int code =
        postgres_query(self->database, "SELECT nextval('result_writing')", NULL, 0, &rows, error);
    if (code == OK)
        self->writing = postgres_rows_number(rows, 0, 0);
    postgres_rows_destroy(&rows);
    return code;
}

static int open_transaction(result_postgres_t *self, const char *job_id, int64_t *there,
                            error_t *error)
{
    int64_t writing;
    int code = postgres_execute(self->database, "BEGIN", error);
    if (code == OK)
        code = committed(self, job_id, there, &writing, error);
    return code == OK ? next_writing(self, error) : code;
}

int result_postgres_begin_job(result_store_t *store, const char *job_id, uint32_t epoch,
                              error_t *error)
{
    result_postgres_t *self = result_postgres_of(store);
    int64_t there = -1;
    int attempt = 0;
    int code;
    if (self->state != WRITING_NONE)
        return error_set(error, ERR_CONFLICT, "job %s is being written on this handle",
                         self->job_id);
    if (!*job_id || strlen(job_id) >= sizeof self->job_id)
        return error_field(error, ERR_USAGE, "job_id", "a job id has 1 to %d characters",
                           JOB_ID_SIZE - 1);
    do
        code = open_transaction(self, job_id, &there, error);
    while (result_postgres_again(self, code, &attempt, error));
    if (code == OK && there > (int64_t)epoch)
        code = past_epoch(job_id, there, epoch, error);
    if (code != OK || there == (int64_t)epoch)
        roll_back(self);
    if (code != OK)
        return code;
    snprintf(self->job_id, sizeof self->job_id, "%s", job_id);
    self->epoch = epoch;
    self->cluster_count = 0;
    self->member_count = 0;
    self->state = there == (int64_t)epoch ? WRITING_REPLAY : WRITING_ROWS;
    return OK;
}

/* ---- writing ---- */

/* OK to insert, or why not; *skip when the rows are not wanted. */
static int writable(const result_postgres_t *self, int *skip, error_t *error)
{
    *skip = self->state == WRITING_REPLAY;
    if (self->state == WRITING_NONE)
        return error_set(error, ERR_CONFLICT, "no job was begun on this handle");
    if (self->state == WRITING_FAILED)
        return error_set(error, ERR_CONFLICT, "writing job %s failed before; roll it back",
                         self->job_id);
    return OK;
}

static int finish(result_postgres_t *self, int code)
{
    if (code != OK)
        self->state = WRITING_FAILED;
    return code;
}

int result_postgres_add_cluster(result_store_t *store, const cluster_row_t *cluster, error_t *error)
{
    result_postgres_t *self = result_postgres_of(store);
    int skip;
    int code = writable(self, &skip, error);
    if (code != OK || skip)
        return code;
    int64_t number = ++self->cluster_count;
    self->member_count += (int64_t)cluster->member_count;
    code = put_cluster(self, number, cluster, error);
    put_entities(self, number, cluster->entities);
    for (size_t i = 0; code == OK && i < cluster->member_count; i++) {
        put_member(self, &number, &cluster->members[i]);
        if (i % 1024 == 1023)
            code = send_all(self, SEND_BYTES, error);
    }
    return finish(self, code == OK ? send_all(self, SEND_BYTES, error) : code);
}

int result_postgres_add_noise(result_store_t *store, const member_row_t *members, size_t count,
                              error_t *error)
{
    result_postgres_t *self = result_postgres_of(store);
    int skip;
    int code = writable(self, &skip, error);
    if (code != OK || skip)
        return code;
    for (size_t i = 0; code == OK && i < count; i++) {
        put_member(self, NULL, &members[i]);
        if (i % 1024 == 1023)
            code = send_all(self, SEND_BYTES, error);
    }
    return finish(self, code == OK ? send_all(self, SEND_BYTES, error) : code);
}

int result_postgres_add_text(result_store_t *store, const char *name, uint32_t number,
                             const char *text, size_t length, error_t *error)
{
    result_postgres_t *self = result_postgres_of(store);
    int skip;
    int code = writable(self, &skip, error);
    if (code != OK || skip)
        return code;
    copy_row(&self->texts, 4);
    copy_int8(&self->texts, self->writing);
    copy_int8(&self->texts, number);
    copy_text(&self->texts, name);
    copy_bytes(&self->texts, text, length);
    return finish(self, send_all(self, SEND_BYTES, error));
}

/* ---- who may write ---- */

static int refused(result_postgres_t *self, error_t *error)
{
    postgres_value_t ledger = postgres_text(self->claimed.ledger);
    postgres_rows_t *rows = NULL;
    int code =
        postgres_query(self->database, "SELECT number, owner FROM result_fence WHERE ledger = $1",
                       &ledger, 1, &rows, error);
    if (code == OK)
        code =
            result_claim_refuse(postgres_address(self->database), postgres_rows_number(rows, 0, 0),
                                postgres_rows_text(rows, 0, 1), &self->claimed, error);
    postgres_rows_destroy(&rows);
    return code;
}

/* Locks the ledger's row until the transaction ends, and says so when it is another's. The row of
 * our own number is written once more: that is the lock, and where the tables were put back from an
 * older copy it is the claim. */
static int hold_fence(result_postgres_t *self, error_t *error)
{
    const postgres_value_t values[] = {postgres_text(self->claimed.ledger),
                                       postgres_number(self->claimed.number),
                                       postgres_text(self->claimed.owner)};
    postgres_rows_t *rows = NULL;
    if (!self->claimed.number)
        return OK;
    int code = postgres_query(self->database,
                              "INSERT INTO result_fence AS f VALUES($1, $2, $3)"
                              " ON CONFLICT(ledger) DO UPDATE"
                              " SET number = EXCLUDED.number, owner = EXCLUDED.owner"
                              " WHERE f.number < EXCLUDED.number"
                              " OR (f.number = EXCLUDED.number AND f.owner = EXCLUDED.owner)"
                              " RETURNING 1",
                              values, sizeof values / sizeof *values, &rows, error);
    size_t count = code == OK ? postgres_rows_count(rows) : 0;
    postgres_rows_destroy(&rows);
    return code == OK && !count ? refused(self, error) : code;
}

/* The lock is held for the time of a COMMIT. A coordinator that is stopped just then, or whose
 * connection breaks without a word, loses its transaction by the server's clock. */
static int hold_fence_briefly(result_postgres_t *self, error_t *error)
{
    int code = postgres_execute(self->database,
                                "SET LOCAL idle_in_transaction_session_timeout = 3000", error);
    return code == OK ? hold_fence(self, error) : code;
}

int result_postgres_claim(result_store_t *store, const result_fence_t *fence, error_t *error)
{
    result_postgres_t *self = result_postgres_of(store);
    int attempt = 0;
    int code;
    if (self->state != WRITING_NONE)
        return error_set(error, ERR_CONFLICT, "job %s is being written", self->job_id);
    result_claim_set(&self->claimed, fence);
    do
        code = hold_fence(self, error);
    while (result_postgres_again(self, code, &attempt, error));
    return code;
}

/* ---- the end ---- */

static int delete_rows(result_postgres_t *self, int64_t writing, error_t *error)
{
    static const char *const STATEMENTS[] = {"DELETE FROM result_member WHERE writing = $1",
                                             "DELETE FROM result_entity WHERE writing = $1",
                                             "DELETE FROM result_text WHERE writing = $1",
                                             "DELETE FROM result_cluster WHERE writing = $1"};
    postgres_value_t value = postgres_number(writing);
    int code = OK;
    for (size_t i = 0; code == OK && i < sizeof STATEMENTS / sizeof *STATEMENTS; i++)
        code = postgres_query(self->database, STATEMENTS[i], &value, 1, NULL, error);
    return code;
}

/* One writer at a time ends or removes a job; the lock goes with the transaction. */
static int lock_job(result_postgres_t *self, const char *job_id, error_t *error)
{
    postgres_value_t value = postgres_text(job_id);
    return postgres_query(self->database, "SELECT pg_advisory_xact_lock(hashtextextended($1, 4))",
                          &value, 1, NULL, error);
}

static int put_job(result_postgres_t *self, const result_job_row_t *job, error_t *error)
{
    postgres_value_t as_of = postgres_number(job->as_of_ms);
    as_of.null = job->as_of_ms == TIME_NONE;
    const postgres_value_t values[] = {postgres_text(job->job_id),
                                       postgres_number(self->writing),
                                       postgres_number(job->epoch),
                                       postgres_number(job->level),
                                       postgres_text(job->algorithm),
                                       postgres_text(job->spec_json),
                                       postgres_text(job->report_json),
                                       postgres_text(job->output_name),
                                       as_of,
                                       postgres_number(job->finished_ms),
                                       postgres_number(job->item_count),
                                       postgres_number(job->noise_count),
                                       postgres_number(self->cluster_count),
                                       postgres_number(self->member_count)};
    return postgres_query(self->database,
                          "INSERT INTO result_job(job_id, writing, epoch, level, algorithm,"
                          " spec_json, report_json, output_name, as_of_ms, finished_ms, item_count,"
                          " noise_count, cluster_count, member_count)"
                          " VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
                          values, sizeof values / sizeof *values, NULL, error);
}

/* Looks again under the lock: another process may have committed meanwhile. *same is 1 when it was
 * this very epoch, whose rows are as good as ours. */
static int replace(result_postgres_t *self, const result_job_row_t *job, int *same, error_t *error)
{
    postgres_value_t value = postgres_text(job->job_id);
    int64_t there;
    int64_t writing;
    int code = lock_job(self, job->job_id, error);
    if (code == OK)
        code = committed(self, job->job_id, &there, &writing, error);
    if (code != OK)
        return code;
    *same = there == (int64_t)self->epoch;
    if (there > (int64_t)self->epoch)
        return past_epoch(job->job_id, there, self->epoch, error);
    if (*same)
        return OK;
    if (there >= 0)
        code = delete_rows(self, writing, error);
    if (code == OK && there >= 0)
        code = postgres_query(self->database, "DELETE FROM result_job WHERE job_id = $1", &value, 1,
                              NULL, error);
    return code == OK ? put_job(self, job, error) : code;
}

/* The answer to COMMIT may be lost while the commit was not. */
static int commit(result_postgres_t *self, const char *job_id, error_t *error)
{
    int64_t there = -1;
    int64_t writing = 0;
    int code = postgres_execute(self->database, "COMMIT", error);
    if (code != ERR_UNAVAILABLE || postgres_connected(self->database) ||
        postgres_reconnect(self->database, NULL) != OK ||
        committed(self, job_id, &there, &writing, NULL) != OK)
        return code;
    if (there != (int64_t)self->epoch || writing != self->writing)
        return code;
    if (error)
        *error = (error_t)ERROR_INIT;
    return OK;
}

static int write_job(result_postgres_t *self, const result_job_row_t *job, error_t *error)
{
    int same = 0;
    int code = send_all(self, 0, error);
    if (code == OK)
        code = replace(self, job, &same, error);
    if (code == OK)
        code = hold_fence_briefly(self, error);
    if (code != OK)
        return code;
    if (!same)
        return commit(self, job->job_id, error);
    roll_back(self);
    return OK;
}

int result_postgres_commit_job(result_store_t *store, const result_job_row_t *job, error_t *error)
{
    result_postgres_t *self = result_postgres_of(store);
    int skip;
    int code = writable(self, &skip, error);
    if (code == OK && (strcmp(job->job_id, self->job_id) || job->epoch != self->epoch))
        code = error_set(error, ERR_USAGE, "job %s epoch %u was begun, not %s epoch %u",
                         self->job_id, self->epoch, job->job_id, job->epoch);
    if (code != OK)
        return code;
    if (!skip)
        code = write_job(self, job, error);
    if (code == OK)
        self->state = WRITING_NONE;
    return finish(self, code);
}

void result_postgres_rollback_job(result_store_t *store)
{
    result_postgres_t *self = result_postgres_of(store);
    if (self->state == WRITING_NONE)
        return;
    if (self->state != WRITING_REPLAY)
        roll_back(self);
    self->state = WRITING_NONE;
}

static int remove_inside(result_postgres_t *self, const char *job_id, error_t *error)
{
    postgres_value_t value = postgres_text(job_id);
    int64_t there = -1;
    int64_t writing = 0;
    int code = postgres_execute(self->database, "BEGIN", error);
    if (code == OK)
        code = lock_job(self, job_id, error);
    if (code == OK)
        code = committed(self, job_id, &there, &writing, error);
    if (code == OK && there >= 0)
        code = delete_rows(self, writing, error);
    if (code == OK)
        code = postgres_query(self->database, "DELETE FROM result_job WHERE job_id = $1", &value, 1,
                              NULL, error);
    if (code == OK)
        code = hold_fence_briefly(self, error);
    if (code == OK)
        return postgres_execute(self->database, "COMMIT", error);
    roll_back(self);
    return code;
}

int result_postgres_remove_job(result_store_t *store, const char *job_id, error_t *error)
{
    result_postgres_t *self = result_postgres_of(store);
    int attempt = 0;
    int code;
    if (self->state != WRITING_NONE)
        return error_set(error, ERR_CONFLICT, "job %s is being written", self->job_id);
    do
        code = remove_inside(self, job_id, error);
    while (result_postgres_again(self, code, &attempt, error));
    return code;
}
