#include "proto/store/postgres.h"

#include "common/clock.h"

#include <ctype.h>
#include <inttypes.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OLDEST_SERVER 120000 /* PostgreSQL 12 */
#define SPARE_MS 2000        /* the server ends a slow statement first, and says so */
#define TEXT_TYPE 25         /* OIDs of pg_type.dat: text and int8 */
#define NUMBER_TYPE 20
#define COPY_PIECE (1u << 20)

struct postgres {
    postgres_options_t options;
    char *host;
    char *database;
    char *user;
    char *password;
    PGconn *connection; /* NULL: lost */
    char address[320];
};

/* A SQLSTATE, or the two characters of its class, and what it means to a user. */
static const struct {
    const char *state;
    int code;
    const char *advice;
} MEANINGS[] = {
    {"28", ERR_USAGE, "; set postgres_user and postgres_password (or postgres_password_file)"},
    {"3D000", ERR_USAGE, "; create it with deploy/postgres/roles.sql, or set postgres_db"},
    {"42501", ERR_USAGE, "; deploy/postgres/roles.sql gives the rights that are needed"},
    {"08", ERR_UNAVAILABLE, ""},
    {"57014", ERR_UNAVAILABLE, ""},
    {"57", ERR_UNAVAILABLE, "; it is stopping or starting"},
    {"55P03", ERR_UNAVAILABLE, "; another process holds a lock"},
    {"40", ERR_UNAVAILABLE, ""},
    {"25006", ERR_UNAVAILABLE, "; postgres_host must be the primary"},
    {"25P03", ERR_UNAVAILABLE, ""},
    {"53100", ERR_IO, "; free some space on its disk"},
    {"53300", ERR_UNAVAILABLE, "; raise max_connections there"},
    {"53", ERR_IO, ""},
    {"58", ERR_IO, "; look for a full or failing disk"},
    {"XX001", ERR_IO, "; its files are damaged: restore them from a backup"},
    {"XX002", ERR_IO, "; an index is damaged: REINDEX"},
    {"XX", ERR_IO, "; its own log says more"},
    {"23505", ERR_CONFLICT, ""},
    {"22021", ERR_INPUT, ""},
    {"54", ERR_TOO_LARGE, ""},
};

postgres_value_t postgres_text(const char *text)
{
    return (postgres_value_t){.text = text, .length = text ? strlen(text) : 0, .null = !text};
}

postgres_value_t postgres_number(int64_t number) { return (postgres_value_t){.number = number}; }

const char *postgres_address(const postgres_t *self) { return self->address; }

int postgres_connected(const postgres_t *self) { return self->connection != NULL; }

static void disconnect(postgres_t *self)
{
    PQfinish(self->connection);
    self->connection = NULL;
}

void postgres_close(postgres_t **postgres)
{
    postgres_t *self = *postgres;
    if (!self)
        return;
    disconnect(self);
    free(self->host);
    free(self->database);
    free(self->user);
    free(self->password);
    free(self);
    *postgres = NULL;
}

/* ---- errors ---- */

static int meaning(const postgres_t *self, const char *state, const char *text, error_t *error)
{
    int length = (int)strcspn(text, "\n");
    for (size_t i = 0; i < sizeof MEANINGS / sizeof *MEANINGS; i++)
        if (!strncmp(state, MEANINGS[i].state, strlen(MEANINGS[i].state)))
            return error_set(error, MEANINGS[i].code, "PostgreSQL, %s: %.*s%s", self->address,
                             length, text, MEANINGS[i].advice);
    return error_set(error, ERR_INTERNAL, "PostgreSQL, %s: %.*s (SQLSTATE %s)", self->address,
                     length, text, *state ? state : "unknown");
}

static int lost(postgres_t *self, const char *why, error_t *error)
{
    int code = error_set(error, ERR_UNAVAILABLE, "PostgreSQL, %s: the connection was lost: %.*s",
                         self->address, (int)strcspn(why, "\n"), why);
    disconnect(self);
    return code;
}

