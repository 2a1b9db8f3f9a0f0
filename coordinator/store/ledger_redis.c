#include "coordinator/store/ledger_redis.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX_DEFAULT "stage4:"

/* ARGV: 1 prefix, 2 generation and, after a blank, the fence of whoever has claimed the ledger,
 * 3 job id, 4 epoch, then what the script saves. */
#define BEGIN                                                                                      \
    "local p, id = ARGV[1], ARGV[3]\n"                                                             \
    "local generation, fence = string.match(ARGV[2], '^(%S*) ?(%d*)$')\n"                          \
    "if redis.call('HGET', KEYS[1], 'generation') ~= generation then return {'gone'} end\n"        \
    "if fence ~= '' and redis.call('HGET', KEYS[1], 'fence') ~= fence then\n"                      \
    "  return {'fenced', redis.call('HGET', KEYS[1], 'owner') or '?'}\n"                           \
    "end\n"                                                                                        \
    "local epoch = redis.call('HGET', p .. 'job:' .. id, 'epoch')\n"
#define NEEDS_JOB                                                                                  \
    "if not epoch then return {'absent'} end\n"                                                    \
    "if tonumber(ARGV[4]) < tonumber(epoch) then return {'past', epoch} end\n"
#define NOW                                                                                        \
    "local clock = redis.call('TIME')\n"                                                           \
    "local now = clock[1] * 1000 + math.floor(clock[2] / 1000)\n"
#define FORGET_STAGES(condition)                                                                   \
    "for _, stage in ipairs(redis.call('SMEMBERS', p .. 'finished:' .. id)) do\n" condition        \
    "    redis.call('UNLINK', p .. 'tasks:' .. id .. ':' .. stage)\n"                              \
    "    redis.call('SREM', p .. 'finished:' .. id, stage)\n"

/* Where a job is found again: by state, among those that recovery must look at (`open`), or by the time
 * that it may be removed at. `id`, `settled`, `expires` and `changed` say where it belongs. */
#define NEVER "9223372036854775807"
#define PLACE                                                                                      \
    "redis.call('ZREM', p .. 'open', id)\n"                                                        \
    "redis.call('ZREM', p .. 'due', id)\n"                                                         \
    "redis.call('ZREM', p .. 'ended', id)\n"                                                       \
    "if settled ~= '1' then\n"                                                                     \
    "  redis.call('ZADD', p .. 'open', redis.call('ZSCORE', p .. 'jobs', id), id)\n"               \
    "elseif expires == '0' then\n"                                                                 \
    "  redis.call('ZADD', p .. 'ended', changed, id)\n"                                            \
    "elseif expires ~= '" NEVER "' then\n"                                                         \
    "  redis.call('ZADD', p .. 'due', expires, id)\n"                                              \
    "end\n"
#define SETTLE                                                                                     \
    "local now = redis.call('HMGET', p .. 'job:' .. id, 'state', 'expires_ms', 'changed_ms')\n"    \
    "if now[1] == 'completed' or now[1] == 'cancelled' or now[1] == 'failed' then\n"               \
    "  local settled, expires, changed = '1', now[2] or '0', now[3]\n"                             \
    "  redis.call('HSET', p .. 'job:' .. id, 'settled', settled)\n" PLACE "end\n"                  \
    "return {'ok'}\n"
/* Jobs of before there was a second layout are all looked at once more, and settled then. */
#define UPGRADE                                                                                    \
    "if redis.call('HGET', KEYS[1], 'version') == '1' then\n"                                      \
    "  for _, job in ipairs(redis.call('ZRANGE', p .. 'jobs', 0, -1)) do\n"                        \
    "    local row = redis.call('HMGET', p .. 'job:' .. job, 'state', 'changed_ms', "              \
    "'spec_json')\n"                                                                               \
    "    local known, spec = pcall(cjson.decode, row[3] or '{}')\n"                                \
    "    local days = known and tonumber(spec.retention_days) or -1\n"                             \
    "    local expires = '0'\n"                                                                    \
    "    if days == 0 then expires = '" NEVER "' end\n"                                            \
    "    if days > 0 then\n"                                                                       \
    "      expires = string.format('%.0f', tonumber(row[2]) + 86400000 * days)\n"                  \
    "    end\n"                                                                                    \
    "    redis.call('HSET', p .. 'job:' .. job, 'settled', '0', 'expires_ms', expires)\n"          \
    "    redis.call('ZADD', p .. 'open', redis.call('ZSCORE', p .. 'jobs', job), job)\n"           \
    "    redis.call('ZADD', p .. 'ids', 0, job)\n"                                                 \
    "    redis.call('ZADD', p .. 'state:' .. row[1], 0, job)\n"                                    \
    "  end\n"                                                                                      \
    "  redis.call('UNLINK', p .. 'stages')\n"                                                      \
    "  redis.call('HSET', KEYS[1], 'version', '2')\n"                                              \
    "end\n"

