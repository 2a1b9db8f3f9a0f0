#include "lib/folder.h"
#include "lib/result_suite.h"

#include "common/sqlite.h"

#include <sys/resource.h>
#include <sys/stat.h>

static void *place_new(void)
{
    test_folder_t *self = malloc(sizeof *self);
    *self = folder_new();
    return self;
}

static void place_destroy(void *place)
{
    folder_destroy(place);
    free(place);
}

static int open_store(void *place, int read_only, result_store_t **out, error_t *error)
{
    char path[512];
    return result_store_open_sqlite(folder_path(place, "stage4.db", path), read_only, out, error);
}

static void a_reader_before_the_first_writer_is_told_to_wait(void **state)
{
    (void)state;
    test_folder_t *place = place_new();
    char path[512];
    result_store_t *store = NULL;
    database_t *database = NULL;
    error_t error = ERROR_INIT;
    assert_int_equal(open_store(place, 1, &store, &error), ERR_UNAVAILABLE);
    assert_null(store);
    assert_non_null(strstr(error.message, "not there yet"));
    /* The ledger may have made the file already. */
    assert_int_equal(database_open(folder_path(place, "stage4.db", path), 0, &database, NULL), OK);
    assert_int_equal(open_store(place, 1, &store, &error), ERR_UNAVAILABLE);
    database_close(&database);
    place_destroy(place);
}

static void a_reader_cannot_write(void **state)
{
    (void)state;
    test_folder_t *place = place_new();
    result_store_t *writer = NULL;
    database_t *database = NULL;
    char path[512];
    error_t error = ERROR_INIT;
    assert_int_equal(open_store(place, 0, &writer, NULL), OK);
    assert_int_equal(database_open(folder_path(place, "stage4.db", path), 1, &database, NULL), OK);
    assert_int_equal(database_execute(database, "DELETE FROM result_job", &error), ERR_IO);
    assert_non_null(strstr(error.message, "stage4.db"));
    database_close(&database);
    writer->verbs->close(&writer);
    place_destroy(place);
}

static void a_damaged_file_is_an_error_with_advice(void **state)
{
    (void)state;
    test_folder_t *place = place_new();
    char path[512];
    result_store_t *store = NULL;
    error_t error = ERROR_INIT;
    assert_int_equal(open_store(place, 0, &store, NULL), OK);
    assert_int_equal(result_write(store, &TWENTY), OK);
    store->verbs->close(&store);
    FILE *file = fopen(folder_path(place, "stage4.db", path), "r+");
    fseek(file, 100, SEEK_SET); /* the first page, after the header */
    for (int i = 0; i < 3000; i++)
        fputc(0xA5, file);
    fclose(file);
    assert_int_equal(open_store(place, 0, &store, &error), ERR_IO);
    assert_non_null(strstr(error.message, "stage4.db"));
    assert_non_null(strstr(error.message, "damaged"));
    place_destroy(place);
}

static void a_file_of_a_newer_program_is_left_alone(void **state)
{
    (void)state;
    test_folder_t *place = place_new();
    char path[512];
    result_store_t *store = NULL;
    database_t *database = NULL;
    error_t error = ERROR_INIT;
    assert_int_equal(open_store(place, 0, &store, NULL), OK);
    store->verbs->close(&store);
    assert_int_equal(database_open(folder_path(place, "stage4.db", path), 0, &database, NULL), OK);
    assert_int_equal(database_execute(database, "UPDATE schema_version SET version = 99", NULL),
                     OK);
    database_close(&database);
    assert_int_equal(open_store(place, 0, &store, &error), ERR_CONFLICT);
    assert_non_null(strstr(error.message, "version 99"));
    assert_int_equal(open_store(place, 1, &store, NULL), ERR_CONFLICT);
    place_destroy(place);
}

