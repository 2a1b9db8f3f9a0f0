/* store_thread.h - a thread beside the event loop, for everything that may have to wait for a disk or
 * a server: saves to spool and ledger, and reads of the ledger.
 *
 * The coordinator runs two: the saver, and the reader, so that no question waits for a save. Each has
 * handles of its own. Work is carried out in the order of asking. What has queued up while the
 * thread was busy is carried out together: payloads are synced with one sync a file and one a
 * folder, and rows are committed with one commit. Nothing of it comes back before all of that is on
 * disk (docs/decisions/0010-saves-beside-the-loop.md). */
#ifndef STAGE4_COORDINATOR_STORE_THREAD_H
#define STAGE4_COORDINATOR_STORE_THREAD_H

#include "common/net/actor.h"
#include "common/net/socket.h"
#include "coordinator/core/core.h"
#include "coordinator/store/ledger.h"
#include "coordinator/store/spool.h"
#include "proto/stage.h"
#include "proto/store/result_store.h"

typedef enum {
    STORE_SAVE_JOB,    /* row */
    STORE_SAVE_STAGE,  /* action; gives stage, fingerprint, found, unless it is the last */
    STORE_SAVE_RESULT, /* action, bytes */
    STORE_FORGET,      /* action.job_id: the rows of its stage and tasks; settles it */
    STORE_SETTLE,      /* action.job_id: keeps them */
    STORE_REMOVE,      /* action.job_id: its row */
    STORE_RENEW,       /* the lease of the ledger */
    STORE_READ_JOB,    /* action.job_id; gives row */
    STORE_FIND,        /* row.idempotency_key; gives row; ERR_NOT_FOUND */
    STORE_LIST,        /* query; gives page */
    STORE_RECALL,      /* action.job_id; gives row (no id: there is none), stage_row, tasks */
    STORE_EXPIRED,     /* times; gives ids */
    STORE_PING,        /* gives error and results_error */
    STORE_KIND_COUNT
} store_kind_t;

typedef struct {
    task_ref_t ref;
    sha256_t result;
} task_row_t;

/* One piece of work, the event loop's until it is asked for and again when it has come back. */
typedef struct {
    store_kind_t kind;
    core_action_t action; /* what the core wants; its ticket is 0 where the core does not wait */
    ledger_job_t row;     /* its texts are owned */
    const void *bytes;    /* borrowed of the payload's shelf, where it stays until this is back */
    size_t length;
    net_peer_t peer; /* of a question: who has asked */
    uint64_t request_id;
    client_verb_t verb;   /* PING: what for */
    core_event_t event;   /* RECALL: what the core is to hear of the job then */
    char *body;           /* FIND: of the submit; owned */
    size_t body_length;   /* ... bytes */
    uint64_t forgotten;   /* of a question: shell_t.forgotten when it was asked */
    uint32_t asked;       /* ... how often it was */
    ledger_query_t query; /* LIST; `before` is the cursor below */
    char cursor[JOB_ID_SIZE];
    int64_t now_ms; /* EXPIRED; wall clock, as is the next */
    int64_t unchanged_since_ms;

    error_t error;
    error_t results_error;
    stage_t stage;
    sha256_t fingerprint;
    sha256_t *found;    /* owned; NULL: nothing is known */
    ledger_job_t *page; /* owned, as is what is in it */
    size_t page_count;
    ledger_stage_t stage_row; /* no id: there is none */
    task_row_t *tasks;        /* owned */
    size_t task_count;
    size_t task_capacity;
    ledger_ids_t *ids; /* owned */
} store_work_t;

/* Aborts when out of memory, as the core does. */
store_work_t *store_work_new(store_kind_t kind, const char *job_id);
void store_work_destroy(store_work_t **self);

/* What it is waiting for just now. */
typedef enum { STORE_AT_REST, STORE_AT_SPOOL, STORE_AT_LEDGER } store_place_t;

typedef struct store_thread store_thread_t;

/* The handles are borrowed, and nobody else's while the thread lives. Without `spool` it makes no
 * saves, without `results` there is no PING. */
int store_thread_new(const char *name, ledger_t *ledger, spool_t *spool, result_store_t *results,
                     store_thread_t **out, error_t *error);
/* Waits for what it is doing; what is queued behind that is not begun. */
void store_thread_destroy(store_thread_t **self);
/* store_work_t* come back by it. */
net_pipe_t *store_thread_pipe(store_thread_t *self);
void store_thread_ask(store_thread_t *self, store_work_t *work);
store_place_t store_thread_place(const store_thread_t *self);

#endif