#define FORGET_STAGE "redis.call('UNLINK', p .. 'stage:' .. id)\n"

static const char *const SCRIPTS[SCRIPT_COUNT] = {
    /* 5 state, 6 key, 7 submitted, 8 changed, 9 10 11 error, 12 has spec, 13, 14 has report, 15,
     * 16 settled, 17 expires */
    [SCRIPT_SAVE_JOB] =
        BEGIN "local job = p .. 'job:' .. id\n"
              "if epoch then\n"
              "  if tonumber(ARGV[4]) < tonumber(epoch) then return {'past', epoch} end\n"
              "else\n"
              "  if ARGV[6] ~= '' and redis.call('HSETNX', p .. 'keys', ARGV[6], id) == 0 and\n"
              "     redis.call('HGET', p .. 'keys', ARGV[6]) ~= id then return {'key'} end\n"
              "  redis.call('ZADD', p .. 'jobs', redis.call('HINCRBY', KEYS[1], 'jobs', 1), id)\n"
              "  redis.call('HSET', job, 'idempotency_key', ARGV[6], 'submitted_ms', ARGV[7])\n"
              "end\n"
              "local before = redis.call('HGET', job, 'state')\n"
              "if before then redis.call('ZREM', p .. 'state:' .. before, id) end\n"
              "redis.call('ZADD', p .. 'state:' .. ARGV[5], 0, id)\n"
              "redis.call('ZADD', p .. 'ids', 0, id)\n"
              "local settled, expires, changed = ARGV[16], ARGV[17], ARGV[8]\n" PLACE
              "redis.call('HSET', job, 'settled', settled, 'expires_ms', expires)\n"
              "redis.call('HSET', job, 'epoch', ARGV[4], 'state', ARGV[5], 'changed_ms', ARGV[8],\n"
              "  'error_code', ARGV[9], 'error_field', ARGV[10], 'error_message', ARGV[11])\n"
              "if ARGV[12] == '1' then redis.call('HSET', job, 'spec_json', ARGV[13]) end\n"
              "if ARGV[14] == '1' then redis.call('HSET', job, 'report_json', ARGV[15]) end\n"
              "return {'ok'}\n",
    /* 5 stage, 6 tasks, 7 last, 8 hash of the stage, 9 of its state */
    [SCRIPT_SAVE_STAGE] = BEGIN NEEDS_JOB FORGET_STAGES(
        "  if stage ~= ARGV[5] then\n") "  end\nend\n"
                                        "redis.call('HSET', p .. 'stage:' .. id, 'epoch', ARGV[4], "
                                        "'stage', ARGV[5],\n"
                                        "  'task_count', ARGV[6], 'last', ARGV[7], 'stage_sha', "
                                        "ARGV[8], 'state_sha', ARGV[9])\n"
                                        "return {'ok'}\n",
    /* 5 stage, 6 task, 7 attempt, 8 hash of the result */
    [SCRIPT_SAVE_TASK] =
        BEGIN NEEDS_JOB "redis.call('SADD', p .. 'finished:' .. id, ARGV[5])\n"
                        "redis.call('HSET', p .. 'tasks:' .. id .. ':' .. ARGV[5], ARGV[6],\n"
                        "  ARGV[4] .. ' ' .. ARGV[7] .. ' ' .. ARGV[8])\n"
                        "return {'ok'}\n",
    [SCRIPT_FORGET] = BEGIN FORGET_STAGES("") "end\n" FORGET_STAGE SETTLE,
    [SCRIPT_SETTLE] = BEGIN SETTLE,
    [SCRIPT_REMOVE] =
        BEGIN FORGET_STAGES("") "end\n" FORGET_STAGE
                                "local row = redis.call('HMGET', p .. 'job:' .. id,\n"
                                "  'idempotency_key', 'state')\n"
                                "local key = row[1]\n"
                                "if key and key ~= '' and redis.call('HGET', p .. 'keys', key) == "
                                "id then\n"
                                "  redis.call('HDEL', p .. 'keys', key)\n"
                                "end\n"
                                "for _, set in ipairs({'jobs', 'ids', 'open', 'due', 'ended',\n"
                                "  'state:' .. (row[2] or '')}) do\n"
                                "  redis.call('ZREM', p .. set, id)\n"
                                "end\n"
                                "redis.call('UNLINK', p .. 'job:' .. id)\n"
                                "return {'ok'}\n",
    /* 3 id of the owner, 5 its words, 6 lease */
    [SCRIPT_CLAIM] = BEGIN NOW
    "local before = redis.call('HMGET', KEYS[1], 'owner_id', 'owner', 'owner_until')\n"
    "if before[1] and before[1] ~= id and tonumber(before[3] or '0') > now then\n"
    "  return {'owned', before[2], tostring(tonumber(before[3]) - now)}\n"
    "end\n" UPGRADE "redis.call('HSET', KEYS[1], 'owner_id', id, 'owner', ARGV[5],\n"
    "  'owner_until', now + tonumber(ARGV[6]))\n"
    "return {'ok', redis.call('HINCRBY', KEYS[1], 'fence', 1)}\n",
    /* 5 lease; 0: given up */
    [SCRIPT_RENEW] =
        BEGIN NOW "redis.call('HSET', KEYS[1], 'owner_until', now + tonumber(ARGV[5]))\n"
                  "return {'ok'}\n",
};

