/* result_store.h - where finished clusterings live: written by the coordinator, read by gateways.
 *
 * A table of functions; each back end passes the same suite (tests/lib/result_suite.h). All
 * strings passed in are borrowed for the call; strings handed out belong to the caller. A handle is
 * used by one thread at a time; any number of processes may hold handles on one store.
 *
 * Commit is all or nothing and idempotent: committing (job_id, epoch) a second time replaces
 * nothing and is OK; an epoch older than the one committed is ERR_CONFLICT. Nothing of a job can be
 * read before its commit. */
#ifndef STAGE4_PROTO_STORE_RESULT_STORE_H
#define STAGE4_PROTO_STORE_RESULT_STORE_H

#include "common/config.h"
#include "common/error.h"
#include "common/level.h"

#include <stddef.h>
#include <stdint.h>

typedef struct {
    const char *source_id;
    const char *vector_id;
    const char *document_id; /* "" when none */
    const char *assignment;  /* "core", "soft" or "noise" */
    double strength;
    double outlier_score;
    double similarity; /* to the centroid; 0 for noise */
} member_row_t;

typedef struct {
    const char *cluster_id;
    level_t level;
    const char *label;
    const char *domain;    /* "" when none */
    const char *type;      /* event_type or entity_type; "" when none */
    const char *entities;  /* primary entities joined by '\n', for search */
    int64_t time_start_ms; /* TIME_NONE when none */
    int64_t time_end_ms;
    double intra_similarity;
    uint32_t size;
    const char *json; /* the cluster's JSONL line, without the line feed */
    size_t json_length;
    const member_row_t *members;
    size_t member_count;
} cluster_row_t;

typedef struct {
    const char *job_id;
    uint32_t epoch;
    level_t level;
    const char *algorithm;
    const char *spec_json;
    const char *report_json;
    const char *output_name; /* file name of the JSONL in the output folder; "" when none */
    int64_t as_of_ms;
    int64_t finished_ms;
    uint32_t item_count; /* rows clustered or noise */
    uint32_t noise_count;
} result_job_row_t;

/* Clusters in pages, ordered by (job finished last first, size falling, cluster_id). A bad cursor,
 * text or limit is ERR_USAGE with the field; an unknown job_id ERR_NOT_FOUND. */
typedef struct {
    const char *job_id; /* NULL: of the newest completed job of each level */
    int level;          /* -1: any */
    const char *domain; /* NULL: any; as are the next */
    const char *type;
    const char *document_id;          /* has a member of that document */
    const char *member_id;            /* has that source_id or vector_id */
    const char *entity;               /* has that primary entity */
    const char *text;                 /* words of the label, any case */
    uint32_t size_min, size_max;      /* 0: no bound */
    int64_t time_from_ms, time_to_ms; /* overlap with the span; TIME_NONE: no bound */
    const char *cursor;               /* NULL: the first page; else what the last page gave */
    uint32_t limit;                   /* 1 .. 1000 */
} cluster_query_t;

typedef struct {
    size_t count;
    char **json;       /* each a cluster's JSON object, NUL-terminated */
    char *next_cursor; /* NULL: no more */
    uint64_t total;    /* clusters that match, over all pages */
} cluster_page_t;

void cluster_page_clear(cluster_page_t *self);

typedef struct {
    uint64_t jobs;
    uint64_t clusters[LEVEL_COUNT]; /* of the newest completed job of each level */
    uint64_t members[LEVEL_COUNT];
    uint64_t noise[LEVEL_COUNT];
    int64_t newest_ms[LEVEL_COUNT]; /* when that job finished; TIME_NONE when there is none */
} result_statistics_t;

/* Who may write: the coordinator that took the ledger over last. `number` grows with every such
 * take-over, and only numbers of one ledger are compared. */
typedef struct {
    const char *ledger; /* the ledger's name for itself */
    int64_t number;
    const char *owner; /* "coordinator 4711 on host a, state folder /var/lib/stage4" */
} result_fence_t;

#define RESULT_OWNER "result_owner" /* the field of an error that says: no more */

typedef struct result_store result_store_t;

#define RESULT_VERSION_SIZE 128

