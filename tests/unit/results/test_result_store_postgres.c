#include "lib/proxy.h"
#include "lib/result_suite.h"
#include "lib/server.h"

#include "proto/store/postgres.h"

#include <sys/mount.h>

static test_server_t server; /* one for the program; a place is a database in it */
static unsigned place_count;

#define WRITER_PASSWORD "a writer's \"secret\""
#define READER_PASSWORD "reader's"

typedef struct {
    char database[64];
    uint16_t port;
} place_t;

/* As an administrator would: roles.sql, run by psql. */
static int run_roles(uint16_t port, const char *database)
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

static place_t *place_named(uint16_t port, const char *database)
{
    place_t *self = calloc(1, sizeof *self);
    snprintf(self->database, sizeof self->database, "%s", database);
    self->port = port;
    return self;
}

/* A new database as roles.sql leaves it. */
static place_t *place_on(uint16_t port)
{
    char name[64];
    snprintf(name, sizeof name, "stage4 \"%u\"", ++place_count);
    assert_true(run_roles(port, name));
    return place_named(port, name);
}

static void tell(const place_t *place, const char *sql);

/* A copy of the first one, which is quicker than making another. */
static void *place_new(void)
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

static void place_destroy(void *place) { free(place); }

static result_postgres_options_t options_of(const place_t *place, int read_only)
{
    return (result_postgres_options_t){.host = "127.0.0.1",
                                       .port = place->port,
                                       .database = place->database,
                                       .user = read_only ? "stage4_reader" : "stage4_user",
                                       .password = read_only ? READER_PASSWORD : WRITER_PASSWORD};
}

static int open_store(void *place, int read_only, result_store_t **out, error_t *error)
{
    result_postgres_options_t options = options_of(place, read_only);
    return result_store_open_postgres(&options, read_only, out, error);
}

/* A connection of the administrator's, to look and to disturb. */
static postgres_t *administrator(const place_t *place)
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

static int64_t ask_number(const place_t *place, const char *sql)
{
    postgres_t *database = administrator(place);
    postgres_rows_t *rows = NULL;
    assert_int_equal(postgres_query(database, sql, NULL, 0, &rows, NULL), OK);
    int64_t number = postgres_rows_count(rows) ? postgres_rows_number(rows, 0, 0) : -1;
    postgres_rows_destroy(&rows);
    postgres_close(&database);
    return number;
}

static void tell(const place_t *place, const char *sql)
{
    postgres_t *database = administrator(place);
    error_t error = ERROR_INIT;
    if (postgres_execute(database, sql, &error) != OK)
        fail_msg("%s", error.message);
    postgres_close(&database);
}

/* ---- who may be the store ---- */

static void expect_refused(const result_postgres_options_t *options, int read_only, int code,
                           const char *words)
{
    result_store_t *store = NULL;
    error_t error = ERROR_INIT;
    int given = result_store_open_postgres(options, read_only, &store, &error);
    assert_null(store);
    if (given != code || !strstr(error.message, words))
        fail_msg("%s: \"%s\" instead of %s with \"%s\"", error_name(given), error.message,
                 error_name(code), words);
    assert_null(strstr(error.message, WRITER_PASSWORD));
    assert_null(strstr(error.message, "a wrong secret"));
}

static void a_misconfigured_server_is_refused_by_name(void **state)
{
    (void)state;
    place_t *place = place_new();
    result_postgres_options_t options = options_of(place, 0);
    options.password = "a wrong secret";
    expect_refused(&options, 0, ERR_USAGE, "postgres_password");
    options.password = WRITER_PASSWORD;
    options.user = "nobody_of_that_name";
    expect_refused(&options, 0, ERR_USAGE, "postgres_user");
    options.user = "stage4_user";
    options.database = "none";
    expect_refused(&options, 0, ERR_USAGE, "roles.sql");
    options.database = place->database;
    options.port = server_free_port();
    expect_refused(&options, 0, ERR_UNAVAILABLE, "cannot be reached");
    options.host = "no-such-host.invalid";
    expect_refused(&options, 0, ERR_UNAVAILABLE, "no-such-host.invalid");
    place_destroy(place);
}

