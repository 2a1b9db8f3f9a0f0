/* world.h - a whole cluster in one process: the real core, and everything around it simulated.
 *
 * One seed decides all: the jobs, the delays, and which faults happen when. What survives a crash
 * of the coordinator is in durable_t; what a checker must know is in watch_t; the rest is lost. */
#ifndef STAGE4_TESTS_SIM_WORLD_H
#define STAGE4_TESTS_SIM_WORLD_H

#include "coordinator/core/core.h"
#include "model.h"
#include "rng.h"

#define WORLD_JOBS 6
#define WORLD_WORKERS 6
#define WORLD_CREDIT 4
#define WORLD_REQUESTS 64
#define WORLD_OPS 512
#define WORLD_PAYLOADS 512
#define TRACE_LINES 60
#define TRACE_WIDTH 160

/* A task_ref_t without its strings. */
typedef struct {
    uint32_t job, epoch, stage, task, attempt;
} task_key_t;

/* ---- durable: ledger, spool, result store ---- */
typedef struct {
    int present;
    uint32_t order; /* of the first insert */
    uint32_t epoch;
    job_state_t state;
    error_t error;
    int settled; /* it has ended, and so has its purge: the core need not know it */
    int has_stage;
    uint32_t stage_epoch, stage, task_count;
    int last;
    sha256_t stage_sha, state_sha;
    struct {
        int present;
        uint32_t epoch;
        uint64_t value;
        int payload; /* in the spool, and readable */
        int told;    /* ... as the core knows */
    } tasks[MODEL_TASKS];
    struct { /* results of stages that are over, as the spool remembers them */
        int present;
        uint64_t value;
        int payload;
    } memo[MODEL_STAGES][MODEL_TASKS];
    int input_lost; /* a file is gone that only an earlier step can make again */
    int has_outcome;
    uint64_t outcome;
} durable_t;

/* Of an accepted result that is not durable yet. */
typedef enum { SAVING_NOT, SAVING_NOW, SAVING_AGAIN /* it failed, and waits */ } saving_t;

/* ---- what the checker remembers of a job, from events and actions alone ---- */
typedef struct {
    int submitted;    /* a SUBMIT was fed */
    int refused;      /* ... and answered with an error */
    int acknowledged; /* ... and answered OK */
    int pause_wanted; /* a pause was taken, and no resume since */
    int64_t pause_taken_ms;
    int cancel_wanted;
    int retry_taken;         /* ... and no save of the job since */
    int removed;             /* all of it was told to go, and went */
    int must_plan;           /* an ADVANCE from the start is due before anything else */
    int must_merge;          /* ... or of the stage before */
    int unsure;              /* a save of its stage failed, and may have had its effect */
    int revived;             /* it was saved as one that goes on, after it had ended */
    int rewinding;           /* the core was told of a lost file, and has not saved a stage since */
    uint32_t rewinds;        /* an upper bound, since the last retry */
    uint32_t top_epoch;      /* largest of any save */
    uint32_t dispatch_epoch; /* largest of any DISPATCH */
    uint32_t epoch_floor;    /* the next DISPATCH must have at least that one */
    uint32_t attempts[MODEL_TASKS]; /* of attempt_epoch, attempt_stage */
    uint32_t attempt_epoch, attempt_stage;
    saving_t saving[MODEL_TASKS];
    uint32_t saving_worker[MODEL_TASKS];
    task_key_t saving_key[MODEL_TASKS];
    int row_ops;     /* SAVE_JOB or SAVE_STAGE under way */
    int result_ops;  /* SAVE_RESULT under way */
    int advance_ops; /* ADVANCE or WRITE under way */
    int purge_ops;
    int purged;      /* a PURGE has ended, well or not, since the coordinator started */
    int purged_well; /* ... that went well was the last of them */
    int written;     /* a WRITE has ended well */
    uint32_t blame[MODEL_STAGES][MODEL_TASKS]; /* upper bound of a task's faults */
    uint32_t store_errors;
    int permanent_error;
} watch_t;

typedef struct {
    model_t model;
    durable_t durable;
    watch_t watch;
    char id[JOB_ID_SIZE];
} sim_job_t;

