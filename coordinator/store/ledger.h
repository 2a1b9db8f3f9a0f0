/* ledger.h - the coordinator's checkpoint: jobs, stages, finished tasks. Small, and durable.
 *
 * A table of functions, named by what the coordinator wants; SQLite is the embedded default. A
 * change is on disk when it comes back OK. One of an epoch older than the job's is ERR_CONFLICT
 * and changes nothing. */
#ifndef STAGE4_COORDINATOR_STORE_LEDGER_H
#define STAGE4_COORDINATOR_STORE_LEDGER_H

#include "common/config.h"
#include "common/error.h"
#include "common/sha256.h"
#include "coordinator/core/job_state.h"
#include "proto/task.h"

typedef struct {
    char job_id[JOB_ID_SIZE];
    uint32_t epoch;
    job_state_t state;
    char idempotency_key[80];
    int64_t submitted_ms;
    int64_t changed_ms;
    error_t error; /* of a failed job */
    int settled;   /* it has ended, and nothing is left to do for it: recovery passes it over */
    /* Of a job that has ended: removed from then on; 0: as the coordinator is set; INT64_MAX: never */
    int64_t expires_ms;
    char *spec_json;   /* owned by the row's holder; canonical JSON, as_of resolved */
    char *report_json; /* NULL until there is one */
} ledger_job_t;

/* The newest stage of a job: enough to go on from. */
typedef struct {
    char job_id[JOB_ID_SIZE];
    uint32_t epoch;
    uint32_t stage; /* number, from 0 */
    uint32_t task_count;
    int last;           /* 1: no tasks; what remains is to write the outcome in `state` */
    sha256_t stage_sha; /* the stage_t, encoded, in the spool */
    sha256_t state_sha; /* what the fold needs beside the results */
} ledger_stage_t;

typedef struct ledger ledger_t;

typedef enum {
    /* Inserts or replaces; NULL spec_json or report_json keep what is there. An unknown
     * idempotency_key other than "" is claimed with the insert; one that another job holds is
     * ERR_CONFLICT. */
    LEDGER_JOB,
    /* Replaces the job's stage and forgets the finished tasks of other stages; those of the same
     * stage stay. ERR_NOT_FOUND without the job, here and of a task. */
    LEDGER_STAGE,
    LEDGER_TASK,
    LEDGER_FORGET, /* stage and tasks of a job that has ended; the job's row stays. It is settled,
                      unless it is on its way to another state (cancelling, removing) */
    LEDGER_SETTLE, /* the same, and stage and tasks stay */
    LEDGER_REMOVE  /* the job, its key too; OK when there is none */
} ledger_change_kind_t;

/* One change, made by the functions at the end; all pointers are borrowed. */
typedef struct {
    ledger_change_kind_t kind;
    uint32_t epoch; /* 0 where none is compared */
    const char *job_id;
    const ledger_job_t *job;
    const ledger_stage_t *stage;
    const task_ref_t *ref;
    const sha256_t *result;
    error_t error; /* the outcome; OK: it is on disk */
} ledger_change_t;

#define LEDGER_OWNER "ledger_owner"
#define LEDGER_OWNER_ID_SIZE 33

typedef struct {
    char id[LEDGER_OWNER_ID_SIZE]; /* of the state folder: what only one living process can have */
    char words[200];               /* "coordinator 4711 on host a, state /var/lib/stage4" */
    uint32_t lease_ms;
} ledger_owner_t;

#define LEDGER_GENERATION_SIZE 33

typedef struct {
    char ledger[LEDGER_GENERATION_SIZE]; /* the ledger's name for itself */
    int64_t number;                      /* larger with every claim; 0: none */
} ledger_fence_t;

/* A page of a list: jobs whose id comes before `before` ("": any), newest first. */
typedef struct {
    int state; /* -1: any */
    const char *before;
    size_t limit;
} ledger_query_t;

#define LEDGER_IDS 256

typedef struct {
    char items[LEDGER_IDS][JOB_ID_SIZE];
    size_t count;
} ledger_ids_t;