static void a_reader_before_the_first_writer_is_told_to_wait(void **state)
{
    (void)state;
    place_t *place = place_new();
    result_postgres_options_t options = options_of(place, 1);
    result_store_t *store = NULL;
    expect_refused(&options, 1, ERR_UNAVAILABLE, "the coordinator creates them");
    assert_int_equal(open_store(place, 0, &store, NULL), OK);
    store->verbs->close(&store);
    assert_int_equal(open_store(place, 1, &store, NULL), OK);
    store->verbs->close(&store);
    place_destroy(place);
}

static void tables_of_a_newer_program_are_left_alone(void **state)
{
    (void)state;
    place_t *place = place_new();
    result_store_t *store = NULL;
    assert_int_equal(open_store(place, 0, &store, NULL), OK);
    store->verbs->close(&store);
    tell(place, "UPDATE schema_version SET version = 99");
    for (int read_only = 0; read_only < 2; read_only++) {
        result_postgres_options_t options = options_of(place, read_only);
        expect_refused(&options, read_only, ERR_CONFLICT, "version 99");
    }
    place_destroy(place);
}

static void writers_that_start_at_once_make_the_tables_once(void **state)
{
    (void)state;
    place_t *place = place_new();
    pid_t writers[6];
    for (size_t i = 0; i < 6; i++) {
        writers[i] = fork();
        if (writers[i] == 0) {
            result_store_t *store = NULL;
            error_t error = ERROR_INIT;
            int code = open_store(place, 0, &store, &error);
            if (code != OK)
                fprintf(stderr, "%s\n", error.message);
            _exit(code == OK ? 0 : 1);
        }
    }
    for (size_t i = 0; i < 6; i++) {
        int status = -1;
        waitpid(writers[i], &status, 0);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
    assert_int_equal(ask_number(place, "SELECT count(*) FROM schema_version"), 1);
    place_destroy(place);
}

/* What the roles may not do, each tried on the server itself. */
static void the_roles_may_do_no_more_than_they_need(void **state)
{
    (void)state;
    static const struct {
        const char *user;
        const char *password;
        const char *sql;
    } FORBIDDEN[] = {
        {"stage4_reader", READER_PASSWORD, "DELETE FROM result_job"},
        {"stage4_reader", READER_PASSWORD, "SELECT nextval('result_writing')"},
        {"stage4_reader", READER_PASSWORD, "CREATE TABLE mine(a int)"},
        {"stage4_reader", READER_PASSWORD, "CREATE TEMP TABLE mine(a int)"},
        {"stage4_user", WRITER_PASSWORD, "CREATE ROLE mine"},
        {"stage4_user", WRITER_PASSWORD, "CREATE DATABASE mine"},
        {"stage4_user", WRITER_PASSWORD, "CREATE SCHEMA mine"},
        {"stage4_user", WRITER_PASSWORD, "COPY result_job TO PROGRAM 'true'"},
        {"stage4_user", WRITER_PASSWORD, "SELECT pg_read_file('postgresql.conf')"},
    };
    place_t *place = place_on(server.port);
    result_store_t *store = NULL;
    assert_int_equal(open_store(place, 0, &store, NULL), OK);
    store->verbs->close(&store);
    for (size_t i = 0; i < sizeof FORBIDDEN / sizeof *FORBIDDEN; i++) {
        postgres_options_t options = {.host = "127.0.0.1",
                                      .port = place->port,
                                      .database = place->database,
                                      .user = FORBIDDEN[i].user,
                                      .password = FORBIDDEN[i].password,
                                      .statement_ms = 10000};
        postgres_t *database = NULL;
        error_t error = ERROR_INIT;
        assert_int_equal(postgres_open(&options, &database, NULL), OK);
        assert_int_equal(postgres_execute(database, FORBIDDEN[i].sql, &error), ERR_USAGE);
        assert_non_null(strstr(error.message, "roles.sql"));
        postgres_close(&database);
    }
    place_destroy(place);
}

static void another_kind_of_store_is_refused_by_name(void **state)
{
    (void)state;
    result_store_options_t options = {.kind = "mysql"};
    result_store_t *store = NULL;
    error_t error = ERROR_INIT;
    assert_int_equal(result_store_open(&options, 0, &store, &error), ERR_USAGE);
    assert_string_equal(error.field, "results");
    assert_non_null(strstr(error.message, "sqlite or postgres"));
}

/* ---- what happens to a connection ---- */

static const char CUT_THE_OTHERS[] =
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
    " AND pid <> pg_backend_pid() AND usename <> 'postgres'";

static int is_written(result_store_t *store)
{
    char *json = NULL;
    int code = store->verbs->job(store, "job-1", &json, NULL);
    if (code == OK)
        free(json);
    assert_true(code == OK || code == ERR_NOT_FOUND);
    return code == OK;
}

/* Its backend is killed before each step of a job in turn. */
static void a_connection_cut_anywhere_loses_all_or_nothing(void **state)
{
    result_fixture_t *self = *state;
    result_store_t *writer = self->writer;
    result_job_row_t row = result_row(&TWENTY);
    for (int step = 0; step < 3; step++) {
        error_t error = ERROR_INIT;
        if (step == 0)
            tell(self->place, CUT_THE_OTHERS);
        assert_int_equal(writer->verbs->begin_job(writer, "job-1", 1, &error), OK);
        assert_int_equal(error.code, OK); /* connected again */
        if (step == 1)
            tell(self->place, CUT_THE_OTHERS);
        result_add_all(writer, &TWENTY);
        if (step == 2)
            tell(self->place, CUT_THE_OTHERS);
        int code = writer->verbs->commit_job(writer, &row, &error);
        if (code != OK)
            writer->verbs->rollback_job(writer);
        assert_int_equal(code, step ? ERR_UNAVAILABLE : OK);
        assert_int_equal(is_written(self->reader), code == OK);
        assert_int_equal(ask_number(self->place, "SELECT count(*) FROM result_cluster"),
                         code == OK ? 20 : 0);
        assert_int_equal(writer->verbs->remove_job(writer, "job-1", NULL), OK);
    }
    assert_int_equal(result_write(writer, &TWENTY), OK);
}

/* A read on the writing handle connects again: what is added then belongs to no transaction. */
static void a_writing_does_not_go_on_over_another_connection(void **state)
{
    result_fixture_t *self = *state;
    result_store_t *writer = self->writer;
    result_job_row_t row = result_row(&TWENTY);
    assert_int_equal(writer->verbs->begin_job(writer, "job-1", 1, NULL), OK);
    assert_int_equal(result_add_all(writer, &TWENTY), OK);
    tell(self->place, CUT_THE_OTHERS);
    assert_int_equal(writer->verbs->ping(writer, NULL), OK);
    assert_int_equal(result_add_one(writer, &TWENTY, 77), ERR_CONFLICT);
    assert_int_equal(writer->verbs->commit_job(writer, &row, NULL), ERR_CONFLICT);
    writer->verbs->rollback_job(writer);
    assert_int_equal(ask_number(self->place, "SELECT count(*) FROM result_cluster"), 0);
    assert_int_equal(result_write(writer, &TWENTY), OK);
}

/* The client knows nothing of the commit; the next try finds it done. */
static void a_commit_whose_answer_is_lost_is_found(void **state)
{
    result_fixture_t *self = *state;
    place_t *place = self->place;
    proxy_t *proxy = proxy_new(place->port);
    result_postgres_options_t options = options_of(place, 0);
    result_job_t job = TWENTY;
    result_store_t *writer = NULL;
    int lost = 0;
    options.port = proxy->port;
    assert_int_equal(result_store_open_postgres(&options, 0, &writer, NULL), OK);
    for (job.epoch = 1; job.epoch <= 16; job.epoch++) {
        result_job_row_t row = result_row(&job);
        assert_int_equal(writer->verbs->begin_job(writer, "job-1", job.epoch, NULL), OK);
        assert_int_equal(result_add_all(writer, &job), OK);
        atomic_store(&proxy->mode, job.epoch % 2 ? PROXY_CUT_ANSWER : PROXY_CUT);
        int code = writer->verbs->commit_job(writer, &row, NULL);
        assert_true(code == OK || code == ERR_UNAVAILABLE);
        if (code != OK) {
            lost++;
            writer->verbs->rollback_job(writer);
            assert_int_equal(result_write(writer, &job), OK);
        }
        assert_int_equal(ask_number(place, "SELECT epoch FROM result_job"), job.epoch);
        assert_int_equal(ask_number(place, "SELECT count(*) FROM result_cluster"), 20);
        assert_int_equal(ask_number(place, "SELECT count(*) FROM result_member"), 62);
    }
    assert_true(lost > 0);
    writer->verbs->close(&writer);
    proxy_destroy(&proxy);
}

/* The answer to COMMIT itself, and nothing before it. */
static void the_lost_answer_of_a_commit_is_asked_for_again(void **state)
{
    result_fixture_t *self = *state;
    place_t *place = self->place;
    proxy_t *proxy = proxy_new(place->port);
    result_postgres_options_t options = options_of(place, 0);
    result_job_row_t row = result_row(&TWENTY);
    result_store_t *writer = NULL;
    error_t error = ERROR_INIT;
    options.port = proxy->port;
    assert_int_equal(result_store_open_postgres(&options, 0, &writer, NULL), OK);
    assert_int_equal(writer->verbs->begin_job(writer, "job-1", 1, NULL), OK);
    assert_int_equal(result_add_all(writer, &TWENTY), OK);
    atomic_store(&proxy->mode, PROXY_CUT_COMMIT);
    assert_int_equal(writer->verbs->commit_job(writer, &row, &error), OK);
    assert_int_equal(error.code, OK);
    assert_int_equal(atomic_load(&proxy->cuts), 1);
    assert_true(is_written(self->reader));
    writer->verbs->close(&writer);
    proxy_destroy(&proxy);
}

static void a_death_inside_the_commit_is_no_commit(void **state)
{
    result_fixture_t *self = *state;
    place_t *place = self->place;
    result_job_row_t row = result_row(&TWENTY);
    error_t error = ERROR_INIT;
    /* The transaction is over when this trigger runs: it kills its own connection then. */
    tell(place, "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS"
                " 'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END';"
                "CREATE CONSTRAINT TRIGGER die AFTER INSERT ON result_job DEFERRABLE INITIALLY"
                " DEFERRED FOR EACH ROW EXECUTE FUNCTION die()");
    assert_int_equal(self->writer->verbs->begin_job(self->writer, "job-1", 1, NULL), OK);
    assert_int_equal(result_add_all(self->writer, &TWENTY), OK);
    assert_int_equal(self->writer->verbs->commit_job(self->writer, &row, &error), ERR_UNAVAILABLE);
    self->writer->verbs->rollback_job(self->writer);
    assert_false(is_written(self->reader));
    tell(place, "DROP FUNCTION die() CASCADE");
    assert_int_equal(result_write(self->writer, &TWENTY), OK);
    assert_true(is_written(self->reader));
}

/* A coordinator in a process of its own: it writes the job, and once more when that fails; the code
 * of the last time is its exit status. */
static pid_t coordinator_behind(const place_t *place, uint16_t port)
{
    pid_t child = fork();
    if (child)
        return child;
    result_postgres_options_t options = options_of(place, 0);
    result_store_t *store = NULL;
    options.port = port;
    int code = result_store_open_postgres(&options, 0, &store, NULL);
    if (code == OK)
        code = store->verbs->claim(store, &FIRST_FENCE, NULL);
    if (code == OK && result_write(store, &TWENTY) == ERR_UNAVAILABLE)
        code = result_write(store, &TWENTY);
    _exit(code);
}

static void a_coordinator_stopped_inside_its_commit_is_displaced(void **state)
{
    result_fixture_t *self = *state;
    place_t *place = self->place;
    proxy_t *proxy = proxy_new(place->port);
    int status = 0;
    atomic_store(&proxy->mode, PROXY_HOLD_COMMIT);
    pid_t child = coordinator_behind(place, proxy->port);
    for (int i = 0; i < 6000 && atomic_load(&proxy->mode) != PROXY_HOLD; i++)
        poll(NULL, 0, 5);
    assert_int_equal(atomic_load(&proxy->mode), PROXY_HOLD);
    result_store_t *second = result_claimed(self, &SECOND_FENCE); /* waits for the server's clock */
    assert_int_equal(second->verbs->remove_job(second, "job-1", NULL), OK);
    atomic_store(&proxy->mode, PROXY_PASS);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), ERR_CONFLICT);
    assert_false(is_written(self->reader));
    assert_int_equal(ask_number(place, "SELECT count(*) FROM result_member"), 0);
    second->verbs->close(&second);
    proxy_destroy(&proxy);
}