void ledger_redis_key(const ledger_redis_t *self, const char *kind, const char *name, int64_t stage,
                      char out[LEDGER_KEY_SIZE])
{
    int used =
        snprintf(out, LEDGER_KEY_SIZE, "%s%s%s%s", self->prefix, kind, *name ? ":" : "", name);
    if (stage >= 0 && used > 0 && used < LEDGER_KEY_SIZE)
        snprintf(out + used, LEDGER_KEY_SIZE - (size_t)used, ":%" PRId64, stage);
}

/* The arguments of a script; numbers are written into `digits`, hashes into `hashes`. */
typedef struct {
    redis_text_t items[REDIS_SCRIPT_ARGUMENTS];
    size_t count;
    char digits[REDIS_SCRIPT_ARGUMENTS][24];
    char who[LEDGER_GENERATION_SIZE + 24]; /* generation and fence */
    char hashes[2][65];
    size_t hash_count;
} arguments_t;

static void put_text(arguments_t *self, const char *text)
{
    self->items[self->count++] = redis_text(text);
}

static void put_number(arguments_t *self, int64_t number)
{
    char *digits = self->digits[self->count];
    snprintf(digits, sizeof self->digits[0], "%" PRId64, number);
    put_text(self, digits);
}

static void put_hash(arguments_t *self, const sha256_t *hash)
{
    char *hex = self->hashes[self->hash_count++];
    sha256_hex(hash, hex);
    put_text(self, hex);
}

/* Says first whether it is there. */
static void put_optional(arguments_t *self, const char *text)
{
    put_text(self, text ? "1" : "0");
    put_text(self, text ? text : "");
}

static void begin(const ledger_redis_t *self, const char *job_id, uint32_t epoch, arguments_t *out)
{
    out->count = 0;
    out->hash_count = 0;
    put_text(out, self->prefix);
    snprintf(out->who, sizeof out->who, self->fence ? "%s %" PRId64 : "%s", self->generation,
             self->fence);
    put_text(out, out->who);
    put_text(out, job_id);
    put_number(out, epoch);
}

static int outcome(const ledger_redis_t *self, const char *job_id, uint32_t epoch,
                   const redis_value_t *answer, error_t *error)
{
    const char *word = redis_value_text(redis_value_at(answer, 0));
    if (!strcmp(word, "ok"))
        return OK;
    if (!strcmp(word, "gone"))
        return ledger_redis_gone(self, error);
    if (!strcmp(word, "fenced") || !strcmp(word, "owned"))
        return ledger_fenced(redis_address(self->redis),
                             redis_value_text(redis_value_at(answer, 1)), error);
    if (!strcmp(word, "absent"))
        return error_set(error, ERR_NOT_FOUND, "the ledger has no job %s", job_id);
    if (!strcmp(word, "key"))
        return error_field(error, ERR_CONFLICT, "idempotency_key",
                           "the idempotency key of job %s belongs to another job", job_id);
    if (!strcmp(word, "past"))
        return error_set(error, ERR_CONFLICT, "job %s is at epoch %s, past %u", job_id,
                         redis_value_text(redis_value_at(answer, 1)), epoch);
    return error_set(error, ERR_INTERNAL, "Redis at %s: a save was answered with \"%s\"",
                     redis_address(self->redis), word);
}

