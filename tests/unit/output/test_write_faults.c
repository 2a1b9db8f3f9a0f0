#include "lib/write_fixture.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

static void a_file_that_is_not_the_clustered_one_is_refused(void **state)
{
    write_fixture_t *self = *state;
    char path[600];
    char other[512];
    char command[1400];
    error_t error = ERROR_INIT;
    char *report = NULL;
    mkdir(folder_path(&self->folder, "other", other), 0700);
    snprintf(command, sizeof command, "cp %s/storylines* %s", WIKI, other);
    assert_int_equal(system(command), 0);
    job_t job = {"job", other, LEVEL_STORYLINES, 0, 1};
    job_spec_t spec;
    job_spec_init(&spec);
    spec.level = LEVEL_STORYLINES;
    spec.as_of_ms = AS_OF_MS;
    write_input_t input = {.job_id = "job",
                           .epoch = 1,
                           .spec = &spec,
                           .spec_json = "{}",
                           .indices_folder = other,
                           .output_folder = self->output,
                           .spool = self->spool,
                           .results = self->results,
                           .state_sha = outcome_make(self->spool, "job", other, job.level)};
    snprintf(path, sizeof path, "%s/storylines_metadata.json", other);
    json_t *metadata = json_load_file(path, 0, NULL);
    json_dump_file(metadata, path, JSON_INDENT(1));
    json_decref(metadata);
    assert_int_equal(write_outcome(&input, &report, &error), ERR_CHANGED);
    assert_non_null(strstr(error.message, "storylines_metadata.json"));
    assert_null(report);
    assert_int_equal(visible_files(self, 1), 0);
    job_spec_clear(&spec);
}

/* A file size limit stands for the full disk. */
static void write_on_a_full_disk(write_fixture_t *self)
{
    job_t job = {"full", WIKI, LEVEL_DOCUMENTS, 1, 1};
    struct rlimit limit = {200 << 10, RLIM_INFINITY};
    char *report = NULL;
    error_t error = ERROR_INIT;
    result_store_t *results = NULL;
    job_spec_t spec;
    job_spec_init(&spec);
    spec.level = job.level;
    spec.as_of_ms = AS_OF_MS;
    sha256_t state = outcome_make(self->spool, "full", WIKI, job.level);
    if (result_store_open_sqlite(self->database, 0, &results, NULL) != OK)
        _exit(3);
    write_input_t input = {.job_id = "full",
                           .epoch = 1,
                           .spec = &spec,
                           .spec_json = "{}",
                           .indices_folder = WIKI,
                           .output_folder = self->output,
                           .spool = self->spool,
                           .results = results,
                           .state_sha = state};
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    int code = write_outcome(&input, &report, &error);
    if (code != ERR_IO || report || !strstr(error.message, "full") || visible_files(self, 1))
        _exit(1);
    limit.rlim_cur = RLIM_INFINITY; /* there is room again: the same handles go on */
    setrlimit(RLIMIT_FSIZE, &limit);
    code = write_outcome(&input, &report, &error);
    _exit(code == OK && visible_files(self, 1) == 2 ? 0 : 2);
}

static void a_full_disk_leaves_nothing_and_can_be_repeated(void **state)
{
    write_fixture_t *self = *state;
    int status = -1;
    result_statistics_t statistics;
    pid_t child = fork();
    if (child == 0)
        write_on_a_full_disk(self);
    waitpid(child, &status, 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    self->results->verbs->statistics(self->results, &statistics, NULL);
    assert_int_equal(statistics.jobs, 1);
    assert_int_equal(statistics.clusters[LEVEL_DOCUMENTS], OUTCOME_CLUSTERS);
}

/* Killed at any moment and written again: the same file, one job, nothing left over. */
static void a_writer_killed_anywhere_can_be_replayed(void **state)
{
    write_fixture_t *self = *state;
    job_t job = {"job", WIKI, LEVEL_EVENTS, 0, 1};
    const char *name = "clustered_events_job.jsonl";
    size_t first_length;
    write_ok(self, &job);
    char *first = read_file(self->output, name, &first_length);
    for (useconds_t round = 0; round < 15; round++) {
        char command[700];
        size_t length;
        result_statistics_t statistics;
        self->results->verbs->remove_job(self->results, "job", NULL);
        snprintf(command, sizeof command, "rm -rf %s", self->output);
        assert_int_equal(system(command), 0);
        pid_t child = fork();
        if (child == 0) {
            result_store_t *results = NULL;
            result_store_open_sqlite(self->database, 0, &results, NULL);
            self->results = results;
            write_ok(self, &job);
            _exit(0);
        }
        usleep(2000 + round * 2500);
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        job.epoch = 1 + round % 2; /* the same epoch, or that of a recovery */
        write_ok(self, &job);
        char *again = read_file(self->output, name, &length);
        assert_int_equal(length, first_length);
        assert_memory_equal(first, again, length);
        assert_int_equal(visible_files(self, 1), 2);
        self->results->verbs->statistics(self->results, &statistics, NULL);
        assert_int_equal(statistics.jobs, 1);
        assert_int_equal(statistics.members[LEVEL_EVENTS], 385);
        free(again);
        job.epoch = 1;
    }
    free(first);
}

static void discarding_removes_temporary_files_only(void **state)
{
    write_fixture_t *self = *state;
    job_t job = {"job", WIKI, LEVEL_STORYLINES, 0, 1};
    char path[700];
    write_ok(self, &job);
    snprintf(path, sizeof path, "%s/.clustered_events_job.jsonl.tmp", self->output);
    fclose(fopen(path, "w"));
    snprintf(path, sizeof path, "%s/.clustered_events_other.jsonl.tmp", self->output);
    fclose(fopen(path, "w"));
    assert_int_equal(visible_files(self, 1), 4);
    assert_int_equal(write_discard(self->output, "job", NULL), OK);
    assert_int_equal(visible_files(self, 1), 3);
    assert_int_equal(write_discard(self->output, "other", NULL), OK);
    assert_int_equal(visible_files(self, 1), 2);
    assert_int_equal(write_discard(self->output, "../x", NULL), ERR_USAGE);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_file_that_is_not_the_clustered_one_is_refused),
        TEST(a_full_disk_leaves_nothing_and_can_be_repeated),
        TEST(a_writer_killed_anywhere_can_be_replayed),
        TEST(discarding_removes_temporary_files_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
