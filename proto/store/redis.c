#include "proto/store/redis.h"

#include "common/clock.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct redis {
    redis_options_t options;
    char *host;
    char *password;
    redisContext *connection; /* NULL: none now */
    int greeting;             /* the greeter is at work: no second attempt inside it */
    int suspected;            /* it has kept silent: until it greets us, it is not waited for */
    int64_t refused_until_ms; /* of the monotonic clock: fail at once until then */
    error_t refusal;          /* why the last connection could not be made */
    char address[320];
};

/* The first word of an error answer, and what it means to a user. */
static const struct {
    const char *word;
    int code;
    const char *advice;
} MEANINGS[] = {
    {"NOAUTH", ERR_USAGE, "; set redis_password or redis_password_file"},
    {"WRONGPASS", ERR_USAGE, "; redis_password is not the one of that server"},
    {"NOPERM", ERR_USAGE, "; its user needs the rights that DEPLOYMENT.md lists"},
    {"LOADING", ERR_UNAVAILABLE, "; it is reading its file back, wait"},
    {"BUSY", ERR_UNAVAILABLE, ""},
    {"MASTERDOWN", ERR_UNAVAILABLE, ""},
    {"READONLY", ERR_UNAVAILABLE, "; redis_host must be the primary"},
    {"MISCONF", ERR_IO, "; free some space on its disk"},
    {"OOM", ERR_IO, "; give it more memory (maxmemory)"},
};

redis_text_t redis_text(const char *text) { return (redis_text_t){text, strlen(text)}; }

const char *redis_address(const redis_t *self) { return self->address; }

static void disconnect(redis_t *self)
{
    if (self->connection)
        redisFree(self->connection);
    self->connection = NULL;
}

void redis_destroy(redis_t **redis)
{
    redis_t *self = *redis;
    if (!self)
        return;
    disconnect(self);
    free(self->host);
    free(self->password);
    free(self);
    *redis = NULL;
}

int redis_new(const redis_options_t *options, redis_t **out, error_t *error)
{
    redis_t *self = calloc(1, sizeof *self);
    *out = NULL;
    if (!self)
        return error_set(error, ERR_MEMORY, "no memory for a connection to Redis");
    self->options = *options;
    self->host = strdup(options->host);
    self->password = strdup(options->password ? options->password : "");
    if (!self->host || !self->password) {
        redis_destroy(&self);
        return error_set(error, ERR_MEMORY, "no memory for a connection to Redis");
    }
    self->options.host = NULL; /* ours are the copies */
    self->options.password = NULL;
    if (!self->options.connect_ms)
        self->options.connect_ms = REDIS_CONNECT_MS;
    if (!self->options.command_ms)
        self->options.command_ms = REDIS_COMMAND_MS;
    snprintf(self->address, sizeof self->address, "%s:%u, database %d", options->host,
             (unsigned)options->port, options->db);
    *out = self;
    return OK;
}

static struct timeval milliseconds(int ms)
{
    return (struct timeval){.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000};
}

int redis_set_command_ms(redis_t *self, int command_ms)
{
    int before = self->options.command_ms;
    self->options.command_ms = command_ms;
    if (self->connection)
        redisSetTimeout(self->connection, milliseconds(command_ms));
    return before;
}

static int answer_error(const redis_t *self, const char *text, error_t *error)
{
    for (size_t i = 0; i < sizeof MEANINGS / sizeof *MEANINGS; i++) {
        size_t length = strlen(MEANINGS[i].word);
        if (!strncmp(text, MEANINGS[i].word, length) && text[length] == ' ')
            return error_set(error, MEANINGS[i].code, "Redis at %s says: %s%s", self->address, text,
                             MEANINGS[i].advice);
    }
    return error_set(error, ERR_INTERNAL, "Redis at %s says: %s", self->address, text);
}

/* What it was that broke is lost with the connection, so it is worded first. */
static int lost(redis_t *self, error_t *error)
{
    int slow = self->connection->err == REDIS_ERR_IO && errno == EAGAIN;
    char cause[160];
    snprintf(cause, sizeof cause, "%s", slow ? "no answer in time" : self->connection->errstr);
    disconnect(self);
    return error_set(error, ERR_UNAVAILABLE, "Redis at %s: the connection was lost: %s",
                     self->address, cause);
}

/* Sends over the connection that is there. *slow: the server may be at work on it still. */
static int send_once(redis_t *self, const redis_text_t *arguments, size_t count, redisReply **out,
                     int *slow, error_t *error)
{
    const char *bytes[REDIS_SCRIPT_ARGUMENTS + 8];
    size_t lengths[REDIS_SCRIPT_ARGUMENTS + 8];
    *out = NULL;
    *slow = 0;
    if (count > sizeof bytes / sizeof *bytes)
        return error_set(error, ERR_INTERNAL, "a Redis command of %zu arguments", count);
    for (size_t i = 0; i < count; i++) {
        bytes[i] = arguments[i].bytes;
        lengths[i] = arguments[i].length;
    }
    errno = 0;
    *out = redisCommandArgv(self->connection, (int)count, bytes, lengths);
    if (*out)
        return OK;
    *slow = errno == EAGAIN;
    self->suspected |= *slow;
    return lost(self, error);
}

