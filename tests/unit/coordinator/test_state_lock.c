/* One coordinator a state folder. */
#include "coordinator/state_lock.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void remove_folder(const char *folder)
{
    char path[256];
    snprintf(path, sizeof path, "%s/coordinator.lock", folder);
    unlink(path);
    rmdir(folder);
}

static void a_second_holder_is_told_the_first_ones_pid(void **state)
{
    (void)state;
    char folder[] = "/tmp/stage4-lock-XXXXXX";
    char pid[32];
    int first, second;
    error_t error = ERROR_INIT;
    assert_non_null(mkdtemp(folder));
    assert_int_equal(state_lock_take(folder, &first, &error), OK);
    assert_int_equal(state_lock_take(folder, &second, &error), ERR_CONFLICT);
    assert_int_equal(second, -1);
    snprintf(pid, sizeof pid, "process %ld)", (long)getpid());
    assert_non_null(strstr(error.message, pid));
    assert_non_null(strstr(error.message, folder));
    state_lock_release(&first);
    assert_int_equal(state_lock_take(folder, &second, &error), OK);
    state_lock_release(&second);
    remove_folder(folder);
}

static void a_killed_holder_holds_nothing(void **state)
{
    (void)state;
    char folder[] = "/tmp/stage4-lock-XXXXXX";
    int descriptor, ready[2];
    char byte;
    assert_non_null(mkdtemp(folder));
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        int code = state_lock_take(folder, &descriptor, NULL);
        if (write(ready[1], code ? "n" : "y", 1) == 1)
            pause();
        _exit(1);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(byte, 'y');
    assert_int_equal(state_lock_take(folder, &descriptor, NULL), ERR_CONFLICT);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    assert_int_equal(state_lock_take(folder, &descriptor, NULL), OK);
    state_lock_release(&descriptor);
    close(ready[0]);
    close(ready[1]);
    remove_folder(folder);
}

static void a_folder_that_is_not_there_is_named(void **state)
{
    (void)state;
    int descriptor;
    error_t error = ERROR_INIT;
    assert_int_equal(state_lock_take("/nowhere/at/all", &descriptor, &error), ERR_IO);
    assert_non_null(strstr(error.message, "/nowhere/at/all"));
    assert_string_equal(error.field, "state");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_second_holder_is_told_the_first_ones_pid),
        cmocka_unit_test(a_killed_holder_holds_nothing),
        cmocka_unit_test(a_folder_that_is_not_there_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