static void a_restart_is_survived_by_open_handles(void **state)
{
    result_fixture_t *self = *state;
    result_job_t job = TWENTY;
    cluster_query_t query = result_any();
    for (job.epoch = 1; job.epoch <= 3; job.epoch++) {
        error_t error = ERROR_INIT;
        assert_int_equal(result_write(self->writer, &job), OK);
        server_stop(&server, job.epoch % 2 ? SIGKILL : SIGQUIT);
        assert_int_equal(self->reader->verbs->ping(self->reader, &error), ERR_UNAVAILABLE);
        assert_true(postgres_start(&server));
        /* What was acknowledged is there. */
        assert_int_equal(ask_number(self->place, "SELECT epoch FROM result_job"), job.epoch);
        assert_int_equal(result_count(self->reader, &query), 20);
    }
}

static void a_server_that_hangs_is_given_up_in_time(void **state)
{
    result_fixture_t *self = *state;
    place_t *place = self->place;
    proxy_t *proxy = proxy_new(place->port);
    result_postgres_options_t options = options_of(place, 1);
    result_store_t *reader = NULL;
    error_t error = ERROR_INIT;
    cluster_query_t query = result_any();
    options.port = proxy->port;
    options.statement_ms = 100;
    options.connect_ms = 300;
    assert_int_equal(result_write(self->writer, &TWENTY), OK);
    assert_int_equal(result_store_open_postgres(&options, 1, &reader, NULL), OK);
    atomic_store(&proxy->mode, PROXY_HOLD);
    int64_t start = clock_monotonic_ms();
    assert_int_equal(reader->verbs->ping(reader, &error), ERR_UNAVAILABLE);
    assert_non_null(strstr(error.message, "no answer in time"));
    assert_true(clock_monotonic_ms() - start < 5000);
    atomic_store(&proxy->mode, PROXY_PASS);
    assert_int_equal(result_count(reader, &query), 20);
    reader->verbs->close(&reader);
    proxy_destroy(&proxy);
}

