/* A side file's bytes are the same on disk and in the store, however they are cut. */
#include "coordinator/output/side_file.h"
#include "tests/lib/folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define LINES 40
#define LINE_BYTES 30011 /* three bytes a character: pieces end inside one unless it is seen to */

static char *line_of(int number)
{
    char *line = malloc(LINE_BYTES + 8);
    size_t used = (size_t)sprintf(line, "\"%d", number);
    while (used + 3 < LINE_BYTES)
        used += (size_t)sprintf(line + used, "\xe2\x82\xac");
    sprintf(line + used, "\"");
    return line;
}

static char *read_whole(const char *path, size_t *length)
{
    FILE *file = fopen(path, "rb");
    char *bytes = malloc(2 * LINES * LINE_BYTES);
    assert_non_null(file);
    *length = fread(bytes, 1, 2 * LINES * LINE_BYTES, file);
    fclose(file);
    return bytes;
}

static void expect_stored(result_store_t *store, const char *wanted, size_t length)
{
    size_t at = 0;
    uint32_t number = 0;
    for (;; number++) {
        char *piece = NULL;
        size_t bytes = 0;
        int code = store->verbs->text(store, "job-1", "dendrogram", number, &piece, &bytes, NULL);
        if (code == ERR_NOT_FOUND)
            break;
        assert_int_equal(code, OK);
        assert_true(at + bytes <= length && memcmp(wanted + at, piece, bytes) == 0);
        assert_int_not_equal((unsigned char)wanted[at] & 0xc0, 0x80); /* begins a character */
        at += bytes;
        free(piece);
    }
    assert_int_equal(at, length);
    assert_true(number > 3);
}

static void the_store_has_what_the_file_has(void **state)
{
    (void)state;
    test_folder_t folder = folder_new();
    char path[600], name[600];
    size_t length;
    result_store_t *store = NULL;
    side_file_t *side = NULL;
    side_report_t report = {0};
    snprintf(path, sizeof path, "%s/stage4.db", folder.path);
    assert_int_equal(result_store_open_sqlite(path, 0, &store, NULL), OK);
    assert_int_equal(store->verbs->begin_job(store, "job-1", 1, NULL), OK);
    assert_int_equal(
        side_file_new(folder.path, LEVEL_EVENTS, "job-1", "dendrogram", store, &side, NULL), OK);
    for (int i = 0; i < LINES; i++) {
        char *line = line_of(i);
        assert_int_equal(side_file_add(side, line, strlen(line), NULL), OK);
        free(line);
    }
    assert_int_equal(side_file_sync(side, &report, NULL), OK);
    result_job_row_t row = {.job_id = "job-1",
                            .epoch = 1,
                            .algorithm = "agglomerative",
                            .spec_json = "{}",
                            .report_json = "{}",
                            .output_name = ""};
    assert_int_equal(store->verbs->commit_job(store, &row, NULL), OK);
    snprintf(name, sizeof name, "%s/%s", folder.path, report.name);
    assert_int_not_equal(access(name, F_OK), 0);
    assert_int_equal(side_file_show(side, NULL), OK);
    side_file_destroy(&side);
    assert_string_equal(report.name, "clustered_events_job-1.dendrogram.jsonl");
    char *whole = read_whole(name, &length);
    assert_int_equal(length, report.bytes);
    sha256_t sha256 = sha256_of(whole, length);
    assert_true(sha256_equal(&sha256, &report.sha256));
    expect_stored(store, whole, length);
    free(whole);
    store->verbs->close(&store);
    folder_destroy(&folder);
}

static void what_is_not_shown_can_be_discarded(void **state)
{
    (void)state;
    test_folder_t folder = folder_new();
    char path[600];
    snprintf(path, sizeof path, "%s/.clustered_events_job-1.dendrogram.jsonl.tmp", folder.path);
    FILE *file = fopen(path, "w");
    fclose(file);
    assert_int_equal(side_file_discard(folder.path, LEVEL_EVENTS, "job-1", NULL), OK);
    assert_int_not_equal(access(path, F_OK), 0);
    assert_int_equal(side_file_discard(folder.path, LEVEL_EVENTS, "job-1", NULL), OK);
    folder_destroy(&folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_store_has_what_the_file_has),
        cmocka_unit_test(what_is_not_shown_can_be_discarded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
