#include "lib/postgres_place.h"

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

/* ---- what is kept ---- */

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

static int run_all(result_factory_t *factory)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_misconfigured_server_is_refused_by_name),
        cmocka_unit_test(a_reader_before_the_first_writer_is_told_to_wait),
        cmocka_unit_test(tables_of_a_newer_program_are_left_alone),
        cmocka_unit_test(writers_that_start_at_once_make_the_tables_once),
        cmocka_unit_test(the_roles_may_do_no_more_than_they_need),
        cmocka_unit_test(another_kind_of_store_is_refused_by_name),
        RESULT_TEST(no_rows_of_replaced_or_removed_jobs_pile_up, factory),
        RESULT_TEST(ids_of_any_length_and_bytes_are_refused_or_kept, factory),
        RESULT_TEST(a_million_members, factory),
    };
    return result_suite(factory) + cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void) { return with_server(run_all); }
