#include "coordinator/store/durable.h"
#include "coordinator/store/ledger_redis.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define LAYOUT 2 /* of the keys; the hash `ledger` has it as `version` */

/* ---- is it durable? ---- */

/* The value of one "name:value" line of INFO; "" when there is no such line. */
static void info_field(const char *info, const char *name, char *out, size_t size)
{
    size_t length = strlen(name);
    *out = 0;
    for (const char *line = info; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, length) != 0 || line[length] != ':')
            continue;
        snprintf(out, size, "%.*s", (int)strcspn(line + length + 1, "\r\n"), line + length + 1);
        return;
    }
}

static int refuse_volatile(const ledger_redis_t *self, redis_t *redis, const char *why,
                           const char *what_to_do, error_t *error)
{
    if (self->allow_volatile)
        return OK;
    return error_field(error, ERR_USAGE, "redis_host",
                       "Redis at %s would lose the ledger: %s. %s, or take another Redis; "
                       "redis_allow_volatile accepts the loss",
                       redis_address(redis), why, what_to_do);
}

static int check_info(const ledger_redis_t *self, redis_t *redis, const char *info, error_t *error)
{
    char version[32];
    char role[32];
    char append[8];
    char memory[32];
    char policy[32];
    info_field(info, "redis_version", version, sizeof version);
    info_field(info, "role", role, sizeof role);
    info_field(info, "aof_enabled", append, sizeof append);
    info_field(info, "maxmemory", memory, sizeof memory);
    info_field(info, "maxmemory_policy", policy, sizeof policy);
    if (strtol(version, NULL, 10) < 5)
        return error_field(error, ERR_USAGE, "redis_host",
                           "Redis at %s is version \"%s\"; 5 or later is needed",
                           redis_address(redis), version);
    if (strcmp(role, "master") != 0)
        return error_field(error, ERR_UNAVAILABLE, "redis_host",
                           "Redis at %s is a replica; redis_host must be the primary",
                           redis_address(redis));
    if (strcmp(append, "1") != 0)
        return refuse_volatile(self, redis, "it has appendonly no, and forgets when it ends",
                               "Set appendonly yes and appendfsync always there", error);
    if (strcmp(memory, "0") != 0 && !strncmp(policy, "allkeys", 7))
        return refuse_volatile(self, redis, "its maxmemory-policy may throw any key away",
                               "Set maxmemory-policy noeviction there", error);
    return OK;
}

/* What an acknowledged save is worth on this server. */
static void look_at_fsync(ledger_redis_t *self, redis_t *redis)
{
    redis_text_t words[] = {redis_text("CONFIG"), redis_text("GET"), redis_text("appendfsync")};
    redis_value_t *answer = NULL;
    self->warning = (error_t)ERROR_INIT;
    int code = redis_call(redis, words, 3, &answer, NULL);
    const char *value = redis_value_text(redis_value_at(answer, 1));
    if (code != OK || !*value)
        error_set(&self->warning, OK,
                  "Redis at %s does not say its appendfsync; unless it is always, a power cut can "
                  "lose the last second of the ledger",
                  redis_address(redis));
    else if (strcmp(value, "always") != 0)
        error_set(&self->warning, OK,
                  "Redis at %s has appendfsync %s: a crash of its machine can lose the last second "
                  "of the ledger; set appendfsync always",
                  redis_address(redis), value);
    redis_value_destroy(&answer);
}

static int check_durable(ledger_redis_t *self, redis_t *redis, error_t *error)
{
    redis_text_t words[] = {redis_text("INFO")};
    redis_value_t *info = NULL;
    int code = redis_call(redis, words, 1, &info, error);
    if (code == OK)
        code = check_info(self, redis, redis_value_text(info), error);
    redis_value_destroy(&info);
    if (code == OK)
        look_at_fsync(self, redis);
    return code;
}

/* ---- is it ours? ---- */

int ledger_redis_gone(const ledger_redis_t *self, error_t *error)
{
    return error_field(error, ERR_CONFLICT, "redis_host",
                       "Redis at %s is not the one this ledger was in: it came back empty, or is "
                       "another. Restore its append-only file; to give the jobs up and start anew, "
                       "stop the coordinator%s%s",
                       redis_address(self->redis), self->memory_path ? " and remove " : "",
                       self->memory_path ? self->memory_path : "");
}

