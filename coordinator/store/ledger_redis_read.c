#include "coordinator/store/ledger_redis.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE 256 /* jobs asked for at once: what bounds the memory of a walk */

static const char *const JOB_FIELDS[] = {
    "epoch",       "state",         "idempotency_key", "submitted_ms", "changed_ms", "error_code",
    "error_field", "error_message", "settled",         "expires_ms",   "spec_json",  "report_json"};
static const char *const STAGE_FIELDS[] = {"epoch", "stage",     "task_count",
                                           "last",  "stage_sha", "state_sha"};

#define COUNT(array) (sizeof(array) / sizeof *(array))

static int damaged(const ledger_redis_t *self, const char *key, const char *what, error_t *error)
{
    return error_set(error, ERR_IO, "Redis at %s is damaged: %s %s", redis_address(self->redis),
                     key, what);
}

/* HMGET of all the fields. */
static int get_fields(const ledger_redis_t *self, const char *key, const char *const *fields,
                      size_t count, redis_value_t **out, error_t *error)
{
    redis_text_t words[2 + COUNT(JOB_FIELDS)] = {redis_text("HMGET"), redis_text(key)};
    for (size_t i = 0; i < count; i++)
        words[2 + i] = redis_text(fields[i]);
    return redis_call(self->redis, words, 2 + count, out, error);
}

static const char *text_at(const redis_value_t *row, size_t at)
{
    return redis_value_text(redis_value_at(row, at));
}

/* A copy; NULL of what is not there. */
static int copy_json(const redis_value_t *value, char **out, error_t *error)
{
    *out = NULL;
    if (redis_value_is_nothing(value))
        return OK;
    *out = strdup(redis_value_text(value));
    return *out ? OK : error_set(error, ERR_MEMORY, "no memory for a job of the ledger");
}

static int read_job(const ledger_redis_t *self, const char *job_id, const redis_value_t *row,
                    ledger_job_t *out, error_t *error)
{
    memset(out, 0, sizeof *out);
    snprintf(out->job_id, sizeof out->job_id, "%s", job_id);
    out->epoch = (uint32_t)redis_value_number(redis_value_at(row, 0));
    if (!job_state_parse(text_at(row, 1), &out->state))
        return damaged(self, job_id, "has an unknown state", error);
    snprintf(out->idempotency_key, sizeof out->idempotency_key, "%s", text_at(row, 2));
    out->submitted_ms = redis_value_number(redis_value_at(row, 3));
    out->changed_ms = redis_value_number(redis_value_at(row, 4));
    out->error.code = (int)redis_value_number(redis_value_at(row, 5));
    snprintf(out->error.field, sizeof out->error.field, "%s", text_at(row, 6));
    snprintf(out->error.message, sizeof out->error.message, "%s", text_at(row, 7));
    out->settled = (int)redis_value_number(redis_value_at(row, 8));
    out->expires_ms = redis_value_number(redis_value_at(row, 9));
    int code = copy_json(redis_value_at(row, 10), &out->spec_json, error);
    if (code == OK && !redis_value_is_nothing(redis_value_at(row, 11)))
        code = copy_json(redis_value_at(row, 11), &out->report_json, error);
    if (code != OK)
        ledger_job_clear(out);
    return code;
}

/* Nothing is there: a Redis that came back empty under an open connection would say the same. */
static int check_generation(ledger_t *ledger, error_t *error)
{
    return ledger->verbs->ping(ledger, error);
}

/* The first `count` of its fields: the report is the last. */
static int get_job(ledger_t *ledger, const char *job_id, size_t count, ledger_job_t *out,
                   error_t *error)
{
    const ledger_redis_t *self = ledger_redis_of(ledger);
    char key[LEDGER_KEY_SIZE];
    redis_value_t *row = NULL;
    ledger_redis_key(self, "job", job_id, -1, key);
    int code = get_fields(self, key, JOB_FIELDS, count, &row, error);
    int there = !redis_value_is_nothing(redis_value_at(row, 0));
    if (code == OK && !there)
        code = check_generation(ledger, error);
    if (code == OK && !there)
        code = error_field(error, ERR_NOT_FOUND, "job_id", "there is no job %s", job_id);
    if (code == OK)
        code = read_job(self, job_id, row, out, error);
    redis_value_destroy(&row);
    return code;
}

