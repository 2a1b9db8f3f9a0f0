#include "coordinator/store/spool.h"
#include "lib/folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct {
    test_folder_t folder;
    spool_t *spool;
} fixture_t;

/* fsync is ours here: it is counted, and fails when asked to. */
static struct {
    int calls;
    int fails;
} sync_calls;

int fsync(int file)
{
    sync_calls.calls++;
    errno = EIO;
    return sync_calls.fails ? -1 : (int)syscall(SYS_fsync, file);
}

static int set_up(void **state)
{
    fixture_t *self = calloc(1, sizeof *self);
    self->folder = folder_new();
    *state = self;
    return spool_open(self->folder.path, &self->spool, NULL);
}

static int set_up_scratch(void **state)
{
    fixture_t *self = calloc(1, sizeof *self);
    self->folder = folder_new();
    *state = self;
    return spool_open_scratch(self->folder.path, &self->spool, NULL);
}

static int tear_down(void **state)
{
    fixture_t *self = *state;
    spool_close(&self->spool);
    folder_destroy(&self->folder);
    free(self);
    return 0;
}

static size_t files_in(const fixture_t *self, const char *job_id)
{
    char path[512];
    DIR *folder = opendir(folder_path(&self->folder, job_id, path));
    size_t count = 0;
    if (!folder)
        return 0;
    struct dirent *entry;
    while ((entry = readdir(folder)))
        count += strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..");
    closedir(folder);
    return count;
}

static const char *payload_path(const fixture_t *self, const char *job_id, const sha256_t *sha256,
                                char out[512])
{
    char hex[65];
    sha256_hex(sha256, hex);
    snprintf(out, 512, "%s/%s/%s", self->folder.path, job_id, hex);
    return out;
}

static void a_payload_comes_back_as_it_was_put(void **state)
{
    fixture_t *self = *state;
    for (size_t length = 0; length < 300000; length = length * 3 + 1) {
        uint8_t *bytes = malloc(length + 1);
        for (size_t i = 0; i < length; i++)
            bytes[i] = (uint8_t)(i * 31 + length);
        sha256_t name;
        uint8_t *back = NULL;
        size_t got = 0;
        assert_int_equal(spool_put(self->spool, "job_1", bytes, length, &name, NULL), OK);
        sha256_t expected = sha256_of(bytes, length);
        assert_true(sha256_equal(&name, &expected));
        assert_int_equal(spool_get(self->spool, "job_1", &name, &back, &got, NULL), OK);
        assert_int_equal(got, length);
        assert_memory_equal(back, bytes, length);
        free(back);
        free(bytes);
    }
}

static void the_same_bytes_twice_are_one_file(void **state)
{
    fixture_t *self = *state;
    sha256_t a;
    sha256_t b;
    assert_int_equal(spool_put(self->spool, "job", "same", 4, &a, NULL), OK);
    assert_int_equal(spool_put(self->spool, "job", "same", 4, &b, NULL), OK);
    assert_true(sha256_equal(&a, &b));
    assert_int_equal(files_in(self, "job"), 1);
}

static void jobs_do_not_see_each_other(void **state)
{
    fixture_t *self = *state;
    sha256_t name;
    uint8_t *bytes = NULL;
    size_t length = 0;
    assert_int_equal(spool_put(self->spool, "a", "x", 1, &name, NULL), OK);
    assert_int_equal(spool_get(self->spool, "b", &name, &bytes, &length, NULL), ERR_NOT_FOUND);
    assert_int_equal(spool_remove_job(self->spool, "b", NULL), OK);
    assert_int_equal(spool_get(self->spool, "a", &name, &bytes, &length, NULL), OK);
    free(bytes);
}

static void no_job_id_leaves_the_root(void **state)
{
    fixture_t *self = *state;
    const char *bad[] = {"",
                         ".",
                         "..",
                         "../x",
                         "a/b",
                         "/etc",
                         "a b",
                         "a\n",
                         "j\xc3\xb6"
                         "b",
                         "0123456789012345678901234567890123456789"};
    sha256_t name = sha256_of("", 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        error_t error = ERROR_INIT;
        uint8_t *bytes = NULL;
        size_t length = 0;
        assert_int_equal(spool_put(self->spool, bad[i], "x", 1, &name, &error), ERR_USAGE);
        assert_string_equal(error.field, "job_id");
        assert_int_equal(spool_get(self->spool, bad[i], &name, &bytes, &length, NULL), ERR_USAGE);
        assert_int_equal(spool_remove_job(self->spool, bad[i], NULL), ERR_USAGE);
    }
    assert_int_equal(
        spool_put(self->spool, "012345678901234567890123456789012345678", "x", 1, &name, NULL), OK);
}

