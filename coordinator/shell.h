/* shell.h - the inside of the coordinator's shell, shared by its files:
 *
 *   coordinator.c    start, event loop, end
 *   shell_recover.c  from the ledger to the core, at the start
 *   shell_actions.c  carries out what the core asks for
 *   shell_saves.c    ... and of it, what is to be saved
 *   shell_upkeep.c   what is looked after now and then: the ledger's lease, retention, old caches
 *   shell_ledger.c   what is asked of jobs that only the ledger knows
 *   shell_again.c    jobs that go back: retried ones, and those that have lost a file
 *   shell_workers.c  the worker socket: messages become events
 *   shell_clients.c  the client socket: requests become events, or are answered at once
 *   status.c         a job and the coordinator's health in words (JSON)
 *   status_list.c    ... and the list of jobs
 *   job_book.c       what is known of each job beside the core
 *   job_story.c      what befell a job and was survived
 *   metrics.c        what is counted, for Prometheus
 *
 * One thread runs all of it, and waits for nothing but its sockets: what may have to wait for a
 * disk or a server is done by three threads beside it, which give back what they were given: the
 * merge thread (merge_thread.h), the saver and the reader (store_thread.h). What it does read itself
 * are pieces of payloads for workers, which were written a moment ago. */
#ifndef STAGE4_COORDINATOR_SHELL_H
#define STAGE4_COORDINATOR_SHELL_H

#include "common/net/socket.h"
#include "coordinator/coordinator.h"
#include "coordinator/core/core.h"
#include "coordinator/job_book.h"
#include "coordinator/merge_thread.h"
#include "coordinator/metrics.h"
#include "coordinator/payload_shelf.h"
#include "coordinator/store/ledger.h"
#include "coordinator/stage_file.h"
#include "coordinator/store/spool.h"
#include "coordinator/store_thread.h"
#include "proto/store/result_store.h"
#include "proto/worker_message.h"

#define HEARTBEAT_MS 1000

/* A worker's connection. */
typedef struct {
    uint32_t handle; /* of the core; never used twice */
    net_peer_t peer;
    char name[WORKER_NAME_SIZE];
    char host[64];
    char backend[32];
    char version[32];
    uint32_t pid;
    uint32_t threads;
    uint32_t credit;
    uint64_t tasks_done; /* results saved */
    int64_t heard_ms;    /* monotonic */
    int unreachable;     /* a send found its connection gone; what it said before is still read */
} worker_peer_t;

/* A client that waits for an answer. */
typedef struct {
    uint64_t id; /* the core's request handle */
    net_peer_t peer;
    uint64_t request_id; /* the client's own */
    client_verb_t verb;
} waiting_client_t;

typedef struct {
    char spool[4096];
    char cache[4096];
    char ledger[4096];
    char generation[4096]; /* remembers which Redis the ledger is in */
    char results[4096];
} state_paths_t;

typedef struct {
    const coordinator_options_t *options;
    log_t *log;
    state_paths_t paths;
    ledger_options_t ledger_options;
    result_store_options_t results_options;
    merge_places_t places;
    int lock;

    core_t *core;
    core_actions_t actions;
    core_event_t *events; /* caused by actions, not yet fed to the core */
    size_t event_count;
    size_t event_capacity;
    int64_t wake_ms; /* when the core next wants a tick */

    net_socket_t *clients;
    net_socket_t *workers;
    ledger_t *ledger;    /* the saver's, once it runs */
    ledger_t *questions; /* the reader's; NULL: a ledger in memory is one, and the saver's */
    spool_t *spool;
    spool_t *saver_spool;
    result_store_t *results; /* read-only, for health: the reader's; the merge thread has its own */
    merge_thread_t *merge;
    store_thread_t *saver;
    store_thread_t *reader; /* or the saver, where there is no second ledger */
    size_t reading;         /* questions of clients under way */
    uint64_t forgotten;     /* jobs that the core has forgotten until now */
    int looking_for_expired;
    int renewing;

    job_book_t jobs;
    metrics_t metrics;
    payload_shelf_t shelf;
    worker_peer_t *peers;
    size_t peer_count;
    size_t peer_capacity;
    uint32_t next_handle;
    waiting_client_t *waiting;
    size_t waiting_count;
    size_t waiting_capacity;
    uint64_t next_request;
    ledger_owner_t owner;
    ledger_fence_t fence;
    error_t fenced; /* another coordinator has the ledger: this one ends with that */
    int64_t renewed_ms;
    int64_t swept_ms;
    int64_t started_wall_ms;
    int64_t started_ms;
} shell_t;