int ledger_redis_job(ledger_t *ledger, const char *job_id, ledger_job_t *out, error_t *error)
{
    return get_job(ledger, job_id, COUNT(JOB_FIELDS), out, error);
}

int ledger_redis_find(ledger_t *ledger, const char *idempotency_key, ledger_job_t *out,
                      error_t *error)
{
    const ledger_redis_t *self = ledger_redis_of(ledger);
    char key[LEDGER_KEY_SIZE];
    redis_value_t *name = NULL;
    ledger_redis_key(self, "keys", "", -1, key);
    redis_text_t words[] = {redis_text("HGET"), redis_text(key), redis_text(idempotency_key)};
    int code = redis_call(self->redis, words, 3, &name, error);
    int there = *idempotency_key && !redis_value_is_nothing(name);
    if (code == OK && !there)
        code = check_generation(ledger, error);
    if (code == OK && !there)
        code = error_set(error, ERR_NOT_FOUND, "no job has this idempotency key");
    if (code == OK)
        code = ledger_redis_job(ledger, redis_value_text(name), out, error);
    redis_value_destroy(&name);
    return code;
}

/* ---- many of them ---- */

static int call(const ledger_redis_t *self, const char *const *words, size_t count,
                redis_value_t **out, error_t *error)
{
    redis_text_t texts[8];
    for (size_t i = 0; i < count; i++)
        texts[i] = redis_text(words[i]);
    return redis_call(self->redis, texts, count, out, error);
}

/* The sorted set of all jobs, or of those in a state, by id. */
static void key_of_set(const ledger_redis_t *self, int state, char out[LEDGER_KEY_SIZE])
{
    if (state < 0)
        ledger_redis_key(self, "ids", "", -1, out);
    else
        ledger_redis_key(self, "state", job_state_name((job_state_t)state), -1, out);
}

int ledger_redis_list(ledger_t *ledger, const ledger_query_t *query,
                      int (*job)(void *context, const ledger_job_t *job), void *context,
                      error_t *error)
{
    char key[LEDGER_KEY_SIZE];
    char before[JOB_ID_SIZE + 1] = "+";
    char limit[24];
    redis_value_t *names = NULL;
    key_of_set(ledger_redis_of(ledger), query->state, key);
    if (query->before[0])
        snprintf(before, sizeof before, "(%s", query->before);
    snprintf(limit, sizeof limit, "%zu", query->limit);
    const char *words[] = {"ZREVRANGEBYLEX", key, before, "-", "LIMIT", "0", limit};
    int code = call(ledger_redis_of(ledger), words, COUNT(words), &names, error);
    if (code == OK && !redis_value_count(names))
        code = check_generation(ledger, error);
    for (size_t i = 0; code == OK && i < redis_value_count(names); i++) {
        ledger_job_t row;
        code = get_job(ledger, text_at(names, i), COUNT(JOB_FIELDS) - 1, &row, error);
        if (code == ERR_NOT_FOUND) { /* removed a moment ago */
            code = OK;
            continue;
        }
        if (code == OK) {
            code = job(context, &row);
            ledger_job_clear(&row);
        }
    }
    redis_value_destroy(&names);
    return code;
}

int ledger_redis_count(ledger_t *ledger, size_t counts[JOB_STATE_COUNT], error_t *error)
{
    static const job_state_t ENDS[] = {JOB_COMPLETED, JOB_CANCELLED, JOB_FAILED};
    int code = OK;
    memset(counts, 0, JOB_STATE_COUNT * sizeof *counts);
    for (size_t i = 0; code == OK && i < COUNT(ENDS); i++) {
        char key[LEDGER_KEY_SIZE];
        redis_value_t *count = NULL;
        key_of_set(ledger_redis_of(ledger), ENDS[i], key);
        const char *words[] = {"ZCARD", key};
        code = call(ledger_redis_of(ledger), words, COUNT(words), &count, error);
        counts[ENDS[i]] = (size_t)redis_value_number(count);
        redis_value_destroy(&count);
    }
    return code;
}