/* Fails when the result says so. A connection that ended with it is given up. */
static int check(postgres_t *self, const PGresult *result, error_t *error)
{
    ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_COPY_IN ||
        status == PGRES_EMPTY_QUERY)
        return OK;
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
    int ended = severity && (!strcmp(severity, "FATAL") || !strcmp(severity, "PANIC"));
    if (!state || ended || PQstatus(self->connection) == CONNECTION_BAD) {
        const char *why = text ? text : PQerrorMessage(self->connection);
        return lost(self, *why ? why : "the server closed it", error);
    }
    return meaning(self, state, text ? text : "", error);
}

/* ---- connecting ---- */

/* libpq has no field for the SQLSTATE of a refused connection, but its verbose message has it:
 * "FATAL:  28P01: password authentication ...". */
static int refused(const postgres_t *self, const char *message, error_t *error)
{
    for (const char *at = strchr(message, ':'); at; at = strchr(at + 1, ':')) {
        char state[6] = "";
        size_t length = 0;
        if (strncmp(at, ":  ", 3) != 0)
            continue;
        while (length < 5 &&
               (isdigit((unsigned char)at[3 + length]) || isupper((unsigned char)at[3 + length])))
            length++;
        if (length != 5 || at[8] != ':')
            continue;
        memcpy(state, at + 3, 5);
        return meaning(self, state, at + 10, error);
    }
    const char *cause = strrchr(message, ':');
    cause = cause ? cause + 1 + (cause[1] == ' ') : message;
    return error_set(error, ERR_UNAVAILABLE, "PostgreSQL, %s: cannot be reached: %.*s",
                     self->address, (int)strcspn(cause, "\n"), cause);
}

static int64_t after(int64_t ms) { return clock_monotonic_ms() + ms; }

/* 1 when the socket is ready, 0 at the deadline. */
static int wait_for(PGconn *connection, short events, int64_t deadline_ms)
{
    struct pollfd item = {.fd = PQsocket(connection), .events = events};
    int64_t left = deadline_ms - clock_monotonic_ms();
    if (left > 0)
        poll(&item, 1, left < 60000 ? (int)left : 60000); /* a signal: the caller looks again */
    return clock_monotonic_ms() < deadline_ms;
}

static int finish_connecting(postgres_t *self, error_t *error)
{
    int64_t deadline_ms = after(self->options.connect_ms);
    PostgresPollingStatusType status = PGRES_POLLING_WRITING;
    while (status != PGRES_POLLING_OK) {
        short events = status == PGRES_POLLING_READING ? POLLIN : POLLOUT;
        if (!wait_for(self->connection, events, deadline_ms))
            return error_set(error, ERR_UNAVAILABLE,
                             "PostgreSQL, %s: cannot be reached: no answer within %d ms",
                             self->address, self->options.connect_ms);
        status = PQconnectPoll(self->connection);
        if (status == PGRES_POLLING_FAILED)
            return refused(self, PQerrorMessage(self->connection), error);
    }
    return OK;
}

static int check_version(const postgres_t *self, error_t *error)
{
    int version = PQserverVersion(self->connection);
    if (version >= OLDEST_SERVER)
        return OK;
    return error_field(error, ERR_USAGE, "postgres_host",
                       "PostgreSQL, %s is version %d; %d or later is needed", self->address,
                       version / 10000, OLDEST_SERVER / 10000);
}

/* A daemon's standard error is no place for the server's remarks. */
static void ignore_notice(void *context, const char *message)
{
    (void)context;
    (void)message;
}

int postgres_reconnect(postgres_t *self, error_t *error)
{
    char port[16];
    char settings[256];
    snprintf(port, sizeof port, "%u", (unsigned)self->options.port);
    snprintf(settings, sizeof settings,
             "-c statement_timeout=%d -c lock_timeout=10000 -c client_min_messages=warning"
             " -c default_transaction_read_only=%s -c synchronous_commit=on",
             self->options.statement_ms, self->options.read_only ? "on" : "off");
    const char *const names[] = {"host",
                                 "port",
                                 "dbname",
                                 "user",
                                 "password",
                                 "application_name",
                                 "options",
                                 "client_encoding",
                                 "keepalives_idle",
                                 "tcp_user_timeout",
                                 NULL};
    const char *const values[] = {self->host, port,     self->database, self->user, self->password,
                                  "stage4",   settings, "UTF8",         "10",       "20000",
                                  NULL};
    disconnect(self);
    self->connection = PQconnectStartParams(names, values, 0);
    if (!self->connection)
        return error_set(error, ERR_MEMORY, "no memory for a connection to PostgreSQL");
    PQsetErrorVerbosity(self->connection, PQERRORS_VERBOSE);
    PQsetNoticeProcessor(self->connection, ignore_notice, NULL);
    int code = PQstatus(self->connection) == CONNECTION_BAD
                   ? refused(self, PQerrorMessage(self->connection), error)
                   : finish_connecting(self, error);
    if (code == OK)
        code = check_version(self, error);
    if (code == OK && PQsetnonblocking(self->connection, 1))
        code = error_set(error, ERR_MEMORY, "no memory for a connection to PostgreSQL");
    if (code != OK)
        disconnect(self);
    return code;
}