/* Feeds the event, carries out the actions, feeds what they caused, until nothing is left. */
void shell_feed(shell_t *self, const core_event_t *event);
/* For the code that carries out actions: fed after the present actions. */
void shell_later(shell_t *self, const core_event_t *event);
void shell_feed_later(shell_t *self); /* feeds those; for code that carries out none */
void shell_perform(shell_t *self, const core_action_t *action);
void shell_log_task(shell_t *self, const char *event, const core_action_t *action);
void shell_merged(shell_t *self, merge_work_t *work); /* work has come back from the merge thread */

/* shell_saves.c */
void shell_save_job(shell_t *self, const core_action_t *action);
void shell_save_stage(shell_t *self, const core_action_t *action);
void shell_save_result(shell_t *self, const core_action_t *action);
/* STORE_FORGET, STORE_SETTLE or STORE_REMOVE; then the core hears of the ticket. */
void shell_leave_rows(shell_t *self, const core_action_t *action, store_kind_t kind);
void shell_save_stories(shell_t *self);              /* those that have grown, now and then */
void shell_saved(shell_t *self, store_work_t *work); /* it has come back */

void *shell_grow(void *items, size_t count, size_t *capacity,
                 size_t size); /* aborts, as the core */

/* What is known of the results of the job's stage is kept for another pass over it. */
void shell_remember(shell_t *self, const char *job_id);
/* For log and story, and remembers; the core hears of it from the caller. */
void shell_tell_lost(shell_t *self, job_record_t *record, const error_t *error);
/* A worker cannot be given that file. 1: the stage at work needs it, and the core will hear. */
int shell_input_missed(shell_t *self, const char *job_id, const sha256_t *sha256,
                       const error_t *error);
/* A worker says that an input arrived damaged: are ours sound? */
void shell_verify_inputs(shell_t *self, const char *job_id);
void shell_load_again(shell_t *self, job_record_t *record);
/* What tells two jobs under one key apart, but for as_of. */
sha256_t shell_asked(const job_spec_t *spec);
/* What is not settled in the ledger is known to the core, which does nothing yet. */
int shell_recover(shell_t *self, error_t *error);
/* ... and now it goes on. */
void shell_recovered(shell_t *self);
/* One row of each, into book and core: at the start, and of a job that comes back. */
int shell_recover_job(shell_t *self, const ledger_job_t *row, error_t *error);
void shell_recover_stage(shell_t *self, const ledger_stage_t *row);
void shell_recover_task(shell_t *self, const task_ref_t *ref, const sha256_t *result);
/* Reads a stage that has tasks into the record. */
int shell_load_stage(shell_t *self, job_record_t *record, const stage_name_t *name, error_t *error);

/* shell_ledger.c: questions to the ledger, answered when they come back from the reader. */
void shell_ask(shell_t *self, store_work_t *work);
/* ... of a client. */
void shell_ask_for(shell_t *self, store_work_t *work, const net_peer_t *peer, uint64_t request_id);
/* A CONTROL or EXPIRE: fed at once when the core knows the job, else when it has been read. */
void shell_feed_or_recall(shell_t *self, const core_event_t *event);
void shell_recalled(shell_t *self, store_work_t *work);
/* The ledger was asked while the core still knew a job that it may be about. 1: it is asked again. */
int shell_ask_again(shell_t *self, store_work_t *work);
/* What a row tells of a job that nobody is at work on; job_spec_clear() of its spec is the caller's. */
int shell_record_of_row(const ledger_job_t *row, job_record_t *out, error_t *error);

/* shell_upkeep.c */
/* Becomes the ledger's owner; waits for the lease of another to end unless that is renewed. */
int shell_claim(shell_t *self, const atomic_int *stop, error_t *error);
void shell_look_after(shell_t *self);
void shell_renewed(shell_t *self, const store_work_t *work);
/* Did a save tell that we are the owner no more? */
void shell_notice_fence(shell_t *self, const error_t *error);
void shell_expired(shell_t *self, const store_work_t *work); /* those that were asked for */
/* As ledger_job_t has it, for a job that ended at that time. */
int64_t shell_own_expiry_ms(const job_spec_t *spec, int64_t ended_ms);
/* When the job is removed, wall clock ms; 0: never, or not ended yet. */
int64_t shell_expires_ms(const shell_t *self, const job_record_t *record);

void shell_read_workers(shell_t *self);
worker_peer_t *shell_peer(const shell_t *self, uint32_t handle); /* NULL when it has gone */
void shell_forget_peer(shell_t *self, uint32_t handle);
int shell_tell_worker(shell_t *self, uint32_t handle, const worker_message_t *message,
                      const void *payload, size_t length);

void shell_read_clients(shell_t *self);
void shell_read(shell_t *self, store_work_t **work); /* a client's question has come back */
void shell_answer(shell_t *self, uint64_t request, const char *job_id, const error_t *error);

#endif