static void a_damaged_payload_is_found_and_removed(void **state)
{
    fixture_t *self = *state;
    char path[512];
    sha256_t name;
    uint8_t *bytes = NULL;
    size_t length = 0;
    error_t error = ERROR_INIT;
    assert_int_equal(spool_put(self->spool, "job", "payload", 7, &name, NULL), OK);
    FILE *file = fopen(payload_path(self, "job", &name, path), "r+");
    fputc('P', file);
    fclose(file);
    assert_int_equal(spool_get(self->spool, "job", &name, &bytes, &length, &error), ERR_INPUT);
    assert_non_null(strstr(error.message, "damaged"));
    assert_null(bytes);
    assert_int_equal(spool_get(self->spool, "job", &name, &bytes, &length, NULL), ERR_NOT_FOUND);
    assert_int_equal(spool_put(self->spool, "job", "payload", 7, &name, NULL), OK);
    assert_int_equal(truncate(path, 3), 0);
    assert_int_equal(spool_get(self->spool, "job", &name, &bytes, &length, NULL), ERR_INPUT);
}

static void a_damaged_payload_is_healed_by_putting_it_again(void **state)
{
    fixture_t *self = *state;
    char path[512];
    sha256_t name;
    uint8_t *bytes = NULL;
    size_t length = 0;
    assert_int_equal(spool_put(self->spool, "job", "payload", 7, &name, NULL), OK);
    assert_int_equal(truncate(payload_path(self, "job", &name, path), 0), 0);
    assert_int_equal(spool_put(self->spool, "job", "payload", 7, &name, NULL), OK);
    assert_int_equal(spool_get(self->spool, "job", &name, &bytes, &length, NULL), OK);
    assert_memory_equal(bytes, "payload", 7);
    free(bytes);
}

static void parts_are_read_at_any_offset(void **state)
{
    fixture_t *self = *state;
    sha256_t name;
    char buffer[16];
    size_t got = 99;
    uint64_t total = 0;
    assert_int_equal(spool_put(self->spool, "job", "0123456789", 10, &name, NULL), OK);
    assert_int_equal(spool_read(self->spool, "job", &name, 4, buffer, 3, &got, &total, NULL), OK);
    assert_int_equal(got, 3);
    assert_int_equal(total, 10);
    assert_memory_equal(buffer, "456", 3);
    assert_int_equal(spool_read(self->spool, "job", &name, 8, buffer, 16, &got, &total, NULL), OK);
    assert_int_equal(got, 2);
    assert_int_equal(
        spool_read(self->spool, "job", &name, UINT64_MAX, buffer, 16, &got, &total, NULL), OK);
    assert_int_equal(got, 0);
}

static void leftovers_of_a_killed_process_go_at_open(void **state)
{
    fixture_t *self = *state;
    char path[512];
    sha256_t name;
    assert_int_equal(spool_put(self->spool, "job", "kept", 4, &name, NULL), OK);
    FILE *file = fopen(folder_path(&self->folder, "job/.tmp-aB3xYz", path), "w");
    fputs("half", file);
    fclose(file);
    assert_int_equal(files_in(self, "job"), 2);
    spool_close(&self->spool);
    assert_int_equal(spool_open(self->folder.path, &self->spool, NULL), OK);
    assert_int_equal(files_in(self, "job"), 1);
}

static void removing_a_job_removes_its_folder_twice_over(void **state)
{
    fixture_t *self = *state;
    char path[512];
    sha256_t name;
    assert_int_equal(spool_put(self->spool, "job", "a", 1, &name, NULL), OK);
    assert_int_equal(spool_put(self->spool, "job", "b", 1, &name, NULL), OK);
    assert_int_equal(spool_remove_job(self->spool, "job", NULL), OK);
    assert_int_equal(access(folder_path(&self->folder, "job", path), F_OK), -1);
    assert_int_equal(spool_remove_job(self->spool, "job", NULL), OK);
}

/* A file size limit stands for the full disk: write() fails half way in the same manner. */
static void put_under_a_size_limit(const fixture_t *self)
{
    static uint8_t big[1 << 20];
    struct rlimit limit = {4096, 4096};
    sha256_t name;
    error_t error = ERROR_INIT;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    int code = spool_put(self->spool, "job", big, sizeof big, &name, &error);
    _exit(code == ERR_IO && strstr(error.message, "free some space") ? 0 : 1);
}

static void a_full_disk_is_an_error_that_leaves_nothing(void **state)
{
    fixture_t *self = *state;
    int status = -1;
    pid_t child = fork();
    if (child == 0)
        put_under_a_size_limit(self);
    waitpid(child, &status, 0);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_int_equal(files_in(self, "job"), 0);
}

static void a_failed_rename_leaves_no_temporary_file(void **state)
{
    fixture_t *self = *state;
    char path[512];
    sha256_t name = sha256_of("x", 1);
    error_t error = ERROR_INIT;
    mkdir(folder_path(&self->folder, "job", path), 0700);
    mkdir(payload_path(self, "job", &name, path), 0700); /* in the way */
    assert_int_equal(spool_put(self->spool, "job", "x", 1, &name, &error), ERR_IO);
    assert_non_null(strstr(error.message, path));
    assert_int_equal(files_in(self, "job"), 1);
    rmdir(path);
    assert_int_equal(spool_put(self->spool, "job", "x", 1, &name, NULL), OK);
}