/* Adds those of the set whose time is `until_ms` or earlier. */
static int add_due(const ledger_redis_t *self, const char *set, int64_t until_ms, ledger_ids_t *out,
                   error_t *error)
{
    char key[LEDGER_KEY_SIZE];
    char until[24];
    char room[24];
    redis_value_t *names = NULL;
    ledger_redis_key(self, set, "", -1, key);
    snprintf(until, sizeof until, "%" PRId64, until_ms);
    snprintf(room, sizeof room, "%zu", LEDGER_IDS - out->count);
    const char *words[] = {"ZRANGEBYSCORE", key, "-inf", until, "LIMIT", "0", room};
    int code = call(self, words, COUNT(words), &names, error);
    for (size_t i = 0; code == OK && i < redis_value_count(names) && out->count < LEDGER_IDS; i++)
        snprintf(out->items[out->count++], JOB_ID_SIZE, "%s", text_at(names, i));
    redis_value_destroy(&names);
    return code;
}

int ledger_redis_expired(ledger_t *ledger, int64_t now_ms, int64_t unchanged_since_ms,
                         ledger_ids_t *out, error_t *error)
{
    const ledger_redis_t *self = ledger_redis_of(ledger);
    out->count = 0;
    int code = add_due(self, "due", now_ms, out, error);
    return code == OK ? add_due(self, "ended", unchanged_since_ms, out, error) : code;
}

/* ---- recovery ---- */

typedef int (*stage_callback_t)(void *context, const ledger_stage_t *stage);
typedef int (*task_callback_t)(void *context, const task_ref_t *ref, const sha256_t *result);

typedef struct {
    ledger_redis_t *ledger;
    int (*job)(void *context, const ledger_job_t *job);
    stage_callback_t stage;
    task_callback_t task;
    void *context;
} walk_t;

/* Calls `visit` with each name of a sorted set, in its order. */
static int each_name(const walk_t *walk, const char *set,
                     int (*visit)(const walk_t *walk, const char *name, error_t *error),
                     error_t *error)
{
    char key[LEDGER_KEY_SIZE];
    ledger_redis_key(walk->ledger, set, "", -1, key);
    for (size_t from = 0;; from += PAGE) {
        char first[24];
        char last[24];
        redis_value_t *names = NULL;
        snprintf(first, sizeof first, "%zu", from);
        snprintf(last, sizeof last, "%zu", from + PAGE - 1);
        redis_text_t words[] = {redis_text("ZRANGE"), redis_text(key), redis_text(first),
                                redis_text(last)};
        int code = redis_call(walk->ledger->redis, words, 4, &names, error);
        size_t count = redis_value_count(names);
        for (size_t i = 0; code == OK && i < count; i++)
            code = visit(walk, text_at(names, i), error);
        redis_value_destroy(&names);
        if (code != OK || count < PAGE)
            return code;
    }
}

static int visit_job(const walk_t *walk, const char *name, error_t *error)
{
    ledger_job_t job;
    int code = ledger_redis_job(&walk->ledger->base, name, &job, error);
    if (code == ERR_NOT_FOUND)
        return damaged(walk->ledger, name, "is listed and is not there", error);
    if (code != OK)
        return code;
    code = walk->job(walk->context, &job);
    ledger_job_clear(&job);
    return code;
}

/* *there: 0 when the job has none. */
static int get_stage(const ledger_redis_t *self, const char *job_id, int *there,
                     ledger_stage_t *out, error_t *error)
{
    char key[LEDGER_KEY_SIZE];
    redis_value_t *row = NULL;
    memset(out, 0, sizeof *out);
    ledger_redis_key(self, "stage", job_id, -1, key);
    int code = get_fields(self, key, STAGE_FIELDS, COUNT(STAGE_FIELDS), &row, error);
    snprintf(out->job_id, sizeof out->job_id, "%s", job_id);
    out->epoch = (uint32_t)redis_value_number(redis_value_at(row, 0));
    out->stage = (uint32_t)redis_value_number(redis_value_at(row, 1));
    out->task_count = (uint32_t)redis_value_number(redis_value_at(row, 2));
    out->last = (int)redis_value_number(redis_value_at(row, 3));
    *there = code == OK && !redis_value_is_nothing(redis_value_at(row, 0));
    if (*there && (!sha256_parse(text_at(row, 4), &out->stage_sha) ||
                   !sha256_parse(text_at(row, 5), &out->state_sha)))
        code = damaged(self, key, "has no two hashes", error);
    redis_value_destroy(&row);
    return code;
}