static void a_statement_that_takes_too_long_is_ended(void **state)
{
    result_fixture_t *self = *state;
    place_t *place = self->place;
    postgres_options_t options = {.host = "127.0.0.1",
                                  .port = place->port,
                                  .database = place->database,
                                  .user = "stage4_reader",
                                  .password = READER_PASSWORD,
                                  .statement_ms = 100};
    postgres_t *database = NULL;
    error_t error = ERROR_INIT;
    assert_int_equal(postgres_open(&options, &database, NULL), OK);
    assert_int_equal(postgres_execute(database, "SELECT pg_sleep(30)", &error), ERR_UNAVAILABLE);
    assert_non_null(strstr(error.message, "timeout"));
    assert_true(postgres_connected(database));
    const char *internal = "DO $$ BEGIN RAISE internal_error; END $$"; /* as of a full disk */
    assert_int_equal(postgres_execute(database, internal, &error), ERR_IO);
    postgres_close(&database);
}

static void no_rows_of_replaced_or_removed_jobs_pile_up(void **state)
{
    result_fixture_t *self = *state;
    result_job_t job = TWENTY;
    static const char COUNT[] = "SELECT (SELECT count(*) FROM result_cluster)"
                                " + (SELECT count(*) FROM result_entity)"
                                " + (SELECT count(*) FROM result_member)";
    for (job.epoch = 1; job.epoch <= 3; job.epoch++)
        assert_int_equal(result_write(self->writer, &job), OK);
    assert_int_equal(ask_number(self->place, COUNT), 20 + 40 + 59 + 3);
    assert_int_equal(self->writer->verbs->begin_job(self->writer, "job-1", 9, NULL), OK);
    assert_int_equal(result_add_all(self->writer, &TWENTY), OK);
    self->writer->verbs->rollback_job(self->writer);
    assert_int_equal(ask_number(self->place, COUNT), 20 + 40 + 59 + 3);
    assert_int_equal(self->writer->verbs->remove_job(self->writer, "job-1", NULL), OK);
    assert_int_equal(ask_number(self->place, COUNT), 0);
}