static int read_memory(const ledger_redis_t *self, char out[LEDGER_GENERATION_SIZE], error_t *error)
{
    *out = 0;
    if (!self->memory_path)
        return OK;
    int file = open(self->memory_path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return errno == ENOENT ? OK : durable_error(error, "read", self->memory_path);
    ssize_t length = read(file, out, LEDGER_GENERATION_SIZE - 1);
    close(file);
    if (length < 0)
        return durable_error(error, "read", self->memory_path);
    out[length] = 0;
    if (strspn(out, "0123456789abcdef") != LEDGER_GENERATION_SIZE - 1)
        return error_set(error, ERR_IO,
                         "%s is damaged: it must be the 32 hex digits that Redis has as "
                         "generation in %s",
                         self->memory_path, self->meta_key);
    return OK;
}

static int write_memory(const ledger_redis_t *self, error_t *error)
{
    char temporary[4096 + 8];
    char folder[4096];
    if (!self->memory_path)
        return OK;
    if (strlen(self->memory_path) >= sizeof folder)
        return error_set(error, ERR_USAGE, "the name of the state folder is too long");
    snprintf(temporary, sizeof temporary, "%s.tmp", self->memory_path);
    snprintf(folder, sizeof folder, "%s", self->memory_path);
    char *slash = strrchr(folder, '/');
    if (slash)
        *slash = 0;
    int file = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (file < 0)
        return durable_error(error, "create", temporary);
    int code = durable_write(file, self->generation, strlen(self->generation), temporary, error);
    if (code == OK)
        return durable_publish(file, temporary, self->memory_path, slash ? folder : ".", error);
    close(file);
    unlink(temporary);
    return code;
}

static int new_name(char out[LEDGER_GENERATION_SIZE], error_t *error)
{
    unsigned char bytes[(LEDGER_GENERATION_SIZE - 1) / 2];
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
        return error_set(error, ERR_INTERNAL, "the system gives no random numbers");
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
    return OK;
}

static int ask(const ledger_redis_t *self, redis_t *redis, const char *verb, const char *field,
               const char *value, redis_value_t **out, error_t *error)
{
    redis_text_t words[] = {redis_text(verb), redis_text(self->meta_key), redis_text(field),
                            redis_text(value ? value : "")};
    return redis_call(redis, words, value ? 4 : 3, out, error);
}

/* The generation of the server; "" when it has none. */
static int server_generation(const ledger_redis_t *self, redis_t *redis,
                             char out[LEDGER_GENERATION_SIZE], error_t *error)
{
    redis_value_t *answer = NULL;
    int code = ask(self, redis, "HGET", "generation", NULL, &answer, error);
    snprintf(out, LEDGER_GENERATION_SIZE, "%s", redis_value_text(answer));
    redis_value_destroy(&answer);
    return code;
}

/* Whoever writes first names it: both of two see the same name afterwards. */
static int name_server(ledger_redis_t *self, redis_t *redis, error_t *error)
{
    char name[LEDGER_GENERATION_SIZE];
    char layout[16];
    int code = new_name(name, error);
    snprintf(layout, sizeof layout, "%d", LAYOUT);
    if (code == OK)
        code = ask(self, redis, "HSETNX", "version", layout, NULL, error);
    if (code == OK)
        code = ask(self, redis, "HSETNX", "generation", name, NULL, error);
    return code == OK ? server_generation(self, redis, self->generation, error) : code;
}

static int check_layout(const ledger_redis_t *self, redis_t *redis, error_t *error)
{
    redis_value_t *answer = NULL;
    int code = ask(self, redis, "HGET", "version", NULL, &answer, error);
    if (code == OK && redis_value_number(answer) > LAYOUT)
        code = error_set(error, ERR_CONFLICT,
                         "Redis at %s: its ledger has version %s, this program knows up to %d; use "
                         "the newer program",
                         redis_address(redis), redis_value_text(answer), LAYOUT);
    redis_value_destroy(&answer);
    return code;
}

/* The first connection of this handle: the file of the state folder says what to expect. */
static int meet(ledger_redis_t *self, redis_t *redis, const char *there, error_t *error)
{
    char remembered[LEDGER_GENERATION_SIZE];
    int code = read_memory(self, remembered, error);
    if (code != OK)
        return code;
    if (*remembered && strcmp(remembered, there) != 0)
        return ledger_redis_gone(self, error);
    snprintf(self->generation, sizeof self->generation, "%s", there);
    if (!*there)
        code = name_server(self, redis, error);
    if (code == OK && !*remembered)
        code = write_memory(self, error);
    if (code != OK)
        *self->generation = 0; /* so that the next connection meets it again */
    return code;
}

int ledger_redis_greet(void *context, redis_t *redis, error_t *error)
{
    ledger_redis_t *self = context;
    char there[LEDGER_GENERATION_SIZE];
    int code = check_durable(self, redis, error);
    if (code == OK)
        code = check_layout(self, redis, error);
    if (code == OK)
        code = server_generation(self, redis, there, error);
    if (code != OK)
        return code;
    if (*self->generation)
        return strcmp(self->generation, there) ? ledger_redis_gone(self, error) : OK;
    return meet(self, redis, there, error);
}