int postgres_open(const postgres_options_t *options, postgres_t **out, error_t *error)
{
    postgres_t *self = calloc(1, sizeof *self);
    *out = NULL;
    if (!self)
        return error_set(error, ERR_MEMORY, "no memory for a connection to PostgreSQL");
    self->options = *options;
    if (!self->options.connect_ms)
        self->options.connect_ms = POSTGRES_CONNECT_MS;
    self->host = strdup(options->host);
    self->database = strdup(options->database);
    self->user = strdup(options->user);
    self->password = strdup(options->password ? options->password : "");
    snprintf(self->address, sizeof self->address, "%s at %s:%u", options->database, options->host,
             (unsigned)options->port);
    int code = self->host && self->database && self->user && self->password
                   ? postgres_reconnect(self, error)
                   : error_set(error, ERR_MEMORY, "no memory for a connection to PostgreSQL");
    if (code != OK)
        postgres_close(&self);
    *out = self;
    return code;
}

/* ---- statements ---- */

static int64_t deadline_of(const postgres_t *self)
{
    return after((int64_t)self->options.statement_ms + SPARE_MS);
}

static int too_slow(postgres_t *self, error_t *error)
{
    return lost(self, "no answer in time", error);
}

/* Sends what libpq holds back; it reads meanwhile, lest both sides wait for each other. */
static int flush(postgres_t *self, int64_t deadline_ms, error_t *error)
{
    int left;
    while ((left = PQflush(self->connection)) > 0) {
        if (!wait_for(self->connection, POLLIN | POLLOUT, deadline_ms))
            return too_slow(self, error);
        if (!PQconsumeInput(self->connection))
            break;
    }
    return left ? lost(self, PQerrorMessage(self->connection), error) : OK;
}

/* The next result; *out is NULL after the last. */
static int next_result(postgres_t *self, int64_t deadline_ms, PGresult **out, error_t *error)
{
    *out = NULL;
    while (PQisBusy(self->connection)) {
        if (!wait_for(self->connection, POLLIN, deadline_ms))
            return too_slow(self, error);
        if (!PQconsumeInput(self->connection) && PQstatus(self->connection) == CONNECTION_BAD &&
            PQisBusy(self->connection))
            return lost(self, PQerrorMessage(self->connection), error);
    }
    *out = PQgetResult(self->connection);
    return OK;
}

/* Takes all results; the first failure counts. *rows gets the last good one, or the one that
 * starts a COPY, after which no more are asked for. */
static int take_results(postgres_t *self, PGresult **rows, error_t *error)
{
    int64_t deadline_ms = deadline_of(self);
    PGresult *result = NULL;
    int failure = OK;
    int code = flush(self, deadline_ms, error);
    while (code == OK && (code = next_result(self, deadline_ms, &result, error)) == OK && result) {
        int copying = PQresultStatus(result) == PGRES_COPY_IN;
        if (failure == OK)
            failure = check(self, result, error);
        if (rows && failure == OK) {
            PQclear(*rows);
            *rows = result;
        } else {
            PQclear(result);
        }
        if (!self->connection || copying)
            break;
    }
    return failure != OK ? failure : code;
}

static int not_sent(postgres_t *self, error_t *error)
{
    return lost(self, PQerrorMessage(self->connection), error);
}

