#include "lib/proxy.h"

#include "lib/postgres_place.h"

#include <sys/mount.h>

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

static int run_all(result_factory_t *factory)
{
    const struct CMUnitTest tests[] = {
        RESULT_TEST(a_connection_cut_anywhere_loses_all_or_nothing, factory),
        RESULT_TEST(a_writing_does_not_go_on_over_another_connection, factory),
        RESULT_TEST(a_commit_whose_answer_is_lost_is_found, factory),
        RESULT_TEST(the_lost_answer_of_a_commit_is_asked_for_again, factory),
        RESULT_TEST(a_death_inside_the_commit_is_no_commit, factory),
        RESULT_TEST(a_coordinator_stopped_inside_its_commit_is_displaced, factory),
        RESULT_TEST(a_restart_is_survived_by_open_handles, factory),
        RESULT_TEST(a_server_that_hangs_is_given_up_in_time, factory),
        RESULT_TEST(a_statement_that_takes_too_long_is_ended, factory),
        cmocka_unit_test(a_full_disk_is_an_error_and_leaves_no_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void) { return with_server(run_all); }