static void ids_of_any_length_and_bytes_are_refused_or_kept(void **state)
{
    result_fixture_t *self = *state;
    enum { LONG = 300000 };
    char *id = malloc(LONG + 1);
    cluster_query_t query = result_any();
    result_job_row_t row = result_row(&TWENTY);
    error_t error = ERROR_INIT;
    for (size_t i = 0; i < LONG; i++)
        id[i] = (char)('a' + i * i % 26);
    id[LONG] = 0;
    member_row_t member = {id, "v", id, "core", 1, 0, 1};
    cluster_row_t cluster = {.cluster_id = "c",
                             .label = id,
                             .domain = "",
                             .type = "",
                             .entities = id,
                             .time_start_ms = TIME_NONE,
                             .time_end_ms = TIME_NONE,
                             .size = 1,
                             .json = "{}",
                             .json_length = 2,
                             .members = &member,
                             .member_count = 1};
    result_store_t *writer = self->writer;
    assert_int_equal(writer->verbs->begin_job(writer, "job-1", 1, NULL), OK);
    assert_int_equal(writer->verbs->add_cluster(writer, &cluster, NULL), OK);
    assert_int_equal(writer->verbs->commit_job(writer, &row, &error), OK);
    query.member_id = query.document_id = query.entity = id;
    assert_int_equal(result_count(self->reader, &query), 1);
    query.document_id = "\xff\xfe";
    assert_int_equal(result_count(self->reader, &query), 0);
    cluster.label = "\xff\xfe";
    row.epoch = 2;
    assert_int_equal(writer->verbs->begin_job(writer, "job-1", 2, NULL), OK);
    assert_int_equal(writer->verbs->add_cluster(writer, &cluster, NULL), OK);
    assert_int_equal(writer->verbs->commit_job(writer, &row, &error), ERR_INPUT);
    writer->verbs->rollback_job(writer);
    free(id);
}