/* ---- workers ---- */
typedef struct {
    task_key_t key;
    uint64_t state;    /* input of the task */
    int64_t finish_ms; /* 0: waits for its turn */
    int64_t sent_ms;
    int finished;
} sim_task_t;

typedef struct {
    uint32_t handle;
    int alive;
    int slow; /* computes ten times slower */
    int64_t hung_until_ms;
    int64_t revive_ms;
    int64_t heartbeat_ms; /* next */
    uint32_t credit;
    sim_task_t tasks[16];
    size_t task_count;
} sim_worker_t;

/* What the checker believes that a connection holds. */
typedef struct {
    uint32_t handle;
    int known;
    uint32_t credit;
    task_key_t keys[32];
    size_t key_count;
} holding_t;

/* ---- messages and things that happen later ---- */
typedef enum {
    MAIL_HELLO,
    MAIL_HEARTBEAT,
    MAIL_RESULT,
    MAIL_FAILURE,
    MAIL_RETURNED,
    MAIL_GOODBYE,
    MAIL_TASK,
    MAIL_ABORT,
    MAIL_ACK,
    MAIL_WHO,
    MAIL_CLIENT, /* a submit or a control */
    MAIL_EFFECT,
    MAIL_DONE, /* of an op */
    MAIL_CRASH,
    MAIL_START,
    MAIL_WORKER_FAULT,
    MAIL_LOSE_PAYLOAD,
    MAIL_LOSE_INPUT,
    MAIL_STALL,
    MAIL_HANG,
    MAIL_EXPIRE,
    MAIL_RECALL, /* what the ledger has of a forgotten job has been read, for a control or EXPIRE */
    MAIL_QUIET
} mail_kind_t;

typedef struct {
    int64_t at_ms;
    uint64_t order;
    mail_kind_t kind;
    uint32_t generation; /* of the coordinator, for what dies with it */
    uint32_t worker;     /* handle */
    uint32_t index;      /* op, job or worker */
    uint32_t credit;
    client_verb_t verb;
    task_key_t key;
    uint64_t value;
    int code;
    size_t key_count;
    task_key_t keys[16];
} mail_t;

typedef struct {
    int64_t at_ms;
    uint64_t order;
    uint32_t slot;
} heap_entry_t;

typedef struct {
    int used;
    core_action_kind_t kind;
    uint64_t ticket;
    uint32_t job;
    int code; /* what DONE will say */
    int has_effect;
    int happened; /* its time has come */
    int lost;     /* DONE will say that a file is lost */
    int stopped;
    uint32_t epoch, stage, task_count, worker;
    int last, first, settled;
    job_state_t state;
    error_t error;
    sha256_t stage_sha, state_sha, sha;
    task_key_t key;
    uint64_t next_state; /* ADVANCE */
} op_t;

typedef struct {
    uint32_t worker;
    task_key_t key;
    uint64_t value;
} payload_t;

typedef struct {
    int used;
    uint32_t job;
    client_verb_t verb;
    int answered;
} request_t;

/* How much goes wrong in this run; zero where a fault does not happen. */
typedef struct {
    double drop, repeat, delay; /* of a message */
    double save_fails, save_slow;
    double task_fails, task_permanent, poison;
    double advance_fails;
    uint32_t crashes, crash_in_actions, crash_after_effects;
    uint32_t worker_faults;
    uint32_t lost_payloads;
    uint32_t lost_inputs;
    uint32_t expiries;
    uint32_t stalls; /* of the coordinator's process */
    uint32_t hangs;  /* of the store */
    uint32_t controls;
    int list_unacknowledged; /* do heartbeats name what only waits for its ACK? */
} faults_t;

/* What of a seed's run is left out (scope.h); all zero: nothing. */
typedef struct {
    uint32_t without; /* kinds of faults, a bit each */
    uint32_t jobs, workers;
    int64_t quiet_ms;
} scope_t;