/* A file size limit stands for the full disk. */
static void write_until_full(test_folder_t *place)
{
    struct rlimit limit = {1 << 20, 1 << 20};
    result_store_t *store = NULL;
    error_t error = ERROR_INIT;
    int code = OK;
    signal(SIGXFSZ, SIG_IGN);
    if (open_store(place, 0, &store, NULL) != OK)
        _exit(1);
    setrlimit(RLIMIT_FSIZE, &limit);
    store->verbs->begin_job(store, "full", 1, NULL);
    for (unsigned i = 0; code == OK && i < 200000; i++) {
        char id[64];
        snprintf(id, sizeof id, "a_rather_long_name_of_a_row_that_is_noise_%u", i);
        member_row_t member = {id, id, id, "noise", 0, 0, 0};
        code = store->verbs->add_noise(store, &member, 1, &error);
    }
    store->verbs->rollback_job(store);
    _exit(code == ERR_IO && strstr(error.message, "stage4.db") ? 0 : 2);
}

static void a_full_disk_is_an_error_and_leaves_no_rows(void **state)
{
    (void)state;
    test_folder_t *place = place_new();
    result_store_t *store = NULL;
    int status = -1;
    assert_int_equal(open_store(place, 0, &store, NULL), OK);
    assert_int_equal(result_write(store, &TWENTY), OK);
    pid_t child = fork();
    if (child == 0)
        write_until_full(place);
    waitpid(child, &status, 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    cluster_query_t query = result_any();
    assert_int_equal(result_count(store, &query), 20);
    store->verbs->close(&store);
    place_destroy(place);
}

/* The rows of each table, seen or not. */
static void expect_rows(test_folder_t *place, const int64_t expected[4])
{
    char path[512];
    database_t *database = NULL;
    statement_t *statement = NULL;
    int row = 0;
    assert_int_equal(database_open(folder_path(place, "stage4.db", path), 1, &database, NULL), OK);
    assert_int_equal(statement_new(database,
                                   "SELECT (SELECT count(*) FROM result_writing),"
                                   " (SELECT count(*) FROM result_cluster),"
                                   " (SELECT count(*) FROM result_entity),"
                                   " (SELECT count(*) FROM result_member)",
                                   &statement, NULL),
                     OK);
    assert_int_equal(statement_step(statement, &row, NULL), OK);
    for (int i = 0; i < 4; i++)
        assert_int_equal(statement_int(statement, i), expected[i]);
    statement_destroy(&statement);
    database_close(&database);
}

/* Nothing that was replaced, rolled back or removed stays in the tables. */
static void no_invisible_rows_pile_up(void **state)
{
    (void)state;
    test_folder_t *place = place_new();
    const int64_t one_job[4] = {1, 20, 40, 59 + 3};
    const int64_t nothing[4] = {0, 0, 0, 0};
    result_store_t *store = NULL;
    result_job_t job = TWENTY;
    assert_int_equal(open_store(place, 0, &store, NULL), OK);
    for (job.epoch = 1; job.epoch <= 3; job.epoch++)
        assert_int_equal(result_write(store, &job), OK);
    expect_rows(place, one_job);
    assert_int_equal(store->verbs->begin_job(store, "job-1", 9, NULL), OK);
    assert_int_equal(result_add_all(store, &TWENTY), OK);
    store->verbs->rollback_job(store);
    expect_rows(place, one_job);
    assert_int_equal(store->verbs->remove_job(store, "job-1", NULL), OK);
    expect_rows(place, nothing);
    store->verbs->close(&store);
    place_destroy(place);
}

int main(void)
{
    result_factory_t factory = {place_new, place_destroy, open_store};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reader_before_the_first_writer_is_told_to_wait),
        cmocka_unit_test(a_reader_cannot_write),
        cmocka_unit_test(a_damaged_file_is_an_error_with_advice),
        cmocka_unit_test(a_file_of_a_newer_program_is_left_alone),
        cmocka_unit_test(a_full_disk_is_an_error_and_leaves_no_rows),
        cmocka_unit_test(no_invisible_rows_pile_up),
    };
    int failed = result_suite(&factory);
    return failed + cmocka_run_group_tests(tests, NULL, NULL);
}