/* A short command while a connection is being set up. */
static int set_up(redis_t *self, const char *word, const char *argument, error_t *error)
{
    redis_text_t arguments[] = {redis_text(word), redis_text(argument)};
    redisReply *reply = NULL;
    int slow;
    int code = send_once(self, arguments, 2, &reply, &slow, error);
    if (code == OK && reply->type == REDIS_REPLY_ERROR) {
        code = answer_error(self, reply->str, error);
        if (code == ERR_INTERNAL && error)
            error->code = code = ERR_USAGE; /* no such database, a password where none is set */
    }
    if (reply)
        freeReplyObject(reply);
    return code;
}

static int open_connection(redis_t *self, error_t *error)
{
    struct timeval limit = milliseconds(self->options.connect_ms);
    self->connection = redisConnectWithTimeout(self->host, self->options.port, limit);
    if (!self->connection)
        return error_set(error, ERR_MEMORY, "no memory for a connection to Redis");
    if (self->connection->err) {
        error_set(error, ERR_UNAVAILABLE, "Redis at %s cannot be reached: %s", self->address,
                  self->connection->errstr);
        disconnect(self);
        return ERR_UNAVAILABLE;
    }
    int patience_ms = self->options.command_ms;
    if (self->suspected && patience_ms > REDIS_PROBE_MS)
        patience_ms = REDIS_PROBE_MS;
    redisSetTimeout(self->connection, milliseconds(patience_ms));
    redisEnableKeepAlive(self->connection);
    return OK;
}

static int connect_once(redis_t *self, error_t *error)
{
    char number[16];
    int code = open_connection(self, error);
    if (code == OK && *self->password)
        code = set_up(self, "AUTH", self->password, error);
    snprintf(number, sizeof number, "%d", self->options.db);
    if (code == OK)
        code = set_up(self, "SELECT", number, error);
    if (code == OK && self->options.greet) {
        self->greeting = 1;
        code = self->options.greet(self->options.context, self, error);
        self->greeting = 0;
    }
    if (code != OK) {
        disconnect(self);
        return code;
    }
    self->suspected = 0;
    redisSetTimeout(self->connection, milliseconds(self->options.command_ms));
    return OK;
}

static int connected(redis_t *self, error_t *error)
{
    if (self->connection)
        return OK;
    if (self->greeting)
        return error_set(error, ERR_UNAVAILABLE, "Redis at %s: the connection was lost",
                         self->address);
    if (clock_monotonic_ms() < self->refused_until_ms) {
        if (error)
            *error = self->refusal;
        return self->refusal.code;
    }
    self->refusal = (error_t)ERROR_INIT;
    int code = connect_once(self, &self->refusal);
    if (code == OK)
        return OK;
    self->refused_until_ms = clock_monotonic_ms() + REDIS_PAUSE_MS;
    if (error)
        *error = self->refusal;
    return code;
}

/* An error answer is left in *out for the caller to look at. */
static int call_twice(redis_t *self, const redis_text_t *arguments, size_t count, redisReply **out,
                      error_t *error)
{
    int slow = 0;
    *out = NULL;
    int code = connected(self, error);
    if (code != OK)
        return code;
    code = send_once(self, arguments, count, out, &slow, error);
    if (code != ERR_UNAVAILABLE || slow || self->greeting)
        return code;
    if (error)
        *error = (error_t)ERROR_INIT;
    code = connected(self, error);
    return code == OK ? send_once(self, arguments, count, out, &slow, error) : code;
}

/* Gives the answer away, or turns it into our error. */
static int take_answer(const redis_t *self, redisReply *reply, redis_value_t **out, error_t *error)
{
    int code = OK;
    if (reply->type == REDIS_REPLY_ERROR)
        code = answer_error(self, reply->str, error);
    if (out && code == OK)
        *out = (redis_value_t *)reply;
    else
        freeReplyObject(reply);
    return code;
}

int redis_call(redis_t *self, const redis_text_t *arguments, size_t count, redis_value_t **out,
               error_t *error)
{
    redisReply *reply;
    if (out)
        *out = NULL;
    int code = call_twice(self, arguments, count, &reply, error);
    return code == OK ? take_answer(self, reply, out, error) : code;
}

static int load_script(redis_t *self, redis_script_t *script, error_t *error)
{
    redis_text_t arguments[] = {redis_text("SCRIPT"), redis_text("LOAD"), redis_text(script->text)};
    redis_value_t *answer;
    int code = redis_call(self, arguments, 3, &answer, error);
    if (code != OK)
        return code;
    snprintf(script->sha, sizeof script->sha, "%s", redis_value_text(answer));
    redis_value_destroy(&answer);
    return OK;
}