/* ---- a full disk: a small file system of its own, which takes root to make ---- */

static int mount_small(const char *path)
{
    return geteuid() == 0 && mount("tmpfs", path, "tmpfs", 0, "size=120m") == 0;
}

static void write_until_full(result_store_t *store)
{
    static char filler[65536];
    error_t error = ERROR_INIT;
    int code = store->verbs->begin_job(store, "full", 1, &error);
    srand(7);
    for (size_t i = 0; i + 1 < sizeof filler; i++)
        filler[i] = (char)('!' + rand() % 90); /* does not compress */
    cluster_row_t cluster = {.label = "l",
                             .domain = "",
                             .type = "",
                             .entities = "",
                             .time_start_ms = TIME_NONE,
                             .time_end_ms = TIME_NONE,
                             .size = 1,
                             .json = filler,
                             .json_length = sizeof filler - 1};
    for (unsigned i = 0; code == OK && i < 4000; i++) {
        char id[32];
        snprintf(id, sizeof id, "c%u", i);
        cluster.cluster_id = id;
        code = store->verbs->add_cluster(store, &cluster, &error);
    }
    /* Without room for its log the server stops, else it says that the disk is full. */
    assert_true(code == ERR_IO || code == ERR_UNAVAILABLE);
    store->verbs->rollback_job(store);
}

static void a_full_disk_is_an_error_and_leaves_no_rows(void **state)
{
    (void)state;
    test_folder_t folder = folder_new();
    test_server_t small;
    if (!mount_small(folder.path)) {
        print_message("  skipped: mounting a small file system takes root\n");
        folder_destroy(&folder);
        skip();
    }
    result_store_t *store = NULL;
    cluster_query_t query = result_any();
    int started = postgres_new_server(&small, folder.path, 1);
    place_t *place = started ? place_on(small.port) : NULL;
    int opened = started && open_store(place, 0, &store, NULL) == OK;
    int written = opened && result_write(store, &TWENTY) == OK;
    if (written)
        write_until_full(store);
    /* Room again: everything acknowledged is there, the rest is not. */
    server_stop(&small, SIGKILL);
    int grown = mount("tmpfs", folder.path, "tmpfs", MS_REMOUNT, "size=1g") == 0;
    int restarted = grown && postgres_start(&small);
    long found = restarted ? result_count(store, &query) : -1;
    int64_t rows = restarted ? ask_number(place, "SELECT count(*) FROM result_cluster") : -1;
    int again = restarted ? result_write(store, &(result_job_t){"later", 1, 0, 1, 5, 0, ""}) : -1;
    if (store)
        store->verbs->close(&store);
    server_stop(&small, SIGKILL);
    umount2(folder.path, MNT_DETACH);
    server_destroy(&small);
    place_destroy(place);
    assert_true(written);
    assert_int_equal(found, 20);
    assert_int_equal(rows, 20);
    assert_int_equal(again, OK);
}

