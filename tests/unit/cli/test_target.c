/* Output files and scratch folders: replaced whole or untouched, and nothing left behind. */
#include "cli/scratch.h"
#include "cli/target.h"
#include "lib/folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

typedef struct {
    test_folder_t folder;
    error_t error;
    char path[512];
} fixture_t;

static int set_up(void **state)
{
    fixture_t *self = calloc(1, sizeof *self);
    self->folder = folder_new();
    folder_path(&self->folder, "out.jsonl", self->path);
    *state = self;
    return 0;
}

static int tear_down(void **state)
{
    fixture_t *self = *state;
    folder_destroy(&self->folder);
    free(self);
    return 0;
}

static size_t entries(const fixture_t *self)
{
    DIR *folder = opendir(self->folder.path);
    size_t count = 0;
    struct dirent *entry;
    while ((entry = readdir(folder)))
        count += strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..");
    closedir(folder);
    return count;
}

static void assert_holds(const char *path, const char *wanted)
{
    char bytes[64] = "";
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t got = fread(bytes, 1, sizeof bytes - 1, file);
    fclose(file);
    assert_int_equal(got, strlen(wanted));
    assert_string_equal(bytes, wanted);
}

static void a_folder_is_what_stands_before_the_last_slash(void **state)
{
    static const char *const ROWS[][2] = {
        {"a", "."}, {"/a", "/"}, {"b/a", "b"}, {"/c/b/a", "/c/b"}};
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        char *folder = target_folder(ROWS[i][0]);
        assert_string_equal(folder, ROWS[i][1]);
        free(folder);
    }
}

static void a_place_where_nothing_can_be_written_is_refused_before_the_work(void **state)
{
    fixture_t *self = *state;
    char path[600];
    assert_int_equal(target_check("output", self->path, &self->error), OK);
    snprintf(path, sizeof path, "%s/none/out.jsonl", self->folder.path);
    assert_int_equal(target_check("output", path, &self->error), ERR_USAGE);
    assert_string_equal(self->error.field, "output");
    assert_non_null(strstr(self->error.message, "there is no folder"));
    assert_int_equal(target_check("output", self->folder.path, &self->error), ERR_USAGE);
    assert_non_null(strstr(self->error.message, "no regular file"));
    assert_int_equal(target_check("output", "/dev/null", &self->error), ERR_USAGE);
    assert_int_equal(target_check("output", "/dev/null/out.jsonl", &self->error), ERR_USAGE);
}

static void a_file_is_replaced_whole_and_nothing_stays_beside_it(void **state)
{
    fixture_t *self = *state;
    char other[512];
    assert_int_equal(target_write(self->path, "one", 3, &self->error), OK);
    assert_holds(self->path, "one");
    assert_int_equal(target_write(self->path, "second", 6, &self->error), OK);
    assert_holds(self->path, "second");
    folder_path(&self->folder, "copy", other);
    assert_int_equal(target_copy(other, self->path, &self->error), OK);
    assert_holds(other, "second");
    assert_holds(self->path, "second");
    assert_int_equal(entries(self), 2);
    assert_int_equal(target_write(self->path, "third", 5, &self->error), OK);
    assert_int_equal(target_move(other, self->path, &self->error), OK);
    assert_holds(other, "third");
    assert_int_equal(entries(self), 1);
}

static void a_file_under_way_that_fails_leaves_the_old_one(void **state)
{
    fixture_t *self = *state;
    target_t *target;
    assert_int_equal(target_write(self->path, "old", 3, &self->error), OK);
    assert_int_equal(target_open(self->path, &target, &self->error), OK);
    fputs("new", target_stream(target));
    assert_int_equal(target_close(&target, ERR_CANCELLED, &self->error), ERR_CANCELLED);
    assert_null(target);
    assert_holds(self->path, "old");
    assert_int_equal(entries(self), 1);
}

