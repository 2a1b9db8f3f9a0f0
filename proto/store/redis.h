/* redis.h - one connection to a Redis server; the only files that know hiredis are this pair.
 *
 * A connection is made when it is first needed and made again after it was lost. Everything is
 * bounded in time. A command whose answer was lost is sent once more over a new connection: so only
 * what may happen twice may be sent (every command of the ledger and of the cache may). After a
 * connection could not be made, further calls fail at once for REDIS_PAUSE_MS.
 *
 * A server that hangs holds its caller up for REDIS_COMMAND_MS once; from then on it has only
 * REDIS_PROBE_MS to greet us, every REDIS_PAUSE_MS, until it does. The coordinator's callers are
 * threads beside its event loop, a gateway's is a request that can do without its cache.
 *
 * Redis' errors become ours: ERR_UNAVAILABLE for a server that is away, loading, busy or a replica,
 * ERR_IO for one that cannot write, ERR_USAGE for a refused password or database, with the address
 * and what to do. No message holds the password.
 *
 * A handle is used by one thread at a time. The process ignores SIGPIPE (common/net/stop_signal.h
 * sees to it in the daemons): hiredis writes to sockets that may be gone. */
#ifndef STAGE4_PROTO_STORE_REDIS_H
#define STAGE4_PROTO_STORE_REDIS_H

#include "common/error.h"

#include <stddef.h>
#include <stdint.h>

#define REDIS_CONNECT_MS 500
#define REDIS_COMMAND_MS 700
#define REDIS_PROBE_MS 250
#define REDIS_PAUSE_MS 500
#define REDIS_LOAD_MS 10000 /* for those who read all of it, before anybody waits for them */

typedef struct redis redis_t;
typedef struct redis_value redis_value_t; /* an answer: text, number, nothing, or a list of them */

/* An argument of a command: bytes, of any value. */
typedef struct {
    const char *bytes;
    size_t length;
} redis_text_t;

typedef struct {
    const char *host;
    uint16_t port;
    int db;
    const char *password; /* NULL or "": none */
    int connect_ms;       /* 0: REDIS_CONNECT_MS */
    int command_ms;       /* 0: REDIS_COMMAND_MS. Whoever answers later than that may have done it:
                             what is saved again is the same */
    /* Called over each new connection before anything else is sent; not OK: the connection is
     * given up and the call fails with that code. NULL: nobody asks. */
    int (*greet)(void *context, redis_t *self, error_t *error);
    void *context;
} redis_options_t;

redis_text_t redis_text(const char *text); /* without its NUL */

/* Copies the options; connects at the first call. */
int redis_new(const redis_options_t *options, redis_t **out, error_t *error);
void redis_destroy(redis_t **self);
/* How long a command may take from now on. Returns what it was. */
int redis_set_command_ms(redis_t *self, int command_ms);
const char *redis_address(const redis_t *self); /* "127.0.0.1:6379, database 6": for messages */

/* One command. *out (may be NULL) is the caller's. */
int redis_call(redis_t *self, const redis_text_t *arguments, size_t count, redis_value_t **out,
               error_t *error);

/* A Lua script, sent whole once a server and by its hash from then on. */
typedef struct {
    const char *text;
    char sha[41]; /* "" until it was sent */
} redis_script_t;

#define REDIS_SCRIPT_ARGUMENTS 24

/* Runs it with one key and at most REDIS_SCRIPT_ARGUMENTS arguments. */
int redis_run(redis_t *self, redis_script_t *script, const char *key, const redis_text_t *arguments,
              size_t count, redis_value_t **out, error_t *error);

typedef struct {
    redis_script_t *script;
    const char *key;
    const redis_text_t *arguments;
    size_t count;
    redis_value_t *answer; /* the caller's */
    error_t error;
} redis_run_t;

/* Several, in order, sent before the first answer is read. Each has its own outcome. */
void redis_run_all(redis_t *self, redis_run_t *runs, size_t count);

/* Reading an answer. Parts live as long as the whole; what is not there reads as empty or 0. */
void redis_value_destroy(redis_value_t **self);
int redis_value_is_nothing(const redis_value_t *self);
const char *redis_value_text(const redis_value_t *self); /* never NULL, ends with a NUL */
size_t redis_value_length(const redis_value_t *self);    /* of the text, which may hold NULs */
int64_t redis_value_number(const redis_value_t *self);   /* also of a text of digits */
size_t redis_value_count(const redis_value_t *self);     /* parts of a list */
const redis_value_t *redis_value_at(const redis_value_t *self, size_t at);

#endif