static int visit_stage(const walk_t *walk, const char *name, error_t *error)
{
    ledger_stage_t stage;
    int there;
    int code = get_stage(walk->ledger, name, &there, &stage, error);
    return code == OK && there ? walk->stage(walk->context, &stage) : code;
}

typedef struct {
    uint32_t task;
    const char *value; /* "<epoch> <attempt> <hash>" */
} finished_t;

static int by_task(const void *a, const void *b)
{
    uint32_t left = ((const finished_t *)a)->task;
    uint32_t right = ((const finished_t *)b)->task;
    return (left > right) - (left < right);
}

static int give_task(const walk_t *walk, const ledger_stage_t *stage, const finished_t *finished,
                     error_t *error)
{
    task_ref_t ref = {.stage = stage->stage, .task = finished->task};
    sha256_t result;
    char *end;
    memcpy(ref.job_id, stage->job_id, sizeof ref.job_id);
    ref.epoch = (uint32_t)strtoul(finished->value, &end, 10);
    ref.attempt = (uint32_t)strtoul(end, &end, 10);
    if (*end != ' ' || !sha256_parse(end + 1, &result))
        return damaged(walk->ledger, stage->job_id, "has a task without epoch, attempt and hash",
                       error);
    return walk->task(walk->context, &ref, &result);
}

/* `pairs`: task, value, task, value ... of one hash. */
static int give_tasks(const walk_t *walk, const ledger_stage_t *stage, const redis_value_t *pairs,
                      error_t *error)
{
    size_t count = redis_value_count(pairs) / 2;
    finished_t *finished = calloc(count + 1, sizeof *finished);
    int code = OK;
    if (!finished)
        return error_set(error, ERR_MEMORY, "no memory for %zu tasks of the ledger", count);
    for (size_t i = 0; i < count; i++)
        finished[i] = (finished_t){(uint32_t)redis_value_number(redis_value_at(pairs, 2 * i)),
                                   text_at(pairs, 2 * i + 1)};
    qsort(finished, count, sizeof *finished, by_task);
    for (size_t i = 0; code == OK && i < count; i++)
        code = give_task(walk, stage, &finished[i], error);
    free(finished);
    return code;
}

static int visit_tasks(const walk_t *walk, const char *name, error_t *error)
{
    char key[LEDGER_KEY_SIZE];
    ledger_stage_t stage;
    redis_value_t *pairs = NULL;
    int there;
    int code = get_stage(walk->ledger, name, &there, &stage, error);
    if (code != OK || !there)
        return code;
    ledger_redis_key(walk->ledger, "tasks", name, stage.stage, key);
    redis_text_t words[] = {redis_text("HGETALL"), redis_text(key)};
    code = redis_call(walk->ledger->redis, words, 2, &pairs, error);
    if (code == OK)
        code = give_tasks(walk, &stage, pairs, error);
    redis_value_destroy(&pairs);
    return code;
}

static int visit_one(const walk_t *walk, const char *job_id, error_t *error)
{
    ledger_job_t job;
    int code = ledger_redis_job(&walk->ledger->base, job_id, &job, error);
    if (code == ERR_NOT_FOUND)
        return OK;
    if (code != OK)
        return code;
    code = walk->job(walk->context, &job);
    ledger_job_clear(&job);
    if (code == OK)
        code = visit_stage(walk, job_id, error);
    return code == OK ? visit_tasks(walk, job_id, error) : code;
}

/* Nobody else writes meanwhile: the coordinator that reads holds the lock of the state folder; and
 * what is settled stays as it is until the core that has asked for it has it. */
int ledger_redis_load(ledger_t *ledger, const char *job_id,
                      int (*job)(void *context, const ledger_job_t *job), stage_callback_t stage,
                      task_callback_t task, void *context, error_t *error)
{
    walk_t walk = {ledger_redis_of(ledger), job, stage, task, context};
    if (job_id)
        return visit_one(&walk, job_id, error);
    int command_ms = redis_set_command_ms(walk.ledger->redis, REDIS_LOAD_MS);
    int code = each_name(&walk, "open", visit_job, error);
    if (code == OK)
        code = each_name(&walk, "open", visit_stage, error);
    if (code == OK)
        code = each_name(&walk, "open", visit_tasks, error);
    redis_set_command_ms(walk.ledger->redis, command_ms);
    return code;
}