static void a_source_that_is_not_there_is_an_error(void **state)
{
    fixture_t *self = *state;
    char other[512];
    folder_path(&self->folder, "none", other);
    assert_int_equal(target_copy(self->path, other, &self->error), ERR_IO);
    assert_int_equal(target_move(self->path, other, &self->error), ERR_IO);
    assert_int_equal(entries(self), 0);
}

static void a_full_disk_leaves_the_old_file(void **state)
{
    fixture_t *self = *state;
    char bytes[20000];
    memset(bytes, 'x', sizeof bytes);
    assert_int_equal(target_write(self->path, "old", 3, &self->error), OK);
    pid_t child = fork();
    if (child == 0) {
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &(struct rlimit){10000, 10000});
        _exit(target_write(self->path, bytes, sizeof bytes, NULL) == ERR_IO ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_holds(self->path, "old");
    assert_int_equal(entries(self), 1);
}

static void a_scratch_folder_goes_with_its_run(void **state)
{
    fixture_t *self = *state;
    scratch_t *scratch;
    char path[600];
    assert_int_equal(scratch_new(self->folder.path, &scratch, &self->error), OK);
    snprintf(path, sizeof path, "%s/deep", scratch_path(scratch));
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/deep/file", scratch_path(scratch));
    assert_int_equal(target_write(path, "x", 1, &self->error), OK);
    scratch_destroy(&scratch);
    assert_null(scratch);
    assert_int_equal(entries(self), 0);
}

static void what_a_killed_run_left_is_removed_but_not_what_another_uses(void **state)
{
    fixture_t *self = *state;
    scratch_t *living, *mine;
    pid_t child = fork();
    if (child == 0) {
        scratch_t *dying;
        _exit(scratch_new(self->folder.path, &dying, NULL)); /* leaves without clean-up */
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(entries(self), 1);
    assert_int_equal(scratch_new(self->folder.path, &living, &self->error), OK);
    assert_int_equal(entries(self), 1);
    assert_int_equal(scratch_new(self->folder.path, &mine, &self->error), OK);
    assert_int_equal(entries(self), 2);
    scratch_destroy(&living);
    scratch_destroy(&mine);
    assert_int_equal(entries(self), 0);
}

static void no_scratch_folder_where_nothing_can_be_written(void **state)
{
    fixture_t *self = *state;
    scratch_t *scratch;
    assert_int_equal(scratch_new("/proc", &scratch, &self->error), ERR_IO);
    assert_null(scratch);
}

static void one_file_is_known_under_all_of_its_names(void **state)
{
    fixture_t *self = *state;
    char roundabout[600], other[600], link_path[600];
    snprintf(roundabout, sizeof roundabout, "%s/./out.jsonl", self->folder.path);
    snprintf(other, sizeof other, "%s/other.jsonl", self->folder.path);
    snprintf(link_path, sizeof link_path, "%s/link.jsonl", self->folder.path);
    assert_true(target_same(self->path, roundabout)); /* before it is there */
    assert_false(target_same(self->path, other));
    assert_int_equal(target_write(self->path, "x", 1, &self->error), OK);
    assert_int_equal(symlink(self->path, link_path), 0);
    assert_true(target_same(self->path, link_path));
    assert_false(target_same(self->path, other));
    assert_false(target_same(self->path, "/nowhere/out.jsonl"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_folder_is_what_stands_before_the_last_slash),
        TEST(one_file_is_known_under_all_of_its_names),
        TEST(a_place_where_nothing_can_be_written_is_refused_before_the_work),
        TEST(a_file_is_replaced_whole_and_nothing_stays_beside_it),
        TEST(a_file_under_way_that_fails_leaves_the_old_one),
        TEST(a_source_that_is_not_there_is_an_error),
        TEST(a_full_disk_leaves_the_old_file),
        TEST(a_scratch_folder_goes_with_its_run),
        TEST(what_a_killed_run_left_is_removed_but_not_what_another_uses),
        TEST(no_scratch_folder_where_nothing_can_be_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