static void put_numbered(const fixture_t *self, const char *job_id, int number)
{
    sha256_t name;
    assert_int_equal(spool_put(self->spool, job_id, &number, sizeof number, &name, NULL), OK);
}

static void a_payload_is_synced_with_its_folder_before_it_is_said_to_be_there(void **state)
{
    fixture_t *self = *state;
    put_numbered(self, "a", 0); /* and the folder is new */
    sync_calls.calls = 0;
    put_numbered(self, "a", 1);
    assert_int_equal(sync_calls.calls, 2);
    put_numbered(self, "a", 1); /* it may have been put by one who was killed before the sync */
    assert_int_equal(sync_calls.calls, 4);
}

static void deferred_puts_are_synced_together(void **state)
{
    fixture_t *self = *state;
    put_numbered(self, "a", 0);
    put_numbered(self, "b", 0);
    sync_calls.calls = 0;
    spool_defer(self->spool);
    for (int i = 1; i < 6; i++)
        put_numbered(self, i % 2 ? "a" : "b", i);
    assert_int_equal(sync_calls.calls, 0);
    assert_int_equal(spool_settle(self->spool, NULL), OK);
    assert_int_equal(sync_calls.calls, 5 + 2);
    put_numbered(self, "a", 7); /* no longer deferred */
    assert_int_equal(sync_calls.calls, 5 + 2 + 2);
    assert_int_equal(spool_settle(self->spool, NULL), OK); /* nothing waits */
    assert_int_equal(sync_calls.calls, 5 + 2 + 2);
}

static void more_than_fit_are_synced_on_the_way(void **state)
{
    fixture_t *self = *state;
    spool_defer(self->spool);
    for (int i = 0; i < 3 * SPOOL_UNSETTLED / 2; i++)
        put_numbered(self, "a", i);
    sync_calls.calls = 0;
    assert_int_equal(spool_settle(self->spool, NULL), OK);
    assert_int_equal(sync_calls.calls, SPOOL_UNSETTLED / 2 + 1);
}

static void a_sync_that_fails_is_told(void **state)
{
    fixture_t *self = *state;
    error_t error = ERROR_INIT;
    put_numbered(self, "a", 0);
    spool_defer(self->spool);
    put_numbered(self, "a", 1);
    sync_calls.fails = 1;
    int code = spool_settle(self->spool, &error);
    sync_calls.fails = 0;
    assert_int_equal(code, ERR_IO);
    assert_non_null(strstr(error.message, self->folder.path));
    put_numbered(self, "a", 1);
}

static void a_root_that_cannot_be_is_an_error_with_its_path(void **state)
{
    fixture_t *self = *state;
    char path[512];
    spool_t *spool = NULL;
    error_t error = ERROR_INIT;
    assert_int_equal(spool_open(folder_path(&self->folder, "no/such", path), &spool, &error),
                     ERR_IO);
    assert_null(spool);
    assert_non_null(strstr(error.message, "no/such"));
    fclose(fopen(folder_path(&self->folder, "file", path), "w"));
    assert_int_equal(spool_open(path, &spool, &error), ERR_IO);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
/* What is not synced is found, told from damage and removed all the same. */
#define SCRATCH(name)                                                                              \
    {                                                                                              \
        "scratch: " #name, name, set_up_scratch, tear_down, NULL                                   \
    }
    const struct CMUnitTest tests[] = {
        TEST(a_payload_comes_back_as_it_was_put),
        TEST(the_same_bytes_twice_are_one_file),
        TEST(jobs_do_not_see_each_other),
        TEST(no_job_id_leaves_the_root),
        TEST(a_damaged_payload_is_found_and_removed),
        TEST(a_damaged_payload_is_healed_by_putting_it_again),
        TEST(parts_are_read_at_any_offset),
        TEST(leftovers_of_a_killed_process_go_at_open),
        TEST(removing_a_job_removes_its_folder_twice_over),
        TEST(a_full_disk_is_an_error_that_leaves_nothing),
        TEST(a_failed_rename_leaves_no_temporary_file),
        TEST(a_root_that_cannot_be_is_an_error_with_its_path),
        TEST(a_payload_is_synced_with_its_folder_before_it_is_said_to_be_there),
        TEST(deferred_puts_are_synced_together),
        TEST(more_than_fit_are_synced_on_the_way),
        TEST(a_sync_that_fails_is_told),
        SCRATCH(a_payload_comes_back_as_it_was_put),
        SCRATCH(the_same_bytes_twice_are_one_file),
        SCRATCH(a_damaged_payload_is_found_and_removed),
        SCRATCH(removing_a_job_removes_its_folder_twice_over),
        SCRATCH(a_full_disk_is_an_error_that_leaves_nothing),
        SCRATCH(a_failed_rename_leaves_no_temporary_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
