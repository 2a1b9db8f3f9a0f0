/* result_store_postgres.h - what the files of the PostgreSQL back end share.
 *
 * A job is one transaction. Its rows are collected in memory and sent by binary COPY, a few MiB at
 * a time, straight into the tables, under a *writing*: a number that no other job has. Nobody sees
 * them before the commit (PostgreSQL's promise), and a writer that dies leaves nothing behind. The
 * tables are therefore their own staging area: copying everything a second time would buy nothing.
 * As with SQLite, a reader starts from result_job and follows its `writing`.
 *
 * The last statement of a commit or a removal is the one that claims: it locks the ledger's row of
 * result_fence, or finds a larger number there. So whoever claims afterwards waits until that
 * commit stands or is gone, and none of an older number can come later. */
#ifndef STAGE4_PROTO_STORE_RESULT_STORE_POSTGRES_H
#define STAGE4_PROTO_STORE_RESULT_STORE_POSTGRES_H

#include "proto/store/copy_rows.h"
#include "proto/store/postgres.h"
#include "proto/store/result_store.h"
#include "proto/task.h"

typedef enum {
    WRITING_NONE,
    WRITING_ROWS,   /* a transaction is open and rows go in under `writing` */
    WRITING_REPLAY, /* this epoch is committed already: rows are dropped, the commit is OK */
    WRITING_FAILED  /* a row failed: only rollback_job helps */
} writing_state_t;

typedef struct {
    result_store_t base;
    postgres_t *database;
    result_claim_t claimed;
    writing_state_t state;
    char job_id[JOB_ID_SIZE]; /* of the job being written, as are the next */
    uint32_t epoch;
    int64_t writing;
    int64_t cluster_count; /* and the number of the last cluster */
    int64_t member_count;
    copy_rows_t clusters; /* not yet sent, as are the next */
    copy_rows_t entities;
    copy_rows_t members;
    copy_rows_t texts;
} result_postgres_t;

static inline result_postgres_t *result_postgres_of(result_store_t *store)
{
    return (result_postgres_t *)store;
}

/* Runs a read again over a new connection when the old one turns out to be lost, as it does after
 * the server was restarted; never in the middle of a writing. */
int result_postgres_again(result_postgres_t *self, int code, int *attempt, error_t *error);

/* result_store_postgres_schema.c: creates or migrates the tables (writers), or looks whether they
 * are those that this program knows (readers). */
int result_postgres_schema(postgres_t *database, int read_only, error_t *error);

/* result_store_postgres_write.c */
int result_postgres_claim(result_store_t *store, const result_fence_t *fence, error_t *error);
int result_postgres_begin_job(result_store_t *store, const char *job_id, uint32_t epoch,
                              error_t *error);
int result_postgres_add_cluster(result_store_t *store, const cluster_row_t *cluster,
                                error_t *error);
int result_postgres_add_noise(result_store_t *store, const member_row_t *members, size_t count,
                              error_t *error);
int result_postgres_add_text(result_store_t *store, const char *name, uint32_t number,
                             const char *text, size_t length, error_t *error);
int result_postgres_commit_job(result_store_t *store, const result_job_row_t *job, error_t *error);
void result_postgres_rollback_job(result_store_t *store);
int result_postgres_remove_job(result_store_t *store, const char *job_id, error_t *error);

/* result_store_postgres_read.c */
int result_postgres_cluster(result_store_t *store, const char *cluster_id, const char *job_id,
                            char **json, error_t *error);
int result_postgres_clusters(result_store_t *store, const cluster_query_t *query,
                             cluster_page_t *page, error_t *error);
int result_postgres_job(result_store_t *store, const char *job_id, char **json, error_t *error);
int result_postgres_text(result_store_t *store, const char *job_id, const char *name,
                         uint32_t number, char **text, size_t *length, error_t *error);
int result_postgres_statistics(result_store_t *store, result_statistics_t *out, error_t *error);

#endif
