/* ledger_redis.h - what the files of the Redis back end share. docs/formats.md, 5, has the keys.
 *
 * Every change is one Lua script: it looks at the generation and at the job's epoch and writes, and
 * nothing comes between. All of them may run twice with the same arguments, so one whose answer was
 * lost is sent again. Changes that are made together are sent together.
 *
 * The owner is the coordinator that claimed the ledger last. Its number, the fence, is compared by
 * every script, so one that was stopped while another took over can write nothing when it goes on.
 * Its lease ends by Redis' own clock.
 *
 * The generation is a random name that the first coordinator writes into an empty database and
 * remembers in a file of its state folder. A Redis that came back empty, or is another one, has
 * another generation: that is ERR_CONFLICT at the next call, never a silent loss. */
#ifndef STAGE4_COORDINATOR_STORE_LEDGER_REDIS_H
#define STAGE4_COORDINATOR_STORE_LEDGER_REDIS_H

#include "coordinator/store/ledger.h"
#include "proto/store/redis.h"

#define LEDGER_KEY_SIZE 160

typedef enum {
    SCRIPT_SAVE_JOB,
    SCRIPT_SAVE_STAGE,
    SCRIPT_SAVE_TASK,
    SCRIPT_FORGET,
    SCRIPT_SETTLE,
    SCRIPT_REMOVE,
    SCRIPT_CLAIM,
    SCRIPT_RENEW,
    SCRIPT_COUNT
} ledger_script_t;

typedef struct {
    ledger_t base;
    redis_t *redis;
    redis_script_t scripts[SCRIPT_COUNT];
    char prefix[64];
    char meta_key[LEDGER_KEY_SIZE];          /* of the hash with the generation */
    char generation[LEDGER_GENERATION_SIZE]; /* "" until it is known */
    int64_t fence;                           /* of our claim; 0: none */
    uint32_t lease_ms;
    char *memory_path; /* NULL: the generation is not remembered */
    int allow_volatile;
    error_t warning; /* of the last connection */
} ledger_redis_t;

static inline ledger_redis_t *ledger_redis_of(ledger_t *ledger) { return (ledger_redis_t *)ledger; }

/* "<prefix><kind>[:<name>[:<stage>]]"; stage < 0: none. */
void ledger_redis_key(const ledger_redis_t *self, const char *kind, const char *name, int64_t stage,
                      char out[LEDGER_KEY_SIZE]);

/* ledger_redis_guard.c: the greeting of each connection. Is this server durable, and ours? */
int ledger_redis_greet(void *context, redis_t *redis, error_t *error);
int ledger_redis_gone(const ledger_redis_t *self, error_t *error); /* ERR_CONFLICT with words */

/* ledger_redis_read.c */
int ledger_redis_load(ledger_t *ledger, const char *job_id,
                      int (*job)(void *context, const ledger_job_t *job),
                      int (*stage)(void *context, const ledger_stage_t *stage),
                      int (*task)(void *context, const task_ref_t *ref, const sha256_t *result),
                      void *context, error_t *error);
int ledger_redis_job(ledger_t *ledger, const char *job_id, ledger_job_t *out, error_t *error);
int ledger_redis_find(ledger_t *ledger, const char *idempotency_key, ledger_job_t *out,
                      error_t *error);
int ledger_redis_list(ledger_t *ledger, const ledger_query_t *query,
                      int (*job)(void *context, const ledger_job_t *job), void *context,
                      error_t *error);
int ledger_redis_count(ledger_t *ledger, size_t counts[JOB_STATE_COUNT], error_t *error);
int ledger_redis_expired(ledger_t *ledger, int64_t now_ms, int64_t unchanged_since_ms,
                         ledger_ids_t *out, error_t *error);

#endif
