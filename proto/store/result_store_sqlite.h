/* result_store_sqlite.h - what the files of the SQLite back end share.
 *
 * How a commit can be all or nothing without one long transaction (which would keep every other
 * writer out of the file for minutes): every begin_job opens a *writing*, a number that all its
 * rows carry. The rows go in by short transactions and nobody can see them, because every reader
 * starts from result_job and follows its `writing`. The commit points the job's row at the new
 * writing: one row, one instant. What the old writing left is deleted afterwards, in pieces. */
#ifndef STAGE4_PROTO_STORE_RESULT_STORE_SQLITE_H
#define STAGE4_PROTO_STORE_RESULT_STORE_SQLITE_H

#include "common/sqlite.h"
#include "proto/store/result_store.h"
#include "proto/task.h"

/* The statements that are prepared at open: the first group on every handle, the second on those
 * that may write. */
#define READ_STATEMENTS(X)                                                                         \
    X(READ_CLUSTER, "SELECT c.json FROM result_cluster c JOIN result_job j"                        \
                    " ON j.writing = c.writing WHERE c.cluster_id = ?1"                            \
                    " AND (?2 IS NULL OR j.job_id = ?2)"                                           \
                    " ORDER BY j.finished_ms DESC, j.job_id LIMIT 1")                              \
    X(READ_JOB, "SELECT epoch, level, algorithm, spec_json, report_json, output_name, as_of_ms,"   \
                " finished_ms, item_count, noise_count, cluster_count FROM result_job"             \
                " WHERE job_id = ?1")                                                              \
    X(READ_NEWEST, "SELECT job_id, level FROM result_job j WHERE NOT EXISTS (SELECT 1 FROM"        \
                   " result_job k WHERE k.level = j.level AND (k.finished_ms > j.finished_ms"      \
                   " OR (k.finished_ms = j.finished_ms AND k.job_id < j.job_id)))"                 \
                   " ORDER BY finished_ms DESC, job_id")                                           \
    X(READ_WRITING, "SELECT writing, level FROM result_job WHERE job_id = ?1")                     \
    X(READ_COUNTS, "SELECT finished_ms, cluster_count, member_count, noise_count"                  \
                   " FROM result_job WHERE job_id = ?1")                                           \
    X(READ_TEXT, "SELECT t.text FROM result_text t JOIN result_job j ON j.writing = t.writing"     \
                 " WHERE j.job_id = ?1 AND t.name = ?2 AND t.number = ?3")                         \
    X(READ_VERSION, "SELECT printf('%s:%d:%d:%d:%d', (SELECT identity FROM result_identity),"      \
                    " max(writing), count(*), sum(writing), sum(finished_ms)) FROM result_job")    \
    X(READ_JOB_COUNT, "SELECT count(*) FROM result_job")

#define WRITE_STATEMENTS(X)                                                                        \
    X(WRITE_EPOCH, "SELECT epoch, writing FROM result_job WHERE job_id = ?1")                      \
    X(WRITE_BEGIN, "INSERT INTO result_writing(job_id, epoch) VALUES(?1, ?2)")                     \
    X(WRITE_THERE, "SELECT 1 FROM result_writing WHERE number = ?1")                               \
    X(WRITE_CLUSTER, "INSERT INTO result_cluster(writing, cluster_id, size, label, label_folded,"  \
                     " domain, type, time_start_ms, time_end_ms, intra_similarity, json)"          \
                     " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)")                      \
    X(WRITE_ENTITY, "INSERT OR IGNORE INTO result_entity VALUES(?1, ?2, ?3)")                      \
    X(WRITE_MEMBER, "INSERT INTO result_member(writing, cluster, source_id, vector_id,"            \
                    " document_id, assignment, strength, outlier_score, similarity)"               \
                    " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")                                 \
    X(WRITE_TEXT, "INSERT INTO result_text(writing, name, number, text) VALUES(?1, ?2, ?3, ?4)")   \
    X(WRITE_JOB, "INSERT OR REPLACE INTO result_job VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9,"    \
                 " ?10, ?11, ?12, ?13, ?14)")                                                      \
    X(CLAIM, "INSERT INTO result_fence VALUES(?1, ?2, ?3) ON CONFLICT(ledger) DO UPDATE"           \
             " SET number = ?2, owner = ?3"                                                        \
             " WHERE number < ?2 OR (number = ?2 AND owner = ?3)")                                 \
    X(READ_FENCE, "SELECT number, owner FROM result_fence WHERE ledger = ?1")                      \
    X(DROP_JOB, "DELETE FROM result_job WHERE job_id = ?1")                                        \
    X(DROP_NEXT, "SELECT number FROM result_writing w WHERE job_id = ?1 AND NOT EXISTS"            \
                 " (SELECT 1 FROM result_job j WHERE j.writing = w.number) LIMIT 1")               \
    X(DROP_MEMBERS, "DELETE FROM result_member WHERE number IN (SELECT number FROM"                \
                    " result_member WHERE writing = ?1 LIMIT ?2)")                                 \
    X(DROP_ENTITIES, "DELETE FROM result_entity WHERE writing = ?1")                               \
    X(DROP_CLUSTERS, "DELETE FROM result_cluster WHERE number IN (SELECT number FROM"              \
                     " result_cluster WHERE writing = ?1 LIMIT ?2)")                               \
    X(DROP_TEXTS, "DELETE FROM result_text WHERE rowid IN (SELECT rowid FROM"                      \
                  " result_text WHERE writing = ?1 LIMIT ?2)")                                     \
    X(DROP_WRITING, "DELETE FROM result_writing WHERE number = ?1")