static int no_connection(const postgres_t *self, error_t *error)
{
    return error_set(error, ERR_UNAVAILABLE, "PostgreSQL, %s: the connection was lost",
                     self->address);
}

int postgres_execute(postgres_t *self, const char *sql, error_t *error)
{
    if (!self->connection)
        return no_connection(self, error);
    if (!PQsendQuery(self->connection, sql))
        return not_sent(self, error);
    return take_results(self, NULL, error);
}

int postgres_query(postgres_t *self, const char *sql, const postgres_value_t *values, size_t count,
                   postgres_rows_t **rows, error_t *error)
{
    Oid types[POSTGRES_VALUES];
    const char *texts[POSTGRES_VALUES];
    int lengths[POSTGRES_VALUES];
    int formats[POSTGRES_VALUES];
    char digits[POSTGRES_VALUES][24];
    PGresult *result = NULL;
    if (rows)
        *rows = NULL;
    if (!self->connection)
        return no_connection(self, error);
    if (count > POSTGRES_VALUES)
        return error_set(error, ERR_INTERNAL, "a statement of %zu values", count);
    for (size_t i = 0; i < count; i++) {
        int is_text = values[i].text != NULL;
        snprintf(digits[i], sizeof digits[i], "%" PRId64, values[i].number);
        types[i] = values[i].null ? 0 : is_text ? TEXT_TYPE : NUMBER_TYPE; /* 0: the server knows */
        texts[i] = values[i].null ? NULL : is_text ? values[i].text : digits[i];
        lengths[i] = (int)values[i].length;
        formats[i] = is_text; /* of a text, the binary format is its bytes */
    }
    if (!PQsendQueryParams(self->connection, sql, (int)count, types, texts, lengths, formats, 0))
        return not_sent(self, error);
    int code = take_results(self, &result, error);
    if (rows && code == OK)
        *rows = (postgres_rows_t *)result;
    else
        PQclear(result);
    return code;
}

static int send_piece(postgres_t *self, const char *bytes, size_t length, int64_t deadline_ms,
                      error_t *error)
{
    int sent;
    while ((sent = PQputCopyData(self->connection, bytes, (int)length)) == 0) {
        int code = flush(self, deadline_ms, error);
        if (code != OK)
            return code;
    }
    if (sent < 0)
        return not_sent(self, error);
    return flush(self, deadline_ms, error);
}

int postgres_copy(postgres_t *self, const char *sql, const void *bytes, size_t length,
                  error_t *error)
{
    const char *at = bytes;
    PGresult *started = NULL;
    if (!self->connection)
        return no_connection(self, error);
    if (!PQsendQuery(self->connection, sql))
        return not_sent(self, error);
    int code = take_results(self, &started, error);
    if (code == OK && PQresultStatus(started) != PGRES_COPY_IN)
        code = error_set(error, ERR_INTERNAL, "PostgreSQL, %s: no COPY was begun", self->address);
    PQclear(started);
    int64_t deadline_ms = deadline_of(self);
    while (code == OK && length) {
        size_t piece = length < COPY_PIECE ? length : COPY_PIECE;
        code = send_piece(self, at, piece, deadline_ms, error);
        at += piece;
        length -= piece;
    }
    if (code != OK)
        return code;
    if (PQputCopyEnd(self->connection, NULL) < 0)
        return not_sent(self, error);
    return take_results(self, NULL, error);
}

/* ---- rows ---- */

static const PGresult *result_of(const postgres_rows_t *rows) { return (const PGresult *)rows; }

void postgres_rows_destroy(postgres_rows_t **self)
{
    PQclear((PGresult *)*self);
    *self = NULL;
}

size_t postgres_rows_count(const postgres_rows_t *self)
{
    return self ? (size_t)PQntuples(result_of(self)) : 0;
}

const char *postgres_rows_text(const postgres_rows_t *self, size_t row, int column)
{
    return PQgetvalue(result_of(self), (int)row, column);
}

int64_t postgres_rows_number(const postgres_rows_t *self, size_t row, int column)
{
    return strtoll(postgres_rows_text(self, row, column), NULL, 10);
}

int postgres_rows_is_null(const postgres_rows_t *self, size_t row, int column)
{
    return PQgetisnull(result_of(self), (int)row, column);
}
