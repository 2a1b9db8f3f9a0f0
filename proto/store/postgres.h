/* postgres.h - one connection to a PostgreSQL server; the only files that know libpq are this pair.
 *
 * Every wait is bounded on both sides: the server's own statement_timeout, and a deadline here for
 * a server that does not answer at all. What comes from outside travels as a parameter, never as
 * SQL. A lost connection is ERR_UNAVAILABLE and ends the transaction; postgres_connected() says
 * so, and postgres_reconnect() makes a new one.
 *
 * SQLSTATEs become ours, with the address and what to do: ERR_UNAVAILABLE for a server that is
 * away, starting, too busy or too slow, ERR_USAGE for a refused user, password or right, ERR_IO for
 * a full disk, ERR_CONFLICT for a violated key. No message holds the password.
 *
 * A handle is used by one thread at a time. */
#ifndef STAGE4_PROTO_STORE_POSTGRES_H
#define STAGE4_PROTO_STORE_POSTGRES_H

#include "common/error.h"

#include <stddef.h>
#include <stdint.h>

#define POSTGRES_CONNECT_MS 3000

typedef struct postgres postgres_t;
typedef struct postgres_rows postgres_rows_t;

typedef struct {
    const char *host;
    uint16_t port;
    const char *database;
    const char *user;
    const char *password; /* NULL or "": none */
    int read_only;        /* 1: the server refuses to write on this connection */
    int connect_ms;       /* 0: POSTGRES_CONNECT_MS */
    int statement_ms;     /* a statement that takes longer is ended */
} postgres_options_t;

/* A parameter: a text of any bytes, or (text NULL) a number, or (null) nothing. */
typedef struct {
    const char *text;
    size_t length;
    int64_t number;
    int null;
} postgres_value_t;

postgres_value_t postgres_text(const char *text); /* NULL: nothing */
postgres_value_t postgres_number(int64_t number);

/* Copies the options and connects. */
int postgres_open(const postgres_options_t *options, postgres_t **out, error_t *error);
void postgres_close(postgres_t **self);
const char *postgres_address(const postgres_t *self); /* "stage4_clustering at postgres:5432" */
int postgres_connected(const postgres_t *self);       /* 0: the connection is lost */
int postgres_reconnect(postgres_t *self, error_t *error);

/* Constant SQL, several statements separated by ';'. */
int postgres_execute(postgres_t *self, const char *sql, error_t *error);

#define POSTGRES_VALUES 64

/* One statement with its values as $1 ... *rows (may be NULL) is the caller's. */
int postgres_query(postgres_t *self, const char *sql, const postgres_value_t *values, size_t count,
                   postgres_rows_t **rows, error_t *error);

/* Sends a whole COPY ... FROM STDIN (FORMAT binary); `bytes` are as in copy_rows.h. */
int postgres_copy(postgres_t *self, const char *sql, const void *bytes, size_t length,
                  error_t *error);

void postgres_rows_destroy(postgres_rows_t **self);
size_t postgres_rows_count(const postgres_rows_t *self);
const char *postgres_rows_text(const postgres_rows_t *self, size_t row,
                               int column); /* never NULL */
int64_t postgres_rows_number(const postgres_rows_t *self, size_t row, int column);
int postgres_rows_is_null(const postgres_rows_t *self, size_t row, int column);

#endif