static int run(ledger_redis_t *self, ledger_script_t script, const arguments_t *arguments,
               const char *job_id, uint32_t epoch, error_t *error)
{
    redis_value_t *answer = NULL;
    int code = redis_run(self->redis, &self->scripts[script], self->meta_key, arguments->items,
                         arguments->count, &answer, error);
    if (code == OK)
        code = outcome(self, job_id, epoch, answer, error);
    redis_value_destroy(&answer);
    return code;
}

static void put_job(arguments_t *out, const ledger_change_t *change)
{
    const ledger_job_t *job = change->job;
    put_text(out, job_state_name(job->state));
    put_text(out, job->idempotency_key);
    put_number(out, job->submitted_ms);
    put_number(out, job->changed_ms);
    put_number(out, job->error.code);
    put_text(out, job->error.field);
    put_text(out, job->error.message);
    put_optional(out, job->spec_json);
    put_optional(out, job->report_json);
    put_number(out, job->settled);
    put_number(out, job->expires_ms);
}

static void put_stage(arguments_t *out, const ledger_change_t *change)
{
    const ledger_stage_t *stage = change->stage;
    put_number(out, stage->stage);
    put_number(out, stage->task_count);
    put_number(out, stage->last);
    put_hash(out, &stage->stage_sha);
    put_hash(out, &stage->state_sha);
}

static void put_task(arguments_t *out, const ledger_change_t *change)
{
    put_number(out, change->ref->stage);
    put_number(out, change->ref->task);
    put_number(out, change->ref->attempt);
    put_hash(out, change->result);
}

static void put_nothing(arguments_t *out, const ledger_change_t *change)
{
    (void)out;
    (void)change;
}

static const struct {
    ledger_script_t script;
    void (*put)(arguments_t *out, const ledger_change_t *change);
} CHANGES[] = {
    [LEDGER_JOB] = {SCRIPT_SAVE_JOB, put_job},      [LEDGER_STAGE] = {SCRIPT_SAVE_STAGE, put_stage},
    [LEDGER_TASK] = {SCRIPT_SAVE_TASK, put_task},   [LEDGER_FORGET] = {SCRIPT_FORGET, put_nothing},
    [LEDGER_SETTLE] = {SCRIPT_SETTLE, put_nothing}, [LEDGER_REMOVE] = {SCRIPT_REMOVE, put_nothing}};

/* Sent together: a server that syncs its file before it answers does so once for all of them. */
static int change_all(ledger_redis_t *self, ledger_change_t *changes, size_t count)
{
    arguments_t *arguments = calloc(count, sizeof *arguments);
    redis_run_t *runs = calloc(count, sizeof *runs);
    int room = arguments && runs;
    for (size_t i = 0; room && i < count; i++) {
        begin(self, changes[i].job_id, changes[i].epoch, &arguments[i]);
        CHANGES[changes[i].kind].put(&arguments[i], &changes[i]);
        runs[i] = (redis_run_t){.script = &self->scripts[CHANGES[changes[i].kind].script],
                                .key = self->meta_key,
                                .arguments = arguments[i].items,
                                .count = arguments[i].count};
    }
    if (room)
        redis_run_all(self->redis, runs, count);
    for (size_t i = 0; room && i < count; i++) {
        changes[i].error = runs[i].error;
        if (!runs[i].error.code)
            outcome(self, changes[i].job_id, changes[i].epoch, runs[i].answer, &changes[i].error);
        redis_value_destroy(&runs[i].answer);
    }
    free(arguments);
    free(runs);
    return room;
}

static void change(ledger_t *ledger, ledger_change_t *changes, size_t count)
{
    int done = change_all(ledger_redis_of(ledger), changes, count);
    for (size_t i = 0; !done && i < count; i++)
        error_set(&changes[i].error, ERR_MEMORY, "no memory for a change of the ledger");
}