typedef struct {
    const char *name;  /* "sqlite" */
    int keeps_nothing; /* 1: rows need not be made */

    /* Takes the store over. From then on commits and removals through handles that claimed under a
     * smaller number of that ledger are ERR_CONFLICT with the field RESULT_OWNER and the words of
     * who has it now, and change nothing, also those that had begun before; so is a claim of a
     * smaller number. Waits for a commit that is about to stand. A handle that never claimed
     * (tests, tools) is not checked. */
    int (*claim)(result_store_t *self, const result_fence_t *fence, error_t *error);
    /* Writing: one job at a time. begin, then clusters and noise in any number of calls, then
     * commit (the commit point of a job) or rollback. */
    int (*begin_job)(result_store_t *self, const char *job_id, uint32_t epoch, error_t *error);
    int (*add_cluster)(result_store_t *self, const cluster_row_t *cluster, error_t *error);
    int (*add_noise)(result_store_t *self, const member_row_t *members, size_t count,
                     error_t *error);
    /* A text of the job beside its clusters (its dendrogram), in pieces numbered from 0. */
    int (*add_text)(result_store_t *self, const char *name, uint32_t number, const char *text,
                    size_t length, error_t *error);
    int (*commit_job)(result_store_t *self, const result_job_row_t *job, error_t *error);
    void (*rollback_job)(result_store_t *self);
    /* Removes every row of a job, also what a killed writer left; OK when there is none. */
    int (*remove_job)(result_store_t *self, const char *job_id, error_t *error);

    /* Reading. cluster: newest job's when several have the id; job_id may be NULL. ERR_NOT_FOUND.
     */
    int (*cluster)(result_store_t *self, const char *cluster_id, const char *job_id, char **json,
                   error_t *error);
    int (*clusters)(result_store_t *self, const cluster_query_t *query, cluster_page_t *page,
                    error_t *error);
    /* The job's row as a JSON object (job_id, embedding_type, algorithm, spec, report, output,
     * clusters, items, noise, as_of, finished_at). ERR_NOT_FOUND. */
    int (*job)(result_store_t *self, const char *job_id, char **json, error_t *error);
    /* Piece `number` of a text of a committed job, malloc'd. ERR_NOT_FOUND past the last one. */
    int (*text)(result_store_t *self, const char *job_id, const char *name, uint32_t number,
                char **text, size_t *length, error_t *error);
    int (*statistics)(result_store_t *self, result_statistics_t *out, error_t *error);
    /* Names what is committed now: another text after every commit and every removal, and cheap to
     * ask for. What was read under one version may be kept for as long as that is the version. */
    int (*version)(result_store_t *self, char out[RESULT_VERSION_SIZE], error_t *error);
    int (*ping)(result_store_t *self, error_t *error);
    void (*close)(result_store_t **self);
} result_store_verbs_t;

struct result_store {
    const result_store_verbs_t *verbs;
}; /* the back end's own struct starts with this one */

/* For back ends: what a handle has claimed; no number: nothing. */
typedef struct {
    char ledger[40];
    int64_t number;
    char owner[200];
} result_claim_t;

void result_claim_set(result_claim_t *self, const result_fence_t *fence);
/* ERR_CONFLICT with the field RESULT_OWNER. Returns the code. */
int result_claim_refuse(const char *where, int64_t number, const char *owner,
                        const result_claim_t *ours, error_t *error);

/* Opens (creates, migrates) the SQLite file. read_only: for gateways; ERR_UNAVAILABLE when the file
 * is not there yet. */
int result_store_open_sqlite(const char *path, int read_only, result_store_t **out, error_t *error);

/* Keeps nothing: for `stage4 run` without a state folder, whose clusters nobody looks up. */
int result_store_open_none(result_store_t **out, error_t *error);

typedef struct {
    const char *host;
    uint16_t port;
    const char *database;
    const char *user;
    const char *password; /* NULL or "": none */
    int connect_ms;       /* 0: as in postgres.h */
    int statement_ms;     /* 0: 10 s for readers, 120 s for writers */
} result_postgres_options_t;

/* Connects; a writer creates or migrates the tables. ERR_UNAVAILABLE when nobody answers or, for a
 * reader, the tables are not there yet; ERR_USAGE for what the server refuses (user, password,
 * database, rights); ERR_CONFLICT for tables of a newer program. */
int result_store_open_postgres(const result_postgres_options_t *options, int read_only,
                               result_store_t **out, error_t *error);

/* The one place where a result store is chosen. */
typedef struct {
    const char *kind; /* "sqlite" or "postgres"; no setting gives "none" */
    const char *path; /* sqlite: the file */
    result_postgres_options_t postgres;
} result_store_options_t;

/* As the functions above; ERR_USAGE with the field "results" for another kind. */
int result_store_open(const result_store_options_t *options, int read_only, result_store_t **out,
                      error_t *error);

/* From the settings; the path stays NULL. `out` borrows from `config` and `secret`. ERR_USAGE with
 * the setting at fault. */
int result_store_configure(const config_t *config, char secret[CONFIG_SECRET_SIZE],
                           result_store_options_t *out, error_t *error);

#define RESULT_STORE_WORDS_SIZE 320
/* "postgres at 127.0.0.1:5432, database stage4_clustering, user stage4_user": for people. */
void result_store_describe(const result_store_options_t *options,
                           char out[RESULT_STORE_WORDS_SIZE]);

#endif