typedef enum {
#define X(name, sql) name,
    READ_STATEMENTS(X) WRITE_STATEMENTS(X)
#undef X
        STATEMENT_COUNT,
    FIRST_WRITE_STATEMENT = WRITE_EPOCH
} statement_name_t;

typedef enum {
    WRITING_NONE,
    WRITING_ROWS,   /* rows go in under `writing` */
    WRITING_REPLAY, /* this epoch is committed already: rows are dropped, the commit is OK */
    WRITING_FAILED  /* a row failed: only rollback_job helps */
} writing_state_t;

typedef struct {
    result_store_t base;
    database_t *database;
    statement_t *statements[STATEMENT_COUNT];
    result_claim_t claimed;
    writing_state_t state;
    char job_id[JOB_ID_SIZE]; /* of the job being written, as are the next */
    uint32_t epoch;
    int64_t writing;
    uint64_t cluster_count;
    uint64_t member_count;
    size_t batch_rows; /* in the open transaction; 0: none is open */
    size_t batch_bytes;
} result_sqlite_t;

static inline result_sqlite_t *result_sqlite_of(result_store_t *store)
{
    return (result_sqlite_t *)store;
}

/* result_store_sqlite_write.c */
int result_sqlite_claim(result_store_t *store, const result_fence_t *fence, error_t *error);
int result_sqlite_begin_job(result_store_t *store, const char *job_id, uint32_t epoch,
                            error_t *error);
int result_sqlite_add_cluster(result_store_t *store, const cluster_row_t *cluster, error_t *error);
int result_sqlite_add_noise(result_store_t *store, const member_row_t *members, size_t count,
                            error_t *error);
int result_sqlite_add_text(result_store_t *store, const char *name, uint32_t number,
                           const char *text, size_t length, error_t *error);
int result_sqlite_commit_job(result_store_t *store, const result_job_row_t *job, error_t *error);
void result_sqlite_rollback_job(result_store_t *store);
/* Ends the open batch, so that this handle can begin a reading transaction. */
int result_sqlite_flush(result_sqlite_t *self, error_t *error);
int result_sqlite_remove_job(result_store_t *store, const char *job_id, error_t *error);

/* result_store_sqlite_read.c */
int result_sqlite_cluster(result_store_t *store, const char *cluster_id, const char *job_id,
                          char **json, error_t *error);
int result_sqlite_job(result_store_t *store, const char *job_id, char **json, error_t *error);
int result_sqlite_text(result_store_t *store, const char *job_id, const char *name, uint32_t number,
                       char **text, size_t *length, error_t *error);
int result_sqlite_statistics(result_store_t *store, result_statistics_t *out, error_t *error);

/* result_store_sqlite_page.c */
int result_sqlite_clusters(result_store_t *store, const cluster_query_t *query,
                           cluster_page_t *page, error_t *error);

#endif
