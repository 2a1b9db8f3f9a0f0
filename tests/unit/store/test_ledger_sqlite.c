#include "lib/folder.h"
#include "lib/ledger_suite.h"

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

int main(void)
{
    ledger_factory_t factory = {place_new, place_destroy, open_ledger};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_missing_folder_is_an_error_with_the_path),
        cmocka_unit_test(a_file_of_something_else_is_an_error),
    };
    int failed = ledger_suite(&factory);
    return failed + cmocka_run_group_tests(tests, NULL, NULL);
}