int redis_run(redis_t *self, redis_script_t *script, const char *key, const redis_text_t *arguments,
              size_t count, redis_value_t **out, error_t *error)
{
    redis_text_t all[REDIS_SCRIPT_ARGUMENTS + 4];
    if (out)
        *out = NULL;
    if (count > REDIS_SCRIPT_ARGUMENTS)
        return error_set(error, ERR_INTERNAL, "a script of %zu arguments", count);
    for (int attempt = 0;; attempt++) {
        redisReply *reply;
        int code = script->sha[0] ? OK : load_script(self, script, error);
        if (code != OK)
            return code;
        all[0] = redis_text("EVALSHA");
        all[1] = redis_text(script->sha);
        all[2] = redis_text("1");
        all[3] = redis_text(key);
        memcpy(all + 4, arguments, count * sizeof *arguments);
        code = call_twice(self, all, count + 4, &reply, error);
        if (code != OK)
            return code;
        /* A server that was restarted has forgotten its scripts. */
        if (attempt || reply->type != REDIS_REPLY_ERROR || strncmp(reply->str, "NOSCRIPT", 8) != 0)
            return take_answer(self, reply, out, error);
        freeReplyObject(reply);
        script->sha[0] = 0;
    }
}

/* What can be sent over a connection that is there already. */
static size_t append_all(redis_t *self, const redis_run_t *runs, size_t count)
{
    const char *bytes[REDIS_SCRIPT_ARGUMENTS + 4] = {"EVALSHA", NULL, "1"};
    size_t lengths[REDIS_SCRIPT_ARGUMENTS + 4] = {7, 40, 1};
    size_t sent = 0;
    for (; self->connection && sent < count; sent++) {
        const redis_run_t *run = &runs[sent];
        if (run->count > REDIS_SCRIPT_ARGUMENTS || !run->script->sha[0])
            break;
        bytes[1] = run->script->sha;
        bytes[3] = run->key;
        lengths[3] = strlen(run->key);
        for (size_t i = 0; i < run->count; i++) {
            bytes[4 + i] = run->arguments[i].bytes;
            lengths[4 + i] = run->arguments[i].length;
        }
        if (redisAppendCommandArgv(self->connection, (int)run->count + 4, bytes, lengths))
            break;
    }
    return sent;
}

/* Reads the answer to each of `sent`. Gives how many have one from the first on: the rest is run one
 * by one, as every script may run twice. */
static size_t read_all(redis_t *self, redis_run_t *runs, size_t sent)
{
    size_t answered = 0;
    int in_order = 1;
    for (size_t i = 0; i < sent && self->connection; i++) {
        void *reply = NULL;
        errno = 0;
        if (redisGetReply(self->connection, &reply) != REDIS_OK) {
            self->suspected |= errno == EAGAIN;
            disconnect(self);
            break;
        }
        const redisReply *said = reply;
        if (said->type == REDIS_REPLY_ERROR && !strncmp(said->str, "NOSCRIPT", 8)) {
            runs[i].script->sha[0] = 0;
            in_order = 0;
        }
        if (!in_order) {
            freeReplyObject(reply);
            continue;
        }
        take_answer(self, reply, &runs[i].answer, &runs[i].error);
        answered++;
    }
    return answered;
}

void redis_run_all(redis_t *self, redis_run_t *runs, size_t count)
{
    size_t done = 0;
    for (size_t i = 0; i < count; i++) {
        runs[i].answer = NULL;
        runs[i].error = (error_t)ERROR_INIT;
    }
    if (count > 1)
        done = read_all(self, runs, append_all(self, runs, count));
    for (size_t i = done; i < count; i++)
        redis_run(self, runs[i].script, runs[i].key, runs[i].arguments, runs[i].count,
                  &runs[i].answer, &runs[i].error);
}

/* ---- reading an answer ---- */

static const redisReply *reply_of(const redis_value_t *value) { return (const redisReply *)value; }

void redis_value_destroy(redis_value_t **self)
{
    if (*self)
        freeReplyObject(*self);
    *self = NULL;
}

int redis_value_is_nothing(const redis_value_t *self)
{
    return !self || reply_of(self)->type == REDIS_REPLY_NIL;
}

const char *redis_value_text(const redis_value_t *self)
{
    const redisReply *reply = reply_of(self);
    return reply && reply->str ? reply->str : "";
}

size_t redis_value_length(const redis_value_t *self)
{
    const redisReply *reply = reply_of(self);
    return reply && reply->str ? reply->len : 0;
}

int64_t redis_value_number(const redis_value_t *self)
{
    const redisReply *reply = reply_of(self);
    if (reply && reply->type == REDIS_REPLY_INTEGER)
        return reply->integer;
    return strtoll(redis_value_text(self), NULL, 10);
}

size_t redis_value_count(const redis_value_t *self)
{
    return self && reply_of(self)->type == REDIS_REPLY_ARRAY ? reply_of(self)->elements : 0;
}

const redis_value_t *redis_value_at(const redis_value_t *self, size_t at)
{
    return at < redis_value_count(self) ? (const redis_value_t *)reply_of(self)->element[at] : NULL;
}