typedef struct {
    const char *name;
    /* All of them in order, and on disk with one commit. Each has its own outcome: one that makes
     * no sense (ERR_CONFLICT, ERR_NOT_FOUND) leaves the others alone, a store that fails fails all
     * that it may not have kept. */
    void (*change)(ledger_t *self, ledger_change_t *changes, size_t count);

    /* The one coordinator that may write. After claim(), changes through any handle that claimed
     * before are ERR_CONFLICT with the field LEDGER_OWNER and the words of who has it now, and change
     * nothing. claim() itself is refused so while another owner's lease lasts; the same owner, started
     * again, need not wait. A handle that never claimed (tests, tools) is not checked. */
    int (*claim)(ledger_t *self, const ledger_owner_t *owner, error_t *error);
    int (*renew)(ledger_t *self, error_t *error); /* the lease; well before it ends */
    /* What claim() gave this handle: for stores that must refuse the same coordinators. */
    void (*fence)(const ledger_t *self, ledger_fence_t *out);

    /* Of all jobs that are not settled, or of that one: called once a job, a stage and a task; a
     * callback that returns non-zero ends the walk with that code. Jobs come in order of submission,
     * stages after all jobs, tasks last. Without that job: OK, and none is called. */
    int (*load)(ledger_t *self, const char *job_id,
                int (*job)(void *context, const ledger_job_t *job),
                int (*stage)(void *context, const ledger_stage_t *stage),
                int (*task)(void *context, const task_ref_t *ref, const sha256_t *result),
                void *context, error_t *error);
    /* One job with its spec and report (malloc'd, the caller's). ERR_NOT_FOUND. */
    int (*job)(ledger_t *self, const char *job_id, ledger_job_t *out, error_t *error);
    /* The job that has this key; as job(). */
    int (*find)(ledger_t *self, const char *idempotency_key, ledger_job_t *out, error_t *error);
    /* Without their reports. What a page costs depends on its length alone. */
    int (*list)(ledger_t *self, const ledger_query_t *query,
                int (*job)(void *context, const ledger_job_t *job), void *context, error_t *error);
    /* In each state in which a job can be settled, all of them; 0 in the others. */
    int (*count)(ledger_t *self, size_t counts[JOB_STATE_COUNT], error_t *error);
    /* Settled jobs whose own time is over, and those without one that have not changed since
     * `unchanged_since_ms`. The first LEDGER_IDS of them, in any order. */
    int (*expired)(ledger_t *self, int64_t now_ms, int64_t unchanged_since_ms, ledger_ids_t *out,
                   error_t *error);
    int (*ping)(ledger_t *self, error_t *error);
    void (*close)(ledger_t **self);
} ledger_verbs_t;

struct ledger {
    const ledger_verbs_t *verbs;
};

void ledger_job_clear(ledger_job_t *self);

ledger_change_t ledger_change_job(const ledger_job_t *job);
ledger_change_t ledger_change_stage(const ledger_stage_t *stage);
ledger_change_t ledger_change_task(const task_ref_t *ref, const sha256_t *result);
ledger_change_t ledger_change_forget(const char *job_id);
ledger_change_t ledger_change_settle(const char *job_id);
ledger_change_t ledger_change_remove(const char *job_id);
/* That change alone. Returns the code. */
int ledger_change(ledger_t *self, ledger_change_t change, error_t *error);
/* For back ends: ERR_CONFLICT with the field LEDGER_OWNER. Returns the code. */
int ledger_fenced(const char *where, const char *owner, error_t *error);

int ledger_open_sqlite(const char *path, ledger_t **out, error_t *error);

typedef struct {
    const char *host;
    uint16_t port;
    int db;
    const char *password;    /* NULL or "": none */
    const char *prefix;      /* of every key; NULL: "stage4:" */
    const char *memory_path; /* file that remembers which Redis this was; NULL: nobody remembers */
    int allow_volatile;      /* 1: also on a Redis that forgets when it ends */
    int connect_ms;          /* 0: as in redis.h, as is the next */
    int command_ms;
} ledger_redis_options_t;

/* Connects. ERR_UNAVAILABLE when nobody answers; ERR_USAGE for a refused password or database, and
 * for a server that would forget (no AOF, or allowed to evict); ERR_CONFLICT when the one that
 * answers is not the one remembered: it came back empty, or is another. `warning` (may be NULL)
 * gets words when the server may lose the last second of saves. */
int ledger_open_redis(const ledger_redis_options_t *options, ledger_t **out, error_t *warning,
                      error_t *error);

/* The one place where a ledger is chosen. */
typedef struct {
    const char *kind; /* "sqlite" or "redis" */
    const char *path; /* sqlite: the file */
    ledger_redis_options_t redis;
} ledger_options_t;

/* As the functions above; ERR_USAGE with the field "ledger" for another kind. */
int ledger_open(const ledger_options_t *options, ledger_t **out, error_t *warning, error_t *error);

/* From the settings; paths stay NULL. `out` borrows from `config` and `secret`. ERR_USAGE with the
 * setting at fault. */
int ledger_configure(const config_t *config, char secret[CONFIG_SECRET_SIZE], ledger_options_t *out,
                     error_t *error);

#define LEDGER_WORDS_SIZE 320
/* "redis at 127.0.0.1:6379, database 6": for people. */
void ledger_describe(const ledger_options_t *options, char out[LEDGER_WORDS_SIZE]);

#endif
