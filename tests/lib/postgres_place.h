/* postgres_place.h - databases for the result store's tests, in one PostgreSQL server a program. */
#ifndef STAGE4_TESTS_LIB_POSTGRES_PLACE_H
#define STAGE4_TESTS_LIB_POSTGRES_PLACE_H

#include "lib/result_suite.h"
#include "lib/server.h"

#include "proto/store/postgres.h"

static test_server_t server; /* one for the program; a place is a database in it */
static unsigned place_count;

#define WRITER_PASSWORD "a writer's \"secret\""
#define READER_PASSWORD "reader's"

typedef struct {
    char database[64];
    uint16_t port;
} place_t;

/* As an administrator would: roles.sql, run by psql. */
static inline int run_roles(uint16_t port, const char *database)
{
    char command[256];
    char port_text[16];
    snprintf(port_text, sizeof port_text, "%u", (unsigned)port);
    setenv("PGPASSWORD", POSTGRES_ADMIN_PASSWORD, 1);
    setenv("POSTGRES_DB", database, 1);
    setenv("STAGE4_POSTGRES_PASSWORD", WRITER_PASSWORD, 1);
    setenv("STAGE4_POSTGRES_READER_PASSWORD", READER_PASSWORD, 1);
    snprintf(command, sizeof command,
             "psql -X -q -v ON_ERROR_STOP=1 -h 127.0.0.1 -p %s -U postgres -d postgres"
             " -f " TEST_DATA "/../../deploy/postgres/roles.sql >/dev/null",
             port_text);
    int status = system(command);
    unsetenv("PGPASSWORD");
    return status == 0;
}

static inline place_t *place_named(uint16_t port, const char *database)
{
    place_t *self = calloc(1, sizeof *self);
    snprintf(self->database, sizeof self->database, "%s", database);
    self->port = port;
    return self;
}

/* A new database as roles.sql leaves it. */
static inline place_t *place_on(uint16_t port)
{
    char name[64];
    snprintf(name, sizeof name, "stage4 \"%u\"", ++place_count);
    assert_true(run_roles(port, name));
    return place_named(port, name);
}

static inline void tell(const place_t *place, const char *sql);

/* A copy of the first one, which is quicker than making another. */
static inline void *place_new(void)
{
    char sql[128];
    char name[64];
    if (!place_count)
        return place_on(server.port);
    place_t *admin = place_named(server.port, "postgres");
    snprintf(name, sizeof name, "copy_%u", ++place_count);
    snprintf(sql, sizeof sql, "CREATE DATABASE %s TEMPLATE \"stage4 \"\"1\"\"\"", name);
    tell(admin, sql);
    free(admin);
    return place_named(server.port, name);
}

static inline void place_destroy(void *place) { free(place); }

static inline result_postgres_options_t options_of(const place_t *place, int read_only)
{
    return (result_postgres_options_t){.host = "127.0.0.1",
                                       .port = place->port,
                                       .database = place->database,
                                       .user = read_only ? "stage4_reader" : "stage4_user",
                                       .password = read_only ? READER_PASSWORD : WRITER_PASSWORD};
}

static inline int open_store(void *place, int read_only, result_store_t **out, error_t *error)
{
    result_postgres_options_t options = options_of(place, read_only);
    return result_store_open_postgres(&options, read_only, out, error);
}

/* A connection of the administrator's, to look and to disturb. */
static inline postgres_t *administrator(const place_t *place)
{
    postgres_options_t options = {.host = "127.0.0.1",
                                  .port = place->port,
                                  .database = place->database,
                                  .user = POSTGRES_ADMIN,
                                  .password = POSTGRES_ADMIN_PASSWORD,
                                  .statement_ms = 10000};
    postgres_t *database = NULL;
    assert_int_equal(postgres_open(&options, &database, NULL), OK);
    return database;
}

static inline int64_t ask_number(const place_t *place, const char *sql)
{
    postgres_t *database = administrator(place);
    postgres_rows_t *rows = NULL;
    assert_int_equal(postgres_query(database, sql, NULL, 0, &rows, NULL), OK);
    int64_t number = postgres_rows_count(rows) ? postgres_rows_number(rows, 0, 0) : -1;
    postgres_rows_destroy(&rows);
    postgres_close(&database);
    return number;
}

static inline void tell(const place_t *place, const char *sql)
{
    postgres_t *database = administrator(place);
    error_t error = ERROR_INIT;
    if (postgres_execute(database, sql, &error) != OK)
        fail_msg("%s", error.message);
    postgres_close(&database);
}

/* Starts the server, runs `tests`, which may be none, and ends it; what main() returns. */
static inline int with_server(int (*tests)(result_factory_t *factory))
{
    result_factory_t factory = {place_new, place_destroy, open_store};
    signal(SIGPIPE, SIG_IGN);
    if (!postgres_installed()) {
        puts("skipped: /usr/lib/postgresql/*/bin/postgres is not there; run deploy/setup.sh");
        return 0;
    }
    if (!postgres_new_server(&server, NULL, 0))
        return 1;
    free(place_new()); /* made by roles.sql: what all the others are copies of */
    int failed = tests(&factory);
    server_destroy(&server);
    return failed;
}

#endif