/* STAGE4_BENCH=1: how long COPY takes for a job of 1,000,000 members. */
static void a_million_members(void **state)
{
    result_fixture_t *self = *state;
    enum { MEMBERS = 1000000, EACH = 20 };
    char ids[EACH][3][64];
    member_row_t members[EACH];
    if (!getenv("STAGE4_BENCH"))
        skip();
    int64_t start = clock_monotonic_ms();
    result_job_row_t row = result_row(&TWENTY);
    assert_int_equal(self->writer->verbs->begin_job(self->writer, "job-1", 1, NULL), OK);
    for (unsigned c = 0; c < MEMBERS / EACH; c++) {
        char id[64];
        for (unsigned i = 0; i < EACH; i++) {
            unsigned number = (c * EACH + i) * 7919u % MEMBERS;
            snprintf(ids[i][0], 64, "doc_%07u_event_%u", number, i % 4);
            snprintf(ids[i][1], 64, "event_emb_doc_%07u_event_%u", number, i % 4);
            snprintf(ids[i][2], 64, "doc_%07u", number);
            members[i] = (member_row_t){ids[i][0], ids[i][1], ids[i][2], "core", 1, 0.5, 0.9};
        }
        snprintf(id, sizeof id, "event_cluster_%016x", c * 2654435761u);
        cluster_row_t cluster = {.cluster_id = id,
                                 .label = "a label of a usual length, some words",
                                 .domain = "general_news",
                                 .type = "contact_meet",
                                 .entities = "G7\nJapan\nUnited Nations",
                                 .time_start_ms = 1,
                                 .time_end_ms = 2,
                                 .size = EACH,
                                 .json = "{}",
                                 .json_length = 2,
                                 .members = members,
                                 .member_count = EACH};
        assert_int_equal(self->writer->verbs->add_cluster(self->writer, &cluster, NULL), OK);
    }
    assert_int_equal(self->writer->verbs->commit_job(self->writer, &row, NULL), OK);
    int64_t written = clock_monotonic_ms();
    cluster_query_t query = result_any();
    query.document_id = "doc_0012345";
    assert_true(result_count(self->reader, &query) >= 1);
    print_message("  1,000,000 members in 50,000 clusters: written in %lld ms, found in %lld ms\n",
                  (long long)(written - start), (long long)(clock_monotonic_ms() - written));
}

int main(void)
{
    result_factory_t factory = {place_new, place_destroy, open_store};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_misconfigured_server_is_refused_by_name),
        cmocka_unit_test(a_reader_before_the_first_writer_is_told_to_wait),
        cmocka_unit_test(tables_of_a_newer_program_are_left_alone),
        cmocka_unit_test(writers_that_start_at_once_make_the_tables_once),
        cmocka_unit_test(the_roles_may_do_no_more_than_they_need),
        cmocka_unit_test(another_kind_of_store_is_refused_by_name),
        RESULT_TEST(a_connection_cut_anywhere_loses_all_or_nothing, &factory),
        RESULT_TEST(a_writing_does_not_go_on_over_another_connection, &factory),
        RESULT_TEST(a_commit_whose_answer_is_lost_is_found, &factory),
        RESULT_TEST(the_lost_answer_of_a_commit_is_asked_for_again, &factory),
        RESULT_TEST(a_death_inside_the_commit_is_no_commit, &factory),
        RESULT_TEST(a_coordinator_stopped_inside_its_commit_is_displaced, &factory),
        RESULT_TEST(a_restart_is_survived_by_open_handles, &factory),
        RESULT_TEST(a_server_that_hangs_is_given_up_in_time, &factory),
        RESULT_TEST(a_statement_that_takes_too_long_is_ended, &factory),
        RESULT_TEST(no_rows_of_replaced_or_removed_jobs_pile_up, &factory),
        RESULT_TEST(ids_of_any_length_and_bytes_are_refused_or_kept, &factory),
        cmocka_unit_test(a_full_disk_is_an_error_and_leaves_no_rows),
        RESULT_TEST(a_million_members, &factory),
    };
    signal(SIGPIPE, SIG_IGN);
    if (!postgres_installed()) {
        puts("skipped: /usr/lib/postgresql/*/bin/postgres is not there; run deploy/setup.sh");
        return 0;
    }
    if (!postgres_new_server(&server, NULL, 0))
        return 1;
    free(place_new()); /* made by roles.sql: what all the others are copies of */
    int failed = result_suite(&factory);
    failed += cmocka_run_group_tests(tests, NULL, NULL);
    server_destroy(&server);
    return failed;
}