static int claim(ledger_t *ledger, const ledger_owner_t *owner, error_t *error)
{
    ledger_redis_t *self = ledger_redis_of(ledger);
    arguments_t arguments;
    redis_value_t *answer = NULL;
    self->fence = 0;
    begin(self, owner->id, 0, &arguments);
    put_text(&arguments, owner->words);
    put_number(&arguments, owner->lease_ms);
    int code = redis_run(self->redis, &self->scripts[SCRIPT_CLAIM], self->meta_key, arguments.items,
                         arguments.count, &answer, error);
    if (code == OK)
        code = outcome(self, owner->id, 0, answer, error);
    if (code == OK) {
        self->fence = redis_value_number(redis_value_at(answer, 1));
        self->lease_ms = owner->lease_ms;
    }
    redis_value_destroy(&answer);
    return code;
}

static int renew_for(ledger_redis_t *self, uint32_t lease_ms, error_t *error)
{
    arguments_t arguments;
    begin(self, "", 0, &arguments);
    put_number(&arguments, lease_ms);
    return run(self, SCRIPT_RENEW, &arguments, "", 0, error);
}

static int renew(ledger_t *ledger, error_t *error)
{
    ledger_redis_t *self = ledger_redis_of(ledger);
    return self->fence ? renew_for(self, self->lease_ms, error) : OK;
}

static void fence(const ledger_t *ledger, ledger_fence_t *out)
{
    const ledger_redis_t *self = (const ledger_redis_t *)ledger;
    out->number = self->fence;
    memcpy(out->ledger, self->generation, sizeof out->ledger);
}

static int ping(ledger_t *ledger, error_t *error)
{
    const ledger_redis_t *self = ledger_redis_of(ledger);
    redis_text_t words[] = {redis_text("HGET"), redis_text(self->meta_key),
                            redis_text("generation")};
    redis_value_t *answer = NULL;
    int code = redis_call(self->redis, words, 3, &answer, error);
    if (code == OK && strcmp(redis_value_text(answer), self->generation) != 0)
        code = ledger_redis_gone(self, error);
    redis_value_destroy(&answer);
    return code;
}

static void close_ledger(ledger_t **ledger)
{
    if (!*ledger)
        return;
    ledger_redis_t *self = ledger_redis_of(*ledger);
    if (self->fence)
        renew_for(self, 0, NULL); /* whoever comes next need not wait */
    redis_destroy(&self->redis);
    free(self->memory_path);
    free(self);
    *ledger = NULL;
}

static const ledger_verbs_t VERBS = {
    .name = "redis",
    .change = change,
    .claim = claim,
    .renew = renew,
    .fence = fence,
    .load = ledger_redis_load,
    .job = ledger_redis_job,
    .find = ledger_redis_find,
    .list = ledger_redis_list,
    .count = ledger_redis_count,
    .expired = ledger_redis_expired,
    .ping = ping,
    .close = close_ledger,
};

static int set_names(ledger_redis_t *self, const ledger_redis_options_t *options, error_t *error)
{
    const char *prefix = options->prefix ? options->prefix : PREFIX_DEFAULT;
    if (strlen(prefix) >= sizeof self->prefix)
        return error_field(error, ERR_USAGE, "prefix", "a prefix of keys has at most %zu bytes",
                           sizeof self->prefix - 1);
    snprintf(self->prefix, sizeof self->prefix, "%s", prefix);
    ledger_redis_key(self, "ledger", "", -1, self->meta_key);
    self->memory_path = options->memory_path ? strdup(options->memory_path) : NULL;
    if (options->memory_path && !self->memory_path)
        return error_set(error, ERR_MEMORY, "no memory to open a ledger");
    return OK;
}

int ledger_open_redis(const ledger_redis_options_t *options, ledger_t **out, error_t *warning,
                      error_t *error)
{
    ledger_redis_t *self = calloc(1, sizeof *self);
    *out = NULL;
    if (!self)
        return error_set(error, ERR_MEMORY, "no memory to open a ledger");
    self->base.verbs = &VERBS;
    self->allow_volatile = options->allow_volatile;
    for (size_t i = 0; i < SCRIPT_COUNT; i++)
        self->scripts[i].text = SCRIPTS[i];
    redis_options_t connection = {.host = options->host,
                                  .port = options->port,
                                  .db = options->db,
                                  .password = options->password,
                                  .connect_ms = options->connect_ms,
                                  .command_ms = options->command_ms,
                                  .greet = ledger_redis_greet,
                                  .context = self};
    int code = set_names(self, options, error);
    if (code == OK)
        code = redis_new(&connection, &self->redis, error);
    if (code == OK)
        code = ping(&self->base, error); /* connects: now is the time to refuse */
    if (code == OK && warning)
        *warning = self->warning;
    *out = &self->base;
    if (code != OK)
        close_ledger(out);
    return code;
}
