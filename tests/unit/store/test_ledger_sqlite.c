#include "common/sqlite.h"
#include "lib/folder.h"
#include "lib/ledger_suite.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

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

static int open_ledger(void *place, ledger_t **out, error_t *error)
{
    char path[512];
    return ledger_open_sqlite(folder_path(place, "stage4.db", path), out, error);
}

static void a_missing_folder_is_an_error_with_the_path(void **state)
{
    (void)state;
    ledger_t *ledger = NULL;
    error_t error = ERROR_INIT;
    assert_int_equal(ledger_open_sqlite("/no/such/folder/stage4.db", &ledger, &error), ERR_IO);
    assert_null(ledger);
    assert_non_null(strstr(error.message, "/no/such/folder/stage4.db"));
    assert_non_null(strstr(error.message, "must exist"));
}

static void a_file_of_something_else_is_an_error(void **state)
{
    (void)state;
    test_folder_t folder = folder_new();
    char path[512];
    ledger_t *ledger = NULL;
    error_t error = ERROR_INIT;
    FILE *file = fopen(folder_path(&folder, "stage4.db", path), "w");
    for (int i = 0; i < 1000; i++)
        fputs("this is no database ", file);
    fclose(file);
    assert_int_equal(ledger_open_sqlite(path, &ledger, &error), ERR_IO);
    assert_non_null(strstr(error.message, "no SQLite file"));
    folder_destroy(&folder);
}

/* Until it fails, and once more when there is room again; then how many were acknowledged. */
static void save_until_full(ledger_fixture_t *self)
{
    struct rlimit full = {128 << 10, RLIM_INFINITY};
    struct rlimit room = {RLIM_INFINITY, RLIM_INFINITY};
    uint32_t saved = 0;
    int code = OK;
    signal(SIGXFSZ, SIG_IGN);
    if (open_ledger(self->place, &self->ledger, NULL) != OK || setrlimit(RLIMIT_FSIZE, &full))
        _exit(255);
    while (saved < 200 && (code = ledger_save_task(self, "j", 1, 0, saved)) == OK)
        saved++;
    setrlimit(RLIMIT_FSIZE, &room);
    if (code != ERR_IO || ledger_save_task(self, "j", 1, 0, saved) != OK)
        _exit(255);
    _exit((int)saved + 1);
}

/* A file size limit stands for the full disk. */
static void a_full_disk_loses_nothing_acknowledged(void **state)
{
    (void)state;
    ledger_fixture_t self = {.place = place_new()};
    int status = -1;
    assert_int_equal(open_ledger(self.place, &self.ledger, NULL), OK);
    ledger_job_t job = ledger_a_job("j", 1, "");
    assert_int_equal(ledger_save(&self, &job), OK);
    assert_int_equal(ledger_save_stage(&self, "j", 1, 0), OK);
    self.ledger->verbs->close(&self.ledger);
    pid_t child = fork();
    if (child == 0)
        save_until_full(&self);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_in_range(WEXITSTATUS(status), 2, 200);
    assert_int_equal(open_ledger(self.place, &self.ledger, NULL), OK);
    ledger_dump_t *dump = ledger_dump(&self);
    for (int task = 0; task < WEXITSTATUS(status); task++) {
        char line[64];
        snprintf(line, sizeof line, "task j 1 0 %d\n", task);
        assert_non_null(strstr(dump->text, line));
    }
    free(dump);
    self.ledger->verbs->close(&self.ledger);
    place_destroy(self.place);
}

/* The tables of before there were settled jobs: all are looked at once more, and none is lost. */
static void a_file_of_the_third_version_is_brought_up_to_date(void **state)
{
    (void)state;
    ledger_fixture_t self = {.place = place_new()};
    database_t *database = NULL;
    char path[512];
    assert_int_equal(open_ledger(self.place, &self.ledger, NULL), OK);
    ledger_job_t job = ledger_a_job("own", 1, "");
    job.state = JOB_COMPLETED;
    job.spec_json = "{\"retention_days\":2}";
    assert_int_equal(ledger_save(&self, &job), OK);
    ledger_end(&self, "other", JOB_COMPLETED, 0);
    self.ledger->verbs->close(&self.ledger);
    assert_int_equal(database_open(folder_path(self.place, "stage4.db", path), 0, &database, NULL),
                     OK);
    assert_int_equal(database_execute(database,
                                      "DROP INDEX ledger_job_settled; DROP INDEX ledger_job_state;"
                                      "ALTER TABLE ledger_job DROP COLUMN settled;"
                                      "ALTER TABLE ledger_job DROP COLUMN expires_ms;"
                                      "UPDATE schema_version SET version = 3",
                                      NULL),
                     OK);
    database_close(&database);
    assert_int_equal(open_ledger(self.place, &self.ledger, NULL), OK);
    ledger_dump_t *dump = ledger_dump(&self);
    assert_non_null(strstr(dump->text, "job own"));
    assert_non_null(strstr(dump->text, "job other"));
    free(dump);
    assert_int_equal(ledger_change(self.ledger, ledger_change_forget("own"), NULL), OK);
    assert_int_equal(ledger_due(&self, 2001 + 2 * 86400000 - 1, INT64_MAX), 0);
    assert_int_equal(ledger_due(&self, 2001 + 2 * 86400000, INT64_MIN), 1);
    self.ledger->verbs->close(&self.ledger);
    place_destroy(self.place);
}

int main(void)
{
    ledger_factory_t factory = {place_new, place_destroy, open_ledger};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_missing_folder_is_an_error_with_the_path),
        cmocka_unit_test(a_file_of_something_else_is_an_error),
        cmocka_unit_test(a_file_of_the_third_version_is_brought_up_to_date),
        cmocka_unit_test(a_full_disk_loses_nothing_acknowledged),
    };
    int failed = ledger_suite(&factory);
    return failed + cmocka_run_group_tests(tests, NULL, NULL);
}