typedef struct {
    scope_t scope; /* set by the caller, before a run */
    uint64_t seed;
    rng_t rng;
    faults_t faults;
    core_options_t options;
    int64_t now_ms;
    int64_t quiet_ms; /* from here on nothing goes wrong */
    int quiet;
    int resume_at_end;

    core_t *core; /* NULL while the coordinator is down */
    core_actions_t actions;
    uint32_t generation;
    int64_t tick_ms;
    int64_t stalled_until_ms;
    int64_t hung_until_ms; /* the store: saves wait, one behind the other */
    int64_t last_event_ms;
    uint32_t crash_countdown_actions; /* 0 off */
    uint32_t crash_countdown_effects;
    uint64_t last_ticket;

    sim_job_t jobs[WORLD_JOBS];
    uint32_t job_count;
    uint32_t insert_count;
    sim_worker_t workers[WORLD_WORKERS];
    uint32_t worker_count;
    uint32_t next_handle;
    holding_t holdings[256];
    size_t holding_count;
    op_t ops[WORLD_OPS];
    size_t op_count; /* used ones lie below */
    payload_t payloads[WORLD_PAYLOADS];
    size_t payload_count;
    request_t requests[WORLD_REQUESTS];
    uint32_t request_count;

    mail_t *mail; /* slots */
    size_t mail_capacity;
    uint32_t *free_slots;
    size_t free_count;
    heap_entry_t *heap; /* by time, then by order of sending */
    size_t heap_count;
    uint64_t mail_order;

    uint64_t steps;
    uint64_t digest; /* of all actions: equal seeds, equal digests */
    int violated;
    char violation[400];
    int tracing;
    char (*trace)[TRACE_WIDTH];
    size_t trace_count;
} world_t;

/* world.c */
void world_run(world_t *self, uint64_t seed, int tracing);
void world_clear(world_t *self);
void world_violated(world_t *self, const char *format, ...) __attribute__((format(printf, 2, 3)));
void world_note(world_t *self, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* mailbox.c */
mail_t *mail_at(world_t *self, mail_kind_t kind, int64_t at_ms);   /* fill in at once */
void mail_take(world_t *self, mail_t *out);                        /* the earliest */
void mail_over_network(world_t *self, const mail_t *mail);         /* may be lost, repeated, late */
void mail_again(world_t *self, const mail_t *mail, int64_t at_ms); /* the same, later */
int same_key(const task_key_t *a, const task_key_t *b);

/* shell.c */
void shell_crash(world_t *self);
void shell_feed(world_t *self, core_event_t *event); /* one core_step and its actions */
void shell_receive(world_t *self, const mail_t *mail);
void shell_effect(world_t *self, uint32_t index);
void shell_done(world_t *self, uint32_t index);
int shell_waits(const world_t *self, uint32_t index); /* for a store that hangs */
void shell_lost_input(world_t *self, uint32_t job);
void shell_expire(world_t *self, uint32_t job);
void key_to_ref(const world_t *self, const task_key_t *key, task_ref_t *out);
task_key_t ref_to_key(const task_ref_t *ref);
uint32_t job_index(const char *job_id);

/* recover.c */
void shell_start(world_t *self);
void shell_feed_or_recall(world_t *self, core_event_t *event);
void shell_recalled(world_t *self, const mail_t *mail);

/* store.c: what ops do to durable things */
int store_apply(world_t *self, op_t *op); /* the code that DONE says */
/* What is durable of the job's stage is remembered for another pass over it. */
void store_remember(world_t *self, uint32_t job);

/* sim_worker.c */
void worker_start(world_t *self, sim_worker_t *worker);
void worker_receive(world_t *self, const mail_t *mail);
void worker_fault(world_t *self, sim_worker_t *worker);
int64_t worker_next_ms(const sim_worker_t *worker);
void worker_run_due(world_t *self, sim_worker_t *worker);

/* check.c, check_end.c */
#define REQUIRE(condition, ...)                                                                    \
    do {                                                                                           \
        if (!(condition))                                                                          \
            world_violated(self, __VA_ARGS__);                                                     \
    } while (0)

static inline int in(job_state_t state, job_state_t a, job_state_t b)
{
    return state == a || state == b;
}

void check_event(world_t *self, const core_event_t *event); /* before the step */
void check_action(world_t *self, const core_action_t *action);
void check_control_taken(world_t *self, const core_event_t *event);
void check_step(world_t *self); /* after all actions of a step */
void check_done(world_t *self, const op_t *op);
void check_crash(world_t *self);
void check_lost_input(world_t *self, uint32_t job); /* the core is about to hear of it */
void check_end(world_t *self);
holding_t *holding_of(world_t *self, uint32_t handle);

#endif
